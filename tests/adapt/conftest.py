"""A project with an artnet of drawn pictures, and own pictures that it judges wrongly."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from artdetect import train
from artdetect.artifacts import store
from tests.train.artnet_pictures import CONFIG, MAKERS, draw, table

HUMAN, AI = "bright", "human"  # makers of own pictures: human ones look like a generator's, and the other way round


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
            pd.concat(rows).drop(columns="file").to_parquet(out / "balance.parquet", index=False)
        inputs = {"balance": store.load("balance", "b1").digest}
        with store.build("train", "t1", {"inputs": inputs}) as out:
            config = CONFIG.model_copy(update={"head": "linear"})
            train.run(config, store.place("balance", "b1"), root / "pictures", out, root / "work")
    return root


@pytest.fixture
def base(base_root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The artifact folder of the artnet in a project of the test's own, which has its balance, too."""
    monkeypatch.setenv("ARTDETECT_DATA", str(tmp_path / "project" / "data"))
    monkeypatch.setenv("ARTDETECT_ARTIFACTS", str(artifacts := tmp_path / "project" / "artifacts"))
    shutil.copytree(base_root / "artifacts", artifacts)
    contents = {path: path.read_bytes() for path in (artifacts / "train" / "t1").iterdir()}
    yield artifacts / "train" / "t1"
    assert contents == {path: path.read_bytes() for path in (artifacts / "train" / "t1").iterdir()}


@pytest.fixture
def own(tmp_path: Path) -> Callable[..., Path]:
    """Draws own pictures, `human` and `ai` many, numbered from `first`, and returns their folder."""

    def drawn(human: int = 20, ai: int = 20, first: int = 500, scale: int = 1) -> Path:
        folder = tmp_path / f"own-{human}-{ai}-{first}-{scale}"
        for label, maker, count in (("human", HUMAN, human), ("AI", AI, ai)):
            for number in range(first, first + count):
                (folder / label).mkdir(parents=True, exist_ok=True)
                picture = draw(maker, number)
                picture.resize((picture.width * scale, picture.height * scale)).save(folder / label / f"{number}.png")
        return folder

    return drawn
