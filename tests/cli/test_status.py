"""`artdetect status` and `--version`."""

import json
from pathlib import Path

import pytest

from artdetect import __version__
from artdetect.artifacts import stages
from artdetect.cli import main
from tests.tiny_dataset import data_set


def test_status_as_json_has_a_row_a_stage_and_exit_1_while_anything_is_not_current(
    config: Path, roots: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data_set(roots / "art", train=1, test=1)
    assert main(["status", "--config", str(config), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["config", "stages"]
    assert found["config"] == str(config)
    assert [row["stage"] for row in found["stages"]] == [stage.name for stage in stages.CHAIN]
    for row in found["stages"]:
        assert row == {"stage": row["stage"], "state": "missing", "why": ["never built"], "artifact": None}


def test_status_for_people_is_a_line_a_stage(config: Path, roots: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data_set(roots / "art", train=1, test=1)
    assert main(["status", "--config", str(config)]) == 1
    named, empty, *lines = capsys.readouterr().out.splitlines()
    assert (named, empty) == (f"config: {config}", "")
    assert [line.split()[0] for line in lines] == ["stage", *(stage.name for stage in stages.CHAIN)]


def test_status_without_a_config_is_about_the_projects_own(
    config: Path, roots: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data_set(roots / "art", train=1, test=1)
    monkeypatch.setenv("ARTDETECT_CONFIG", str(config))
    assert main(["status"]) == 1
    assert capsys.readouterr().out.startswith(f"config: {config} (ARTDETECT_CONFIG)\n")


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out.strip() == __version__
