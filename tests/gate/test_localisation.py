"""The maps of two real models on the same splices."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from artdetect.artifacts import file_names
from artdetect.core import digests
from artdetect.explain import localisation as splices
from artdetect.explain.quality.parameter_randomisation import randomised_model
from artdetect.gate import localisation, rules
from artdetect.gate.config import GateConfig
from artdetect.model.detector import Detector
from artdetect.stats.bootstrap import Bootstrap


@pytest.fixture
def table(trained: Path, roots: Path) -> pd.DataFrame:
    """The test pictures, on all of which both models are right."""
    root = trained / "data" / "raw" / "art"
    files = sorted((root / "test").rglob("*.jpg"))
    rows = [(str(file.relative_to(root)), digests.file_digest(file)) for file in files]
    made = pd.DataFrame(rows, columns=["path", "sha256"])
    made["label"] = ["AI" if "AI_" in path else "human" for path in made.path]
    return made.assign(right_champion=True, right_challenger=True)


@pytest.fixture
def models(trained: Path, tmp_path: Path) -> dict[str, Path]:
    """A trained champion, and a challenger whose weights are shuffled, so that its maps know nothing."""
    champion = trained / "artifacts" / "train" / "k1"
    detector = Detector.load(champion)
    (challenger := tmp_path / "challenger").mkdir()
    replace(detector, runtime=randomised_model(detector.model, 3)).save(challenger / file_names.MODEL)
    return {"champion": champion, "challenger": challenger}


def aucs(trained: Path, models: dict[str, Path], table: pd.DataFrame, count: int = 10) -> dict[str, list[float]] | str:
    return localisation.aucs(models, table, trained / "data" / "raw" / "art", count, seed=1)


def test_a_challenger_whose_maps_know_nothing_is_refused(
    trained: Path, models: dict[str, Path], table: pd.DataFrame
) -> None:
    found = aucs(trained, models, table)
    assert isinstance(found, dict)
    assert [len(each) for each in found.values()] == [10, 10]
    result = rules._localisation(found, GateConfig().max_drop_localisation, Bootstrap(200, 1))
    assert result.passed is False
    assert result.champion
    assert result.champion > 0.6


def test_the_same_model_is_measured_once_and_passes(
    trained: Path, models: dict[str, Path], table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = dict.fromkeys(models, models["champion"])
    scored: list[int] = []
    score = splices.score
    monkeypatch.setattr(splices, "score", lambda *found: scored.append(1) or score(*found))
    found = aucs(trained, both, table)
    assert isinstance(found, dict)
    assert found["champion"] == found["challenger"]
    assert len(scored) == 10


def test_splices_are_of_pictures_that_both_judge_rightly(
    trained: Path, models: dict[str, Path], table: pd.DataFrame
) -> None:
    table.loc[table.index[table.label == "AI"][0], "right_challenger"] = False
    found = aucs(trained, models, table)
    assert isinstance(found, str)
    assert "there are 7 AI and 8 human ones" in found


def test_it_can_be_switched_off(trained: Path, models: dict[str, Path], table: pd.DataFrame) -> None:
    assert aucs(trained, models, table, count=0) == "gate.localisation is 0"
