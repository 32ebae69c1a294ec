"""A project with an artnet of drawn pictures, and own pictures that it judges wrongly."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from artdetect import adapt, train
from artdetect.adapt import Adapted, own_pictures
from artdetect.artifacts import store
from artdetect.artifacts.store import Artifact
from artdetect.model.detector import Detector
from tests.train.artnet_pictures import CONFIG, MAKERS, draw, table

HUMAN, AI = "bright", "human"  # makers of own pictures: human ones look like a generator's, and the other way round


def adapted_to(model: Path, folder: Path) -> tuple[Adapted, Artifact]:
    """The model in an artifact folder or file, adapted to the pictures in a folder, and its artifact."""
    own = own_pictures(folder)
    adapted = adapt.adapt(Detector.load(model), model, own)
    return adapted, adapt.publish(adapted, model, own)


def draw_own(folder: Path, human: int, ai: int, first: int, scale: int = 1) -> Path:
    for label, maker, count in (("human", HUMAN, human), ("AI", AI, ai)):
        for number in range(first, first + count):
            (folder / label).mkdir(parents=True, exist_ok=True)
            picture = draw(maker, number)
            picture.resize((picture.width * scale, picture.height * scale)).save(folder / label / f"{number}.png")
    return folder


def mixed(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows whose generators and sources each have AI pictures of both makers, so that art of others can be judged."""
    number = pd.Series(range(len(rows)))
    generator = "generator" + (number % 2).astype(str)
    source = "site" + (number % 6).astype(str)
    ai = rows.label == "AI"
    changed = rows.assign(generator=rows.generator.mask(ai, generator), source=rows.source.mask(ai, source))
    return changed.drop(columns="file")


@pytest.fixture(scope="session")
def base_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/ and artifacts/ with a balance `b1` and an artnet `t1` that was trained on it. For reading only."""
    root = tmp_path_factory.mktemp("adapt")
    (root / "pictures").mkdir()
    third = {maker: count // 3 for maker, count in MAKERS.items()}
    rows = [table(root / "pictures", MAKERS, 0, "train"), table(root / "pictures", third, 100, "validation")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARTDETECT_DATA", str(root / "data"))
        patch.setenv("ARTDETECT_ARTIFACTS", str(root / "artifacts"))
        with store.build("balance", "b1", {}) as out:
            mixed(pd.concat(rows, ignore_index=True)).to_parquet(out / "balance.parquet", index=False)
        inputs = {"balance": store.load("balance", "b1").digest}
        with store.build("train", "t1", {"inputs": inputs}) as out:
            config = CONFIG.model_copy(update={"head": "linear"})
            train.run(config, store.place("balance", "b1"), root / "pictures", out, root / "work")
    return root


@pytest.fixture(scope="session")
def own_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 + 20 own pictures. For reading only."""
    return draw_own(tmp_path_factory.mktemp("own"), 20, 20, 500)


@pytest.fixture(scope="session")
def adapted_once(base_root: Path, own_folder: Path) -> tuple[Adapted, Artifact]:
    """The artnet, adapted to them, in the artifacts of `base_root`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARTDETECT_ARTIFACTS", str(base_root / "artifacts"))
        return adapted_to(store.place("train", "t1"), own_folder)


@pytest.fixture
def base(base_root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The artnet's artifact in a project of the test's own, which has its balance, too. No test may change it."""
    monkeypatch.setenv("ARTDETECT_DATA", str(tmp_path / "project" / "data"))
    monkeypatch.setenv("ARTDETECT_ARTIFACTS", str(artifacts := tmp_path / "project" / "artifacts"))
    for name in ("balance/b1", "train/t1"):
        shutil.copytree(base_root / "artifacts" / name, artifacts / name)
    folder = artifacts / "train" / "t1"
    contents = {path: path.read_bytes() for path in folder.iterdir()}
    yield folder
    assert contents == {path: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def adapted(adapted_once: tuple[Adapted, Artifact], base: Path, base_root: Path) -> tuple[Adapted, Artifact]:
    """The adapted model in that project."""
    _, artifact = adapted_once
    shutil.copytree(base_root / "artifacts" / "train" / artifact.key, artifact.folder)
    return adapted_once


@pytest.fixture
def own(tmp_path: Path) -> Callable[..., Path]:
    """Draws own pictures, `human` and `ai` many, numbered from `first`, and returns their folder."""
    return lambda human=20, ai=20, first=500, scale=1: draw_own(
        tmp_path / f"own-{human}-{ai}-{first}-{scale}", human, ai, first, scale
    )
