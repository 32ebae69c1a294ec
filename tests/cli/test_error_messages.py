"""Errors that a person can cause: one line that names what was wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest

from artdetect.artifacts import stages
from tests.tiny_dataset import jpeg, write


def test_a_missing_config_names_those_there_are(failing: Callable[..., str], tmp_path: Path) -> None:
    assert "configs/sample.toml" in failing("status", "--config", tmp_path / "absent.toml")


@pytest.mark.parametrize("command", ["status", "run"])
def test_an_unknown_key_names_the_near_miss(failing: Callable[..., str], config: Path, command: str) -> None:
    message = failing(command, "--config", config, "--set", "train.epoch=3")
    assert message.endswith("train.epoch is not a key of the config. Did you mean train.epochs?")


def test_a_wrong_value_names_key_and_value(failing: Callable[..., str], config: Path) -> None:
    assert "train.epochs = 'many'" in failing("status", "--config", config, "--set", "train.epochs=many")


@pytest.mark.parametrize("command", ["status", "run"])
def test_a_folder_of_pictures_that_is_not_there_is_named(
    failing: Callable[..., str], config: Path, roots: Path, command: str
) -> None:
    assert f"{roots}/art" in failing(command, "--config", config)


@pytest.mark.parametrize("how", ["a text file", "a broken link", "a link to itself"])
def test_something_else_in_place_of_the_folder_is_named(
    failing: Callable[..., str], config: Path, roots: Path, how: str
) -> None:
    if how == "a text file":
        write(roots / "art", b"hello")
    else:
        (roots / "art").symlink_to("art" if how == "a link to itself" else "nowhere")
    assert f"{roots}/art" in failing("run", "--config", config)


def test_an_unknown_stage_to_refresh_names_those_there_are(failing: Callable[..., str], config: Path) -> None:
    message = failing("run", "--config", config, "--refresh", "trian")
    assert "--refresh trian" in message
    assert message.endswith(f"There are: {', '.join(stage.name for stage in stages.CHAIN)}")


def test_the_gate_is_not_a_stage_of_a_run(failing: Callable[..., str], config: Path) -> None:
    message = failing("run", "--config", config, "--refresh", "gate")
    assert message == "--refresh gate: the gate is not part of a run. It belongs to `artdetect retrain`"


@pytest.mark.parametrize("command", ["predict", "explain"])
def test_no_model_yet_says_how_to_get_one(failing: Callable[..., str], roots: Path, command: str) -> None:
    extra = ["--out", roots / "out"] if command == "explain" else []
    assert "Train one with `artdetect run`" in failing(command, roots, *extra)


@pytest.mark.parametrize("command", ["predict", "explain"])
def test_a_file_that_is_no_model_is_named(failing: Callable[..., str], roots: Path, command: str) -> None:
    file = write(roots / "x.keras", b"PK\x03\x04 no model")
    extra = ["--out", roots / "out"] if command == "explain" else []
    assert str(file) in failing(command, roots, "--model", file, *extra)


def test_a_table_that_cannot_be_written_is_named(failing: Callable[..., str], model: Path, tmp_path: Path) -> None:
    (picture := tmp_path / "a.jpg").write_bytes(jpeg(1))
    absent = tmp_path / "absent" / "x.csv"
    assert f"{absent}: there is no folder" in failing("predict", picture, "--csv", absent)
    assert f"{tmp_path}: a folder stands where a file" in failing("predict", picture, "--csv", tmp_path)
    below = picture / "x.csv"
    assert f"{below}: a file stands where a folder" in failing("predict", picture, "--csv", below)


def test_a_file_in_place_of_the_output_folder_is_named(
    failing: Callable[..., str], model: Path, tmp_path: Path
) -> None:
    (picture := tmp_path / "a.jpg").write_bytes(jpeg(1))
    message = failing("explain", picture, "--out", picture)
    assert message == f"{picture}: a file stands where a folder is expected"


def test_an_invalid_number_of_steps_is_named(failing: Callable[..., str], tmp_path: Path) -> None:
    assert failing("explain", tmp_path, "--out", tmp_path, "--steps", 1).startswith("--steps 1: ")
