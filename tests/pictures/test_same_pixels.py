"""A picture gives the same pixels in train, evaluate, predict and explain."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from artdetect.explain import explained_pictures
from artdetect.explain.explained_pictures import ExplainedPicture
from artdetect.model import predict
from artdetect.model.detector import Detector
from artdetect.pictures import images
from artdetect.pictures.images import Geometry
from artdetect.pictures.pixel_cache import PixelCache
from artdetect.train import input_pipeline

TURNED = Image.Exif()
TURNED[0x0112] = 6
FILES: dict[str, dict[str, Any]] = {
    "small.jpg": {"size": (40, 30)},
    "decoded-at-an-eighth.jpg": {"size": (768, 768)},
    "decoded-at-a-half.jpg": {"size": (200, 120), "exif": TURNED},
    "print.jpg": {"size": (300, 260), "mode": "CMYK"},
    "lossless.png": {"size": (300, 200), "mode": "RGBA"},
    "palette.gif": {"size": (90, 130), "mode": "P"},
}


@pytest.fixture
def pictures(roots: Path) -> list[Path]:
    paths = []
    for seed, (name, options) in enumerate(FILES.items()):
        noise = np.random.default_rng(seed).integers(0, 255, (*options["size"][::-1], 3)).astype(np.uint8)
        picture = Image.fromarray(noise).convert(options.get("mode", "RGB"))
        picture.save(roots / name, **({"exif": options["exif"]} if "exif" in options else {}))
        paths.append(roots / name)
    return paths


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("geometry", [Geometry(32, "squash"), Geometry(64, "crop")])
def test_train_evaluate_predict_and_explain_see_the_same(
    pictures: list[Path], geometry: Geometry, cached: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [(hashlib.sha256(path.read_bytes()).hexdigest(), path) for path in pictures]
    expected = images.to_input(np.stack([images.load(path, geometry) for path in pictures]))

    if cached:
        pixels = PixelCache(geometry)
        pixels.ensure(items)
        rows = pixels.rows([sha256 for sha256, _ in items])
        part = input_pipeline.Split(pixels, rows, np.zeros(len(rows), int), np.ones(len(rows)))
        trained = [x for x, *_ in input_pipeline.validation_batches(part, 4).as_numpy_iterator()]
        np.testing.assert_array_equal(np.concatenate(trained), expected)
        np.testing.assert_array_equal(images.to_input(pixels.read(rows)), expected)
    predicted: list[np.ndarray] = []
    keep = predicted.append
    monkeypatch.setattr(predict, "verdicts", lambda _, loaded: [keep(views.whole) for _, views in loaded][:0])
    assert list(predict.predict(Detector(None, "none", geometry, {}), pictures)) == []  # type: ignore[arg-type]
    np.testing.assert_array_equal(images.to_input(np.stack(predicted)), expected)

    subjects = [ExplainedPicture(path, sha256, path.stem, "", 0) for sha256, path in items]
    explained = list(explained_pictures.inputs(Detector(None, "none", geometry, {}), subjects))  # type: ignore[arg-type]
    np.testing.assert_array_equal(np.stack(explained), expected)
