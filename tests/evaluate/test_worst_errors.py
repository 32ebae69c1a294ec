"""The worst errors, their neighbours and their contact sheet."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from artdetect.core import digests
from artdetect.evaluate import worst_errors
from artdetect.pictures import contact_sheet
from tests.evaluate.tables import scored

RED, BLUE = (220, 30, 40), (30, 40, 220)


def test_the_most_confident_errors_come_first_and_each_content_once() -> None:
    table = scored(300, 200, digits=9)
    twice = pd.concat([table, table.assign(path="copies/" + table.path)], ignore_index=True)
    errors = worst_errors.worst(twice, 0.5)
    wrong = table[table.predicted != table.label]
    distance = (wrong.p_ai - 0.5).abs().sort_values(ascending=False)
    assert list(errors.path) == list(wrong.path[distance.index[: worst_errors.MAX_ERRORS]])
    assert len(errors) == worst_errors.MAX_ERRORS


def test_confidence_is_measured_from_the_threshold() -> None:
    table = scored(2, 0).assign(label="human", predicted="AI", p_ai=[0.97, 0.91])
    far = table.assign(label=["AI", "human"], predicted=["human", "AI"], p_ai=[0.3, 0.91])
    assert list(worst_errors.worst(table, 0.9).p_ai) == [0.97, 0.91]
    assert list(worst_errors.worst(far, 0.9).p_ai) == [0.3, 0.91]
    assert worst_errors.worst(scored(5, 5).assign(predicted=lambda rows: rows.label), 0.5).empty


def test_neighbours_are_those_of_a_full_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worst_errors, "CHUNK", 7)
    rng = np.random.default_rng(0)
    known, points = rng.normal(size=(50, 6)).astype(np.float16), rng.normal(size=(4, 6))
    rows, distances = worst_errors.nearest(points, known)
    for point, nearest, row_distances in zip(points, rows, distances, strict=True):
        expected = np.linalg.norm(known.astype(float) - point, axis=1)
        assert list(nearest) == list(np.argsort(expected)[:3])
        assert row_distances == pytest.approx(np.sort(expected)[:3])
    assert worst_errors.nearest(points, known[:2])[0].shape == (4, 2)


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One error, and two training pictures, the second one near."""
    paths = ["test/AI_SD_dots/wrong.png", "train/dots/far.png", "train/dots/near.png"]
    for path, colour in zip(paths, (RED, (0, 0, 0), BLUE), strict=True):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), colour).resize((300, 300)).save(tmp_path / path)
    table = pd.DataFrame({"path": paths, "sha256": [digests.file_digest(tmp_path / path) for path in paths]})
    table = table.assign(label=["AI", "human", "human"], generator=["sd", "human", "human"], style="dots", p_ai=0.02)
    table = table.assign(predicted="human", verdict="unsure")
    np.savez(
        tmp_path / "neighbours.npz",
        sha256=table.sha256[1:].to_numpy("S64"),
        embedding=np.array([[9, 9], [1, 0]], np.float16),
    )
    return table[:1], table[1:]


def test_an_error_names_its_nearest_training_pictures(
    pictures: tuple[pd.DataFrame, pd.DataFrame], tmp_path: Path
) -> None:
    (row,) = worst_errors.worst_errors(pictures[0], np.array([[1.0, 2.0]]), pictures[1], tmp_path)
    assert {name: row[name] for name in ("path", "label", "generator", "style", "p_ai", "verdict")} == {
        "path": "test/AI_SD_dots/wrong.png",
        "label": "AI",
        "generator": "sd",
        "style": "dots",
        "p_ai": 0.02,
        "verdict": "unsure",
    }
    assert [near["path"] for near in row["nearest"]] == ["train/dots/near.png", "train/dots/far.png"]
    assert row["nearest"][0] == {
        "path": "train/dots/near.png", "label": "human", "generator": "human", "distance": 2.0,
    }  # fmt: skip


def test_a_model_without_embeddings_has_errors_without_neighbours(
    pictures: tuple[pd.DataFrame, pd.DataFrame], tmp_path: Path
) -> None:
    assert worst_errors.worst_errors(pictures[0], None, pictures[1], tmp_path)[0]["nearest"] == []
    (tmp_path / "neighbours.npz").unlink()
    assert worst_errors.worst_errors(pictures[0], np.zeros((1, 2)), pictures[1], tmp_path)[0]["nearest"] == []


def test_the_sheet_shows_the_error_and_its_nearest_training_picture(
    pictures: tuple[pd.DataFrame, pd.DataFrame], tmp_path: Path
) -> None:
    wrong, train = pictures
    rows = worst_errors.worst_errors(wrong, np.array([[1.0, 2.0]]), train, tmp_path)
    worst_errors.write_sheet(wrong, rows, train, tmp_path, out := tmp_path / "worst_errors.png")
    with Image.open(out) as opened:
        drawn = np.asarray(opened.convert("RGB")).astype(int)
    area = contact_sheet.SIDE**2
    for colour, shown in ((RED, area), (BLUE, area), ((0, 0, 0), 0)):
        assert (np.abs(drawn - colour).max(-1) < 6).sum() == pytest.approx(shown, rel=0.03, abs=50)


def test_without_errors_there_is_no_sheet(pictures: tuple[pd.DataFrame, pd.DataFrame], tmp_path: Path) -> None:
    wrong, train = pictures
    assert worst_errors.worst_errors(wrong[:0], np.zeros((0, 2)), train, tmp_path) == []
    worst_errors.write_sheet(wrong[:0], [], train, tmp_path, out := tmp_path / "worst_errors.png")
    assert not out.exists()
