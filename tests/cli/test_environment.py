"""`artdetect doctor`: what is broken is named, with what to do, and ends with exit code 1."""

import json
import shutil
from pathlib import Path

import pytest

from artdetect.artifacts import registry
from artdetect.cli import environment, main
from artdetect.core import installing
from tests.tiny_dataset import write


@pytest.fixture
def findings(config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Runs the command over a project of its own: the exit code and what it found, by name."""
    monkeypatch.setenv("ARTDETECT_CONFIG", str(config))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)

    def run() -> tuple[int, dict[str, tuple[str, str]]]:
        code = main(["doctor", "--json"])
        return code, {row["what"]: (row["state"], row["text"]) for row in json.loads(capsys.readouterr().out)}

    return run


def test_a_project_that_lacks_only_a_model_says_so(findings, roots: Path) -> None:
    code, found = findings()
    assert code == 1
    assert [what for what, (state, _) in found.items() if state == "broken"] == ["model"]
    assert "Train one with `artdetect run`" in found["model"][1]
    assert found["config"][1].endswith("art.toml (ARTDETECT_CONFIG)")
    assert str(roots / "artifacts") in found["artifacts"][1]


def test_with_a_model_it_is_well(findings, trained: Path, roots: Path) -> None:
    shutil.copytree(trained / "artifacts", roots / "artifacts")
    code, found = findings()
    assert code == 0, found
    assert found["model"][1] == "the newest own one, train/k1, preset notebook"
    registry.promote("k1", {}, "me", "to try it")
    assert findings()[1]["model"][1] == "the champion, train/k1, preset notebook"
    shutil.rmtree(roots / "artifacts" / "train")
    assert findings()[1]["model"][0] == "broken"


def test_a_damaged_config_a_folder_in_the_way_and_a_silent_server_are_broken(
    findings, config: Path, roots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text("[download]\nurll = 'x'\n")
    write(roots / "data", b"a file")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    code, found = findings()
    assert code == 1
    broken = {what: text for what, (state, text) in found.items() if state == "broken"}
    assert list(broken) == ["data", "config", "model", "server"]
    assert "download.urll is not a key of the config" in broken["config"]
    assert "http://127.0.0.1:9/api does not answer" in broken["server"]


def test_missing_and_other_packages_are_named(findings, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["numpy>=2.0", "prefect-of-nowhere[x]==3", "tf2of>=1; extra == 'export'", 'rich; extra == "tune"']
    monkeypatch.setattr(environment.metadata, "requires", lambda name: lines)
    found = findings()[1]
    assert found["packages"] == ("broken", "missing: prefect-of-nowhere; install artdetect again")
    assert found["extra export"] == ("note", f"not installed (tf2of): {installing.extra('export')}")
    assert found["extra tune"] == ("ok", "installed")


def test_a_full_disk_is_broken(findings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**11, 10**11, 10**8))
    code, found = findings()
    assert code == 1
    assert found["data"][0] == "broken"
    assert "0.1 GB free; `artdetect gc --cache` frees some" in found["data"][1]
