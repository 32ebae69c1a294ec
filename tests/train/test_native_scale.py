"""artnet with native crops: it is trained on the features that it judges pictures by."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from artdetect import train
from artdetect.model.detector import Detector
from artdetect.pictures import picture_views
from artdetect.train.config import TrainConfig
from tests.train.test_artnet import table

MAKERS = {"human": 24, "bright": 12, "grainy": 12}  # pictures of 72 x 64


@pytest.mark.parametrize(("size", "crops"), [(32, 2), (64, 0)])  # large and not large
def test_training_and_use_embed_pictures_alike(roots: Path, size: int, crops: int) -> None:
    (roots / "pictures").mkdir()
    parts = [table(roots / "pictures", MAKERS, 0, "train"), table(roots / "pictures", MAKERS, 100, "validation")]
    parts = [part.assign(source=part["style"], group=None) for part in parts]
    pd.concat(parts).drop(columns="file").to_parquet(roots / "balance.parquet", index=False)
    config = TrainConfig(
        size=size, feature_blocks=("block0", "block2"), degraded_views=1, pca_components=8, native_crops=2
    )
    (out := roots / "out").mkdir()
    train.run(config, roots, roots / "pictures", out, roots / "work")
    detector = Detector.load(out)
    assert detector.native_crops == 2
    views = [picture_views.load(file, detector.geometry, detector.native_crops) for file in parts[0].file]
    assert {len(one.crops) for one in views} == {crops}
    with np.load(out / "neighbours.npz") as arrays:
        assert arrays["sha256"].astype(str).tolist() == parts[0].sha256.tolist()
        trained = arrays["embedding"].astype(np.float64)
    used = detector.scores_of(views).embedding
    assert used is not None
    np.testing.assert_allclose(used, trained, rtol=0.02, atol=0.05)  # features and embedding are stored as float16
    whole = detector.scores(np.stack([one.whole for one in views])).embedding
    assert whole is not None
    assert (np.abs(whole - trained).max() > 0.5) == (crops > 0)
