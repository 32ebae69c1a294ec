"""The search for settings over tiny pictures: what it leaves, what it never reads, and how it goes on when killed."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from prefect.client.orchestration import get_client

from artdetect import config as configs
from artdetect.cli import main
from artdetect.monitoring.status import status
from artdetect.pictures.array_cache import ENTRY
from flows.tune import tune
from tests.tiny_dataset import FOLDERS, jpeg, write

from .conftest import PROJECT, artifacts, kill_at, task_states

pytestmark = pytest.mark.slow

CONFIG = """
[download]
url = "{pictures}"
[train]
size = 64
feature_blocks = ["stem..block1"]
degraded_views = 1
pca_components = 20
[tune]
trials = 3
feature_blocks = ["stem..block1", "block0, block2"]
degraded_views = [0, 1]
pca_components = [8, 32]
head = ["linear"]
"""
SETTINGS = {"feature_blocks", "degraded_views", "pca_components", "head", "backbone"}


@pytest.fixture(scope="module")
def searched(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A root with tune.toml, data/ and artifacts/ of a search of three trials, and `run` with the flow run's id."""
    root = tmp_path_factory.mktemp("searched")
    pictures = root / "data" / "raw" / "art"
    for place, folder in enumerate(FOLDERS):
        for number in range(28):  # of which 25 train; AI pictures are a little brighter, which is hard to tell
            content = jpeg((place, number), base=131 if folder.startswith("AI_") else 128)
            write(pictures / ("train" if number < 25 else "test") / folder / f"{number}.jpg", content)
    (root / "tune.toml").write_text(CONFIG.format(pictures=pictures))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARTDETECT_DATA", str(root / "data"))
        patch.setenv("ARTDETECT_ARTIFACTS", str(root / "artifacts"))
        state = tune(configs.load(root / "tune.toml"), return_state=True)
        assert state.result().best == outcome(root / "artifacts") / "best.toml"
        (root / "run").write_text(str(state.state_details.flow_run_id))
        yield root


