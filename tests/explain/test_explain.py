"""Explanations of chosen test pictures, and the titles of figures."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from artdetect.core import digests, paths
from artdetect.explain import explanation as explanations
from artdetect.explain import run
from artdetect.explain.config import ExplainConfig
from artdetect.explain.explained_pictures import title
from artdetect.model.decision import in_words
from artdetect.pictures import splices

CHEAP = ExplainConfig(method="integrated_gradients", steps=2, quality_pictures=0, localisation=0, beside=())


@pytest.fixture
def evaluated(trained: Path, roots: Path) -> Path:
    """A folder with predictions for four test pictures, one of which is predicted wrongly."""
    rows = []
    for number, p_ai in enumerate((0.9, 0.2, 0.7, 0.4)):
        label = "AI" if number % 2 == 0 else "human"
        path = f"test/{'AI_LD_baroque' if label == 'AI' else 'baroque'}/{number:03d}.jpg"
        predicted = "AI" if p_ai >= 0.5 else "human"
        content = digests.file_digest(trained / "data" / "raw" / "art" / path)
        rows.append(
            {
                "path": path,
                "sha256": content,
                "label": label,
                "p_ai": p_ai,
                "predicted": predicted,
                "verdict": predicted,
                "reason": "sure",
            }
        )
    rows[3] |= {"p_ai": 0.6, "predicted": "AI", "verdict": "AI"}
    (roots / "evaluated").mkdir()
    pd.DataFrame(rows).to_parquet(roots / "evaluated" / "predictions.parquet")
    return roots / "evaluated"


def explained(trained: Path, evaluated: Path, config: ExplainConfig, name: str = "out") -> tuple[Path, list[int]]:
    """The stage's outputs, and the numbers of pictures that it reported as done."""
    (out := evaluated.parent / name).mkdir()
    reported: list[int] = []
    train, pictures = trained / "artifacts" / "train" / "k1", trained / "data" / "raw" / "art"
    run(config, train, evaluated, pictures, out, lambda done, total: reported.append(done))
    return out, reported


def test_chosen_pictures_have_figures_arrays_and_a_row_each(trained: Path, evaluated: Path) -> None:
    out, reported = explained(trained, evaluated, CHEAP)
    rows = pd.read_parquet(out / "explanations.parquet")
    assert rows.name.tolist() == [
        "01-AI-most-confident-right", "02-AI-least-sure", "03-human-most-confident-right",
        "04-human-most-confident-wrong",
    ]  # fmt: skip
    assert reported == [1, 2, 3, 4]
    assert np.isfinite(rows[["score", "completeness_error", "top_share"]]).all(axis=None)
    assert {"path", "sha256", "rule", "label", "p_ai", "verdict"} <= set(rows.columns)
    assert {path.name for path in out.iterdir()} == {
        "explanations.parquet", "localisation.json", "quality.json", "sheet.png",
        *(f"{name}.{kind}" for name in rows.name for kind in ("png", "npz")),
    }  # fmt: skip
    assert json.loads((out / "quality.json").read_text()) is None
    for row in rows.itertuples():
        found = explanations.load(out / f"{row.name}.npz")
        assert (found.score, found.target) == (row.score, int(row.predicted == "human"))


