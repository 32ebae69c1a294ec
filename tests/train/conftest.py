"""What the tests of training share."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from artdetect.model.feature_cache import FeatureCache
from artdetect.train import artnet
from artdetect.train.artnet import FittedHead
from tests.train.artnet_pictures import CONFIG, EXTRACTOR, MAKERS, Parts, table


@pytest.fixture
def inputs(trained: Path, model: Path) -> tuple[Path, Path]:
    """The balance artifact and the pictures of the shared tiny set."""
    return trained / "artifacts" / "balance" / "k1", trained / "data" / "raw" / "art"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with pictures, and with one pixel and feature cache for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARTDETECT_DATA", str((root := tmp_path_factory.mktemp("artnet")) / "data"))
        (root / "pictures").mkdir()
        yield root


@pytest.fixture(scope="module")
def parts(root: Path) -> Parts:
    """Training and validation."""
    third = {maker: count // 3 for maker, count in MAKERS.items()}
    return table(root / "pictures", MAKERS, 0, "train"), table(root / "pictures", third, 100, "validation")


@pytest.fixture(scope="module")
def balance(root: Path, parts: Parts) -> Path:
    pd.concat(parts).drop(columns="file").to_parquet(root / "balance.parquet", index=False)
    return root


@pytest.fixture(scope="module")
def views(parts: Parts) -> list[FeatureCache]:
    both = pd.concat(parts)
    found = [FeatureCache(EXTRACTOR, number) for number in range(CONFIG.degraded_views + 1)]
    for view in found:
        view.ensure(list(zip(both.sha256, both.file, strict=True)))
    return found


@pytest.fixture(scope="module")
def fitted(views: list[FeatureCache], parts: Parts) -> FittedHead:
    return artnet.fit(CONFIG, views, *parts)