@pytest.fixture
def elsewhere(searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same artifacts but for the search's, over the same data."""
    monkeypatch.setenv("ARTDETECT_ARTIFACTS", str(tmp_path / "artifacts"))
    ignored = shutil.ignore_patterns("tune", ".locks")
    return Path(shutil.copytree(searched / "artifacts", tmp_path / "artifacts", ignore=ignored))


def outcome(artifacts: Path) -> Path:
    """The folder of the only search."""
    (folder,) = (artifacts / "tune").iterdir()
    return folder


def assert_same_search(found: Path, expected: Path) -> None:
    """The same trials with the same settings, and scores that differ by at most 1e-5.

    The head is fitted by BLAS. How many threads it has in a process moves a loss by some 1e-7, which can change the
    sixth digit.
    """
    trials, others = (pd.read_csv(folder / "trials.csv") for folder in (found, expected))
    score = "out_of_source_loss"
    pd.testing.assert_frame_equal(trials.drop(columns=score), others.drop(columns=score))
    np.testing.assert_allclose(trials[score], others[score], rtol=0, atol=1e-5)
    assert trials[score].idxmin() == others[score].idxmin()


def start(project: Path, config: Path, server: str) -> "subprocess.Popen[str]":
    """The search from the command line of a copied project."""
    return subprocess.Popen(
        [sys.executable, "-m", "artdetect.cli", "tune", "--config", config, "--trials", "3"],
        cwd=project,
        env=os.environ | {"PREFECT_API_URL": server},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_best_trial_becomes_a_config_that_a_run_takes(searched: Path) -> None:
    folder = outcome(searched / "artifacts")
    trials = pd.read_csv(folder / "trials.csv")
    assert list(trials.trial) == [0, 1, 2]
    assert trials.out_of_source_loss.between(0, 1).all()
    before = configs.load(searched / "tune.toml")
    first = trials.iloc[0]
    assert (first.feature_blocks, first["degraded_views"], first.pca_components) == ("stem..block1", 1, 20)

    best = trials.loc[trials.out_of_source_loss.idxmin()]
    found = configs.load(folder / "best.toml")
    assert ", ".join(found.train.feature_blocks) == best.feature_blocks
    assert (found.train.degraded_views, found.train.pca_components, found.train.head) == (
        best["degraded_views"],
        best.pca_components,
        best["head"],
    )
    others = set(type(found.train).model_fields) - SETTINGS
    assert found.model_copy(update={"train": before.train}) == before
    assert found.train.model_dump(include=others) == before.train.model_dump(include=others)
    said = f"The best of 3 trials, trial {best.trial}: out-of-source log loss {best.out_of_source_loss:.4f}"
    assert said in (folder / "best.toml").read_text()
    assert [stage.state for stage in status(found)][:4] == ["current"] * 4


def test_no_test_picture_was_even_decoded(searched: Path) -> None:
    (table,) = (searched / "artifacts" / "balance").glob("*/balance.parquet")
    split = pd.read_parquet(table).groupby("split").sha256.agg(set)
    cached = {}
    for index in (searched / "data" / "cache").glob("*/*/index.bin"):
        entries = np.frombuffer(index.read_bytes(), ENTRY)
        cached[index.parent.relative_to(searched / "data" / "cache").as_posix()] = {
            bytes(sha256).ljust(32, b"\0").hex() for sha256 in entries["sha256"]
        }
    judging = {name: contents for name, contents in cached.items() if "lite0-101-" in name or "lite0-102-" in name}
    assert {name.split("/")[0] for name in cached} == {"pixels", "features"}
    assert judging
    assert all(contents == split.train for contents in judging.values())
    assert set.union(*cached.values()) == split.train | split.validation


def test_the_dashboard_shows_a_task_run_a_trial_and_the_best_of_them(searched: Path) -> None:
    run_id = (searched / "run").read_text()
    trials = dict.fromkeys(["trial-0", "trial-1", "trial-2"], ("Completed", "COMPLETED"))
    assert trials.items() <= task_states(run_id, trials).items()
    shown = {artifact.key: artifact for artifact in artifacts(run_id)}
    assert "audit" in shown
    assert shown["tune"].type == "table"
    assert "The best of 3 trials" in shown["tune"].description
    with get_client(sync_client=True) as client:
        assert re.fullmatch(r"tune .*: trial [012] of 3, log loss \d\.\d{4}", client.read_flow_run(run_id).name)


def test_killed_it_goes_on_and_ends_as_if_it_never_was(
    searched: Path,
    elsewhere: Path,
    server: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    project = tmp_path / "project"
    for part in ("artdetect", "flows", "tasks"):
        shutil.copytree(PROJECT / part, project / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", project)
    assert "optuna" not in kill_at(start(project, searched / "tune.toml", server), "trial 0: ").lower()
    assert not (outcome(elsewhere) / "best.toml").exists()

    capsys.readouterr()
    assert main(["tune", "--config", str(searched / "tune.toml"), "--trials", "3"]) == 0
    assert "trial 0:" not in caplog.text
    assert caplog.text.count("trial 2:") == 1
    assert_same_search(outcome(elsewhere), outcome(searched / "artifacts"))
    assert (outcome(elsewhere) / "best.toml").is_file()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["trial", "out_of_source_loss", "penalty"]
    assert lines[-1] == f"Use it: artdetect run --config {outcome(elsewhere) / 'best.toml'}"


def test_further_trials_come_on_top_and_a_finished_search_does_nothing(
    searched: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configs.load(searched / "tune.toml")
    timed = config.model_copy(update={"tune": config.tune.model_copy(update={"timeout": 1e-3})})
    for finished in (1, 2, 3):
        assert len(tune(timed).ranking) == finished  # one a run, and no more after its time is up
    assert_same_search(outcome(elsewhere), outcome(searched / "artifacts"))

    (outcome(elsewhere) / "best.toml").unlink()
    monkeypatch.setattr("artdetect.tune.score_trial", lambda *settings: pytest.fail("a trial"))
    assert tomllib.loads(tune(config).best.read_text())["tune"]["trials"] == 3


def test_blocks_that_a_backbone_lacks_end_the_search_before_its_first_trial(searched: Path, elsewhere: Path) -> None:
    config = configs.load(searched / "tune.toml", ["tune.feature_blocks=['stem', 'block99']"])
    with pytest.raises(configs.ConfigError, match="efficientnet-lite0 has no block 'block99'"):
        tune(config)
