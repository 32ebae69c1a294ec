"""A tiny data set, and helpers to index it and to change its files."""

import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from artdetect import index
from artdetect.index.config import IndexConfig
from artdetect.index.scan import DataSetState
from tests.tiny_dataset import data_set

FIRST = "train/baroque/000.jpg"


@pytest.fixture
def root(roots: Path) -> Path:
    return data_set(roots / "data" / "raw" / "art")


def table(pictures: DataSetState, out: Path) -> pd.DataFrame:
    out.mkdir(parents=True, exist_ok=True)
    index.run(IndexConfig(), pictures, out)
    return pd.read_parquet(out / "index.parquet").set_index("path")


def state(pictures: DataSetState, path: str) -> tuple[int, str]:
    """The size and state of a picture in the scan."""
    row = pictures.contents.to_pandas().set_index("path").loc[path]
    return row.bytes, row.state


def change_content_unnoticed(path: Path) -> None:
    """Change the content but neither size nor time, so that reading the file again would be detected."""
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def picture_files(root: Path) -> Iterator[Path]:
    return root.rglob("*.jpg")


def not_readable(path: Path, how: str) -> None:
    if how == "a broken link":
        path.symlink_to("nowhere.jpg")
    elif how == "a link to itself":
        path.symlink_to(path.name)
    elif how == "a pipe":
        os.mkfifo(path)
