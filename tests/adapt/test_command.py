"""The command adapt: what it prints, records and promotes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from artdetect.artifacts import registry, run_ledger, stages, store
from artdetect.cli import main
from artdetect.model import choice
from artdetect.monitoring import staleness
from artdetect.train.config import TrainConfig
from tests.cli.conftest import failing
from tests.model.test_choice import with_card
from tests.tiny_dataset import write

Own = Callable[..., Path]
__all__ = ["failing"]


def test_it_says_what_became_of_the_pictures(base: Path, own: Own, capsys: pytest.CaptureFixture[str]) -> None:
    folder = own(12, 10)
    write(folder / "human" / "bad.jpg", b"<html>")
    assert main(["adapt", str(folder)]) == 0
    printed = capsys.readouterr()
    key = next(artifact.key for artifact in store.stored("train") if artifact.key != "t1")
    assert "train/t1" in printed.err
    assert f"artdetect: left out: {folder}/human/bad.jpg: " in printed.err
    lines = [line.split() for line in printed.out.splitlines()]
    assert [line[:3] for line in lines[1:5]] == [
        ["10", "AI", "before"], ["10", "AI", "after"], ["12", "human", "before"], ["12", "human", "after"],
    ]  # fmt: skip
    assert all(sum(map(int, line[3:6])) == int(line[0]) for line in lines[1:5])
    assert "ROC-AUC: 0." in printed.out
    assert "Each picture was judged by a model adapted without it." in printed.out
    assert printed.out.endswith(f"The adapted model is train/{key}. Use it with `artdetect promote {key}`\n")
    assert ("train", key) in run_ledger.read()[-1].artifacts
    assert registry.champion() is None
    assert main(["promote", key]) == 0
    assert registry.champion().artifacts == {"train": key, "balance": "b1"}
    assert main(["models"]) == 0
    assert key in capsys.readouterr().out


@pytest.mark.slow
def test_promoted_and_as_json(
    base: Path, own: Own, unpacked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = own(10, 0)
    assert main(["adapt", str(folder), "--json", "--promote"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["pictures"] == {"AI": 0, "human": 10}
    champion = registry.champion()
    assert (champion.train, champion.artifacts["balance"]) == (result["train"], "b1")
    assert champion.why == f"adapted to {folder}"
    assert choice.choose().key == result["train"]
    assert main(["adapt", str(own(10, 0, 700)), "--json"]) == 0  # the champion, once more
    assert json.loads(capsys.readouterr().out)["train"] != result["train"]
    assert main(["gc", "--dry-run"]) == 0
    capsys.readouterr()
    write(tmp_path / "art.toml", f'[download]\nurl = "{unpacked}"\n'.encode())
    assert main(["status", "--config", str(tmp_path / "art.toml")]) == 1
    assert "train " in capsys.readouterr().out


def test_a_demonstration_only_if_it_is_named(base: Path, own: Own, failing: Callable[..., str]) -> None:
    with store.build("train", "demo", {}) as out:
        shutil.copytree(base, out, dirs_exist_ok=True)
        (out / "record.json").unlink()
        with_card(base, out / "model.keras", demonstration=True)
    registry.promote("demo", {}, "me", "to try it")
    assert "is a demonstration" in failing("adapt", own(10, 0))
    assert main(["adapt", str(own(10, 0)), "--model", "demo"]) == 0


def test_errors_are_one_line(model: Path, own: Own, tmp_path: Path, failing: Callable[..., str]) -> None:
    assert "there is no such folder" in failing("adapt", tmp_path / "absent")
    assert "expected a folder `human`" in failing("adapt", tmp_path)
    assert "it cannot be adapted" in failing("adapt", own(10, 0))


def test_a_model_that_was_only_adapted_is_no_earlier_training(
    base: Path, own: Own, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`artdetect status` named the differences between an adapted starter and a training."""
    monkeypatch.setenv("ARTDETECT_ARTIFACTS", str(tmp_path / "empty"))
    assert main(["adapt", str(own(10, 0)), "--model", str(base)]) == 0
    plan = stages.plan(stages.STAGES["train"], TrainConfig(), None)
    assert staleness.reasons(plan) == [staleness.NEVER_BUILT]
