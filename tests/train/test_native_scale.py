"""artnet with native crops: it is trained on the features that it judges pictures by."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from artdetect import train
from artdetect.artifacts import file_names
from artdetect.core import digests
from artdetect.model.detector import Detector
from artdetect.pictures import picture_views
from artdetect.train.config import TrainConfig

COUNTS = {"train": 24, "validation": 12}  # pictures of each class


def table(folder: Path) -> pd.DataFrame:
    """A balanced table of pictures of 72 x 64 px, of which the AI-generated ones are grainy."""
    rows = []
    for split, count in COUNTS.items():
        for label in ("AI", "human"):
            for number in range(count):
                rng = np.random.default_rng([len(split), label == "AI", number])
                blocks = Image.fromarray(rng.integers(40, 200, (6, 6, 3), np.uint8)).resize((72, 64))
                grain = rng.normal(0, 25 if label == "AI" else 2, (64, 72, 3))
                path = folder / f"{split}-{label}-{number}.png"
                Image.fromarray((np.asarray(blocks) + grain).clip(0, 255).astype(np.uint8)).save(path)
                style = f"style{number % 6}"
                rows.append(
                    {
                        "path": path.name, "sha256": digests.file_digest(path), "label": label, "style": style,
                        "generator": label, "source": style, "split": split, "group": None, "weight": 1.0,
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize(("size", "crops"), [(32, 2), pytest.param(64, 0, marks=pytest.mark.slow)])  # large or not
def test_training_and_use_embed_pictures_alike(roots: Path, size: int, crops: int) -> None:
    (roots / "pictures").mkdir()
    balance = table(roots / "pictures")
    balance.to_parquet(roots / "balance.parquet", index=False)
    config = TrainConfig(
        size=size, feature_blocks=("block0", "block2"), degraded_views=1, pca_components=8, native_crops=2
    )
    (out := roots / "out").mkdir()
    train.run(config, roots, roots / "pictures", out, roots / "work")
    detector = Detector.load(out / file_names.MODEL)
    assert detector.native_crops == 2
    trained_on = balance[balance.split == "train"]
    views = [
        picture_views.load(roots / "pictures" / path, detector.geometry, detector.native_crops)
        for path in trained_on.path
    ]
    assert {len(one.crops) for one in views} == {crops}
    with np.load(out / "neighbours.npz") as arrays:
        assert arrays["sha256"].astype(str).tolist() == trained_on.sha256.tolist()
        trained = arrays["embedding"].astype(np.float64)
    used = detector.scores_of(views).embedding
    assert used is not None
    np.testing.assert_allclose(used, trained, rtol=0.02, atol=0.05)  # features and embedding are stored as float16
    whole = detector.scores(np.stack([one.whole for one in views])).embedding
    assert whole is not None
    assert (np.abs(whole - trained).max() > 0.5) == (crops > 0)
