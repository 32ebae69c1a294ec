"""Mutated pictures, tables and configs: an answer or one line, never a crash, and no other row suffers."""

import io
import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from artdetect import config
from artdetect.cli import main
from artdetect.core.errors import ArtdetectError
from artdetect.index import sources
from tests.tiny_dataset import data_set, jpeg, write

Record = Callable[[str, object], None]
KINDS = {
    "jpg": ({}, {"progressive": True}, {"quality": 30, "subsampling": 2}),
    "png": ({}, {"compress_level": 1}),
    "webp": ({}, {"lossless": True}),
    "gif": ({},),
    "bmp": ({},),
    "tif": ({}, {"compression": "tiff_lzw"}, {"compression": "tiff_adobe_deflate"}),
}


def originals() -> list[tuple[str, bytes]]:
    """Small pictures of many formats and modes."""
    pixels = np.random.default_rng(3).integers(0, 255, (40, 32, 4), dtype=np.uint8)
    found = []
    for suffix, choices in KINDS.items():
        for mode in ("RGB", "L", "P", "RGBA"):
            for options in choices:
                file = io.BytesIO()
                try:
                    Image.fromarray(pixels).convert("RGB").convert(mode).save(
                        file, Image.registered_extensions()[f".{suffix}"], **options
                    )
                except OSError:
                    continue  # a format without this mode
                found.append((suffix, file.getvalue()))
    return found


def mutated(content: bytes, draw: random.Random) -> bytes:
    """Flip bytes, cut, repeat or exchange parts: as files are damaged, or made by an attacker."""
    damaged = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 8, 40))):
        place = draw.randrange(len(damaged))
        match draw.randrange(5):
            case 0:
                damaged[place] ^= 1 << draw.randrange(8)
            case 1:
                damaged[place] = draw.choice((0, 255, draw.randrange(256)))
            case 2 if len(damaged) > 100:
                del damaged[place : place + draw.randrange(1, 50)]
            case 3:
                damaged[place:place] = damaged[place : place + draw.randrange(1, 50)]
            case _:
                damaged[place : place + 4] = draw.randbytes(4)
    return bytes(damaged)


def judge(folder: Path, count: int, capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """The rows of `predict` for so many mutated pictures, and for a good one at each end."""
    draw, sources = random.Random(129), originals()
    write(folder / "000000.jpg", jpeg(1))
    for number in range(count):
        suffix, content = draw.choice(sources)
        write(folder / f"{number + 1:06d}.{suffix}", mutated(content, draw))
    write(folder / f"{count + 1:06d}.jpg", jpeg(1))
    capsys.readouterr()
    assert main(["predict", str(folder), "--json"]) == 1
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    "count", [200, pytest.param(int(os.environ.get("FAULTS_PICTURES", "3000")), marks=pytest.mark.slow)]
)
def test_mutated_pictures_get_a_verdict_or_a_reason_each(
    count: int, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], record_property: Record
) -> None:
    rows = judge(tmp_path / "in", count, capsys)
    assert len(rows) == count + 2
    assert rows[0]["p_ai"] == rows[-1]["p_ai"] is not None
    for row in rows:
        assert (row["p_ai"] is None) == bool(row["error"])
        assert "\n" not in str(row["error"])
        assert row["p_ai"] is None or 0 <= float(str(row["p_ai"])) <= 1
    failed = sum(bool(row["error"]) for row in rows)
    assert count / 10 < failed < count
    record_property("tries", count)


def test_mutated_parquet_tables_of_sources_are_read_or_one_line(roots: Path, record_property: Record) -> None:
    folder = data_set(roots / "art", train=1, test=1)
    paths = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.jpg"))]
    file = io.BytesIO()
    pq.write_table(pa.table({"path": paths, "source": [f"s{number}" for number in range(len(paths))]}), file)
    draw, refused = random.Random(7), []
    for _ in range(200):
        table = write(folder / "sources.parquet", mutated(file.getvalue(), draw))
        try:
            sources.read_table(table, data_set=True)
        except ArtdetectError as error:
            refused.append(str(error))
    assert len(refused) > 20
    assert all("sources.parquet" in error for error in refused)
    record_property("tries", 200)


def test_mutated_configs_are_read_or_one_line(tmp_path: Path, record_property: Record) -> None:
    good = b'[download]\nurl = "x"\n[train]\npreset = "notebook"\nepochs = 3\n[gate]\nmax_drop_known = 0.02\n'
    draw, refused = random.Random(7), 0
    for _ in range(500):
        file = write(tmp_path / "a.toml", mutated(good, draw))
        try:
            config.load(file)
        except ArtdetectError:
            refused += 1
    assert refused > 100
    record_property("tries", 500)
