"""What the flow makes of the audit's findings: a warning a line, or a stop that a rerun repeats without work."""

import json
import shutil
from pathlib import Path

import pytest

from artdetect import audit
from artdetect.cli import main
from artdetect.config import Config
from artdetect.core import paths
from artdetect.core.errors import AuditFailed
from flows.pipeline import pipeline

from .conftest import artifacts, run, small


def with_rules(pictures: Path, **rules: str) -> Config:
    config = small(pictures)
    return config.model_copy(update={"audit": audit.AuditConfig(**rules)})


def leak(pictures: Path) -> None:
    """A picture of train in test as well."""
    source = sorted((pictures / "train" / "ukiyo_e").iterdir())[0]
    shutil.copy(source, pictures / "test" / "ukiyo_e" / "zz-leak.jpg")


def test_a_stop_keeps_the_audit_shows_it_and_builds_nothing_behind_it(pictures: Path) -> None:
    leak(pictures)
    config = with_rules(pictures, train_test_overlap="stop")
    before = {stage: len(list((paths.artifacts() / stage).glob("*/record.json"))) for stage in ("audit", "balance")}
    state = pipeline(config, return_state=True)
    assert state.is_failed()
    with pytest.raises(AuditFailed, match=r"To continue: --set audit\.train_test_overlap=warn"):
        state.result()
    (shown,) = [found for found in artifacts(state.state_details.flow_run_id) if found.key == "audit"]
    assert "| **train_test_overlap** | stop | 1 |" in shown.data
    assert "zz-leak.jpg" in shown.data
    after = {stage: len(list((paths.artifacts() / stage).glob("*/record.json"))) for stage in ("audit", "balance")}
    assert after == {"audit": before["audit"] + 1, "balance": before["balance"]}


@pytest.mark.slow
def test_a_rerun_stops_again_without_building_and_another_rule_goes_on(
    pictures: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What fired is a line in the log each time, also where the audit was cached, and what is ignored is not."""
    first = sorted((pictures / "train" / "ukiyo_e").iterdir())[0]
    shutil.copy(first, first.with_name("zz-copy.jpg"))
    (pictures / "train" / "notes.txt").write_text("-")
    config = with_rules(pictures, shortcut="stop")
    with pytest.raises(AuditFailed, match="AUC of"):
        run(config)
    (built,) = [
        record
        for record in (paths.artifacts() / "audit").glob("*/record.json")
        if '"shortcut": "stop"' in record.read_text()
    ]
    assert (built.parent / "prefect.json").exists()
    before = built.stat().st_mtime_ns
    with pytest.raises(AuditFailed, match="AUC of"):
        run(config)
    assert built.stat().st_mtime_ns == before

    def warned() -> list[str]:
        messages = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
        caplog.clear()
        return [line for line in messages if line.startswith("audit:")]

    warned()
    ignoring = with_rules(pictures, shortcut="ignore")
    assert list(run(ignoring)) == ["audit", "balance", "evaluate", "report"]
    lines = warned()
    assert [line.split(":")[1].strip() for line in lines] == ["duplicates", "folder_grammar"]
    assert lines[0] == "audit: duplicates: 1 content occurs in 2 files; training uses at most one copy of each."
    assert run(ignoring) == {}
    assert warned() == lines


def test_a_stop_is_one_line_and_exit_code_2(
    small_file: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ["--config", str(small_file), "--set", "audit.shortcut=stop"]
    assert main(["run", *chosen]) == 2
    output, errors = capsys.readouterr()
    assert "Traceback" not in output + errors + caplog.text
    assert "Failed to write result" not in caplog.text
    last = errors.strip().splitlines()[-1]
    assert last.startswith("artdetect: the audit stops this run. shortcut: File properties alone")
    assert "To continue: --set audit.shortcut=warn" in last

    assert main(["status", "--json", *chosen]) == 1
    (state,) = [found for found in json.loads(capsys.readouterr().out)["stages"] if found["stage"] == "audit"]
    assert (state["state"], state["why"]) == ("current", ["stops the run: shortcut"])
