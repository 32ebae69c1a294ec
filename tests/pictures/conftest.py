"""A pixel cache of noise."""

import hashlib
import shutil

import numpy as np
import pytest
from PIL import Image

from artdetect.pictures.images import Geometry
from artdetect.pictures.pixel_cache import PixelCache

GEOMETRY = Geometry(size=16, fit="crop")
RECORD = 16 * 16 * 3


@pytest.fixture(scope="session")
def items(tmp_path_factory):
    """700 small pictures: three chunks."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    pictures = []
    for number in range(700):
        path = folder / f"{number}.png"
        Image.fromarray(random.integers(0, 255, (20, 24, 3), dtype=np.uint8)).save(path, compress_level=0)
        pictures.append((hashlib.sha256(path.read_bytes()).hexdigest(), path))
    return pictures


@pytest.fixture(scope="session")
def unbroken(items, tmp_path_factory):
    """The folder of a cache filled in one go."""
    folder = tmp_path_factory.mktemp("unbroken") / "cache"
    PixelCache(GEOMETRY, folder).ensure(items)
    return folder


@pytest.fixture
def filled(unbroken, tmp_path):
    """A copy of that cache, to be damaged."""
    return shutil.copytree(unbroken, tmp_path / "cache")


def content(folder):
    return {name: (folder / name).read_bytes() for name in ("pixels.u8", "index.bin")}


def keys(items):
    return [sha256 for sha256, _ in items]


def read(cache, items):
    return cache.read(cache.rows(keys(items)))
