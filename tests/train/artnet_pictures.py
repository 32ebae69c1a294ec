"""Drawn pictures of three makers, for the tests of artnet."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from artdetect.model.extractor import Extractor
from artdetect.pictures.images import Geometry
from artdetect.train.config import TrainConfig

Parts = tuple[pd.DataFrame, pd.DataFrame]
CONFIG = TrainConfig(size=64, feature_blocks=("block0", "block2"), degraded_views=1, pca_components=12)
EXTRACTOR = Extractor("efficientnet-lite0", ("block0", "block2"), Geometry(64, "crop"))
MAKERS = {"human": 48, "bright": 24, "grainy": 24}  # training pictures; a third as many for validation


def draw(maker: str, seed: int) -> Image.Image:
    """Blocks of colour. One generator's are brighter, the other's are grainy."""
    rng = np.random.default_rng([*maker.encode(), seed])
    blocks = rng.integers(40, 160, (6, 6, 3)) + 80 * (maker == "bright")
    picture = np.asarray(Image.fromarray(blocks.astype(np.uint8)).resize((72, 64), Image.Resampling.BICUBIC))
    grain = rng.normal(0, 27 if maker == "grainy" else 2, picture.shape)
    return Image.fromarray((picture + grain).clip(0, 255).astype(np.uint8))


def table(folder: Path, counts: dict[str, int], first: int, split: str) -> pd.DataFrame:
    """Draw pictures of each maker, numbered from `first`, and return their rows of the balanced table."""
    rows = []
    for maker, count in counts.items():
        for number in range(first, first + count):
            path = folder / f"{maker}-{number}.png"
            draw(maker, number).save(path)
            label = "human" if maker == "human" else "AI"
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            style = f"style{number % 7}"
            source = style if maker == "human" else maker
            rows.append((path.name, sha256, label, style, maker, source, split, 1.0))
    columns = ["path", "sha256", "label", "style", "generator", "source", "split", "weight"]
    balance = pd.DataFrame(rows, columns=columns).assign(group=pd.Series(pd.NA, range(len(rows)), "string"))
    return balance.assign(file=[folder / name for name in balance.path])