@pytest.mark.slow
def test_another_style_of_figures_computes_neither_maps_nor_their_check_again(trained: Path, evaluated: Path) -> None:
    config = CHEAP.model_copy(update={"quality_pictures": 2})
    first, _ = explained(trained, evaluated, config)

    def cached() -> dict[Path, int]:
        places = [paths.cache() / name for name in ("attributions", "json")]
        return {path: path.stat().st_mtime_ns for place in places for path in place.iterdir()}

    computed = cached()
    assert sorted(path.suffix for path in computed) == [".json"] + [".npz"] * 4
    second, _ = explained(trained, evaluated, config.model_copy(update={"scale": "own"}), "second")
    assert computed == cached()
    for name in ("quality.json", "explanations.parquet", "02-AI-least-sure.npz"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    check = json.loads((first / "quality.json").read_text())
    rows = pd.read_parquet(first / "explanations.parquet")
    assert check["pictures"] == len(check["sample"]) == 2
    assert {tuple(one) for one in check["sample"]} <= set(zip(rows.sha256, rows.predicted == "human", strict=True))
    assert check["measured_by"]["settings"] == check["config"]
    assert (first / "sheet.png").read_bytes() != (second / "sheet.png").read_bytes()
    assert (first / "02-AI-least-sure.png").read_bytes() != (second / "02-AI-least-sure.png").read_bytes()


def test_none_chosen_is_an_empty_table_and_no_sheet(trained: Path, evaluated: Path) -> None:
    out, reported = explained(trained, evaluated, ExplainConfig(pictures_per_group=0))
    assert {path.name for path in out.iterdir()} == {"explanations.parquet", "localisation.json", "quality.json"}
    rows = pd.read_parquet(out / "explanations.parquet")
    assert (len(rows), reported) == (0, [])
    assert {"name", "rule", "score", "completeness_error", "top_share", "caption"} <= set(rows.columns)
    assert json.loads((out / "quality.json").read_text()) is None


@pytest.mark.slow
def test_other_methods_stand_beside_the_chosen_one_and_all_are_checked_with_splices(
    trained: Path, evaluated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splices, "MIN_PARENTS", 1)  # the model judges one human picture rightly
    table = pd.read_parquet(evaluated / "predictions.parquet")
    table.predicted = table.label
    table.to_parquet(evaluated / "predictions.parquet")
    config = CHEAP.model_copy(update={"localisation": 4, "beside": ("gradcam", CHEAP.method)})
    out, reported = explained(trained, evaluated, config)
    names = {path.name for path in out.glob("0*")}
    assert {path.name for path in (out / "gradcam").iterdir()} == names
    assert reported == list(range(1, len(names) + 1))
    found = json.loads((out / "localisation.json").read_text())
    assert [row["method"] for row in found["rows"]] == [CHEAP.method, "gradcam"]
    assert found["splices"] == 2
    assert all(row["auc"]["value"] >= 0 for row in found["rows"])


def test_too_few_test_pictures_for_splices_are_said_in_the_result(trained: Path, evaluated: Path) -> None:
    out, _ = explained(trained, evaluated, CHEAP.model_copy(update={"localisation": 40, "pictures_per_group": 0}))
    found = json.loads((out / "localisation.json").read_text())
    assert "2 AI and 1 human ones" in found["reason"]
    assert found["rows"] == []


@pytest.mark.parametrize(
    ("verdict", "reason", "predicted", "p_ai", "says"),
    [
        ("AI", "sure", "AI", 0.93, "AI 93.0%"),
        ("human", "sure", "human", 0.07, "human 93.0%"),
        ("unsure", "near the threshold", "AI", 0.52, "unsure: near the threshold, AI 52.0%"),
        ("unsure", "too small", "human", 0.48, "unsure: too small, human 52.0%"),
        ("human", "sure", "human", 0.6, "human 40.0%"),  # where the threshold is high
        ("AI", "sure", "AI", 1.0, "AI over 99.9%"),
    ],
)
def test_a_title_says_verdict_and_probability_of_the_class_it_leans_to(
    verdict: str, reason: str, predicted: str, p_ai: float, says: str
) -> None:
    words = in_words(verdict, reason)
    assert title(words, predicted, p_ai) == says
    assert title(words, predicted, p_ai, "human") == f"{says}\n(is human)"


def test_a_title_says_that_crops_contributed() -> None:
    note = "judged with 3 unresized crops; the map is of the whole"
    mixed = "mixed: AI at 0 to 50 % from the left, 0 to 40 % from the top"
    assert title(mixed, "human", 0.2, crops=3) == f"{mixed}\n(as a whole human 80.0%; {note})"
    assert title("AI", "AI", 0.93, crops=3) == f"AI 93.0%\n({note})"
    assert title("AI", "AI", 0.93, "human", 3) == f"AI 93.0%\n(is human; {note})"
