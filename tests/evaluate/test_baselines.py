"""The baselines see colours and files and nothing else."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from artdetect.core import digests, json_cache
from artdetect.evaluate import baselines
from artdetect.evaluate.baselines import palette, training_sample
from artdetect.pictures.images import Geometry
from artdetect.pictures.pixel_cache import PixelCache
from artdetect.pictures.source_folds import source_folds
from artdetect.stats.bootstrap import Bootstrap

SIDE = 12
SOURCES = 5  # of each class


@settings(max_examples=20)
@given(st.integers(0, 9999))
def test_a_palette_does_not_depend_on_where_pixels_are(seed: int) -> None:
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    moved = rng.permutation(picture.reshape(-1, 3)).reshape(picture.shape)
    np.testing.assert_array_equal(palette(picture), palette(moved))


def test_a_palette_is_the_share_of_pixels_at_each_level_of_each_channel() -> None:
    picture = np.zeros((SIDE, SIDE, 3), np.uint8)
    picture[: SIDE // 4] = (255, 16, 0)  # a quarter: hue 2.7 of 255, full saturation and value
    red, green, blue, hue, saturation, value = palette(picture).reshape(6, baselines.LEVELS)
    assert (red[0], red[-1], red[1:-1].sum()) == (0.75, 0.25, 0)
    assert (green[0], green[1]) == (0.75, 0.25)
    assert blue[0] == hue[0] == 1
    assert (saturation[-1], value[-1], value[0]) == (0.25, 0.25, 0.75)


def test_training_pictures_are_drawn_by_content_and_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "MAX_TRAINING", 40)
    table = pd.DataFrame({"sha256": [f"{number:064x}" for number in range(200)]})
    result = training_sample(table)
    assert len(result) == 40
    assert result.index.is_monotonic_increasing
    assert set(training_sample(table.sample(frac=1, random_state=1)).sha256) == set(result.sha256)
    assert len(training_sample(table[:7])) == 7


def noise_pictures(folder: Path, brighter: int, pictures: int = 60) -> tuple[pd.DataFrame, PixelCache]:
    """Pictures of noise, half of them AI and brighter; and files that are all alike."""
    rng, rows = np.random.default_rng(0), []
    for number in range(pictures):
        label = ("AI", "human")[number % 2]
        picture = rng.integers(0, 180, (SIDE, SIDE, 3)) + (brighter if label == "AI" else 0)
        Image.fromarray(picture.astype(np.uint8)).save(path := folder / f"{number}.png")
        rows.append({"path": str(path), "sha256": digests.file_digest(path), "label": label})
    metadata = {"width": SIDE, "height": SIDE, "bytes": 500, "format": "PNG", "mode": "RGB", "has_exif": False}
    table = pd.DataFrame(rows).assign(**metadata, jpeg_quality=pd.array([pd.NA] * pictures, "Int64"))
    source = [f"{label} {number // 2 % SOURCES}" for number, label in enumerate(table.label)]
    table = table.assign(source=source, generator=source, group=None)
    pixels = PixelCache(Geometry(SIDE, "squash"), folder / "cache")
    pixels.ensure([(row.sha256, Path(row.path)) for row in table.itertuples()])
    return table, pixels


def scored(table: pd.DataFrame, pixels: PixelCache, split: int = 100) -> dict[str, dict]:
    rows = baselines.baselines(table[:split], table[split:], table, pixels, Bootstrap(100, 0), lambda done, total: None)
    return {row["name"]: row for row in rows}


def test_colours_are_found_by_the_palette_and_not_in_files_that_are_alike(tmp_path: Path) -> None:
    result = scored(*noise_pictures(tmp_path, 60, 160))
    assert result["palette"]["roc_auc"]["value"] > 0.95
    assert result["palette"]["accuracy"]["low"] > 0.8
    assert result["file"]["roc_auc"] == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert result["file"]["balanced_accuracy"]["value"] == 0.5
    assert all(row["what"] for row in result.values())
    assert set(result["file"]) == {"name", "what", "accuracy", "balanced_accuracy", "roc_auc", "out_of_source"}


def test_colours_that_all_sources_of_a_class_share_are_found_out_of_source(tmp_path: Path) -> None:
    result = scored(*noise_pictures(tmp_path, 60, 160))
    assert result["palette"]["out_of_source"]["roc_auc"]["value"] > 0.95
    assert result["file"]["out_of_source"]["roc_auc"]["value"] == 0.5
    assert set(result["file"]["out_of_source"]) == {"balanced_accuracy", "roc_auc"}


def test_what_tells_sources_apart_is_of_no_use_on_others() -> None:
    """Each source has a value of its own, neighbours of the other class. Known sources are told apart by it."""
    number = np.tile(np.arange(10), 40)
    is_ai = number % 2 == 0
    features = number[:, None] + np.random.default_rng(0).normal(0, 0.05, (400, 1))
    table = pd.DataFrame({"sha256": [f"{row:064x}" for row in range(400)], "label": np.where(is_ai, "AI", "human")})
    source = [f"source {name}" for name in number]
    table = table.assign(source=source, generator=source, group=None)
    known = baselines._predict(features[::2], is_ai[::2], features[1::2])
    assert ((known >= 0.5) == is_ai[1::2]).all()
    found = baselines._out_of_source(features, is_ai, source_folds(table), 1)
    assert found is not None
    assert found["balanced_accuracy"]
    assert found["balanced_accuracy"]["value"] < 0.6
    assert baselines._out_of_source(features[is_ai], is_ai[is_ai], source_folds(table[is_ai]), 1) is None


def test_files_are_found_by_the_file_and_not_by_the_palette(tmp_path: Path) -> None:
    table, pixels = noise_pictures(tmp_path, 0, 160)
    quality = pd.Series(np.where(table.label == "AI", 75, 90)).astype("Int64")
    result = scored(table.assign(jpeg_quality=quality, format="JPEG"), pixels)
    assert result["file"]["roc_auc"]["value"] == 1
    assert result["file"]["roc_auc"]["low"] < 0.95
    assert result["palette"]["roc_auc"]["low"] < 0.5 < result["palette"]["roc_auc"]["high"]


def test_a_baseline_does_not_prefer_the_larger_class() -> None:
    p_ai = baselines._predict(np.zeros((62, 1)), np.arange(62) < 50, np.zeros((3, 1)))
    assert p_ai == pytest.approx([0.5] * 3)


def test_they_are_computed_once_for_the_same_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARTDETECT_DATA", str(tmp_path / "data"))
    table, pixels = noise_pictures(tmp_path, 60)
    (source := tmp_path / "index.parquet").write_bytes(b"1")
    calls: list[int] = []

    def compute(resamples: int = 100, left_out: tuple[str, ...] = ()) -> list[dict]:
        calls.append(0)
        return json_cache.cached_json(
            "baselines",
            baselines.cache_key([source], left_out, pixels, Bootstrap(resamples, 0)),
            lambda: baselines.baselines(
                table[:40],
                table[40:],
                table,
                pixels,
                Bootstrap(resamples, 0),
                lambda done, total: calls.append(done),
            ),
        )

    first = compute()
    assert calls == [0, 32, 60]
    assert (
        compute()
        == first
        == baselines.baselines(table[:40], table[40:], table, pixels, Bootstrap(100, 0), lambda *count: None)
    )
    assert calls == [0, 32, 60, 0]
    compute(200)
    assert calls.count(60) == 2
    source.write_bytes(b"2")
    compute()
    assert calls.count(60) == 3
    compute(left_out=("a",))
    assert calls.count(60) == 4
