"""The pixel cache holds the result of `images.load`."""

import hashlib
import shutil
from contextvars import copy_context
from pathlib import Path

import numpy as np
import pytest

from artdetect import compute
from artdetect.compute import ComputeConfig
from artdetect.core.errors import DataError
from artdetect.pictures import array_cache, images, pixel_cache
from artdetect.pictures.images import Geometry
from artdetect.pictures.pixel_cache import PixelCache

from .conftest import GEOMETRY, RECORD, content, keys


def test_the_cache_gives_the_same_bits_as_load(items, unbroken):
    cache = PixelCache(GEOMETRY, unbroken)
    rows = cache.rows(keys(items))
    array = cache.read(rows)
    assert (rows.dtype, array.dtype, array.shape) == (np.int64, np.uint8, (700, 16, 16, 3))
    for cached, (_, path) in zip(array, items, strict=True):
        np.testing.assert_array_equal(cached, images.load(path, GEOMETRY))
        np.testing.assert_array_equal(cached, images.load(path.read_bytes(), GEOMETRY))


def test_rows_follow_the_given_order(items, unbroken):
    cache = PixelCache(GEOMETRY, unbroken)
    rows = cache.rows(keys(items))
    np.testing.assert_array_equal(cache.rows(keys(items)[::-1]), rows[::-1])
    np.testing.assert_array_equal(cache.rows([items[3][0], items[3][0]]), [rows[3], rows[3]])
    assert len(cache.rows([])) == 0


def test_an_empty_cache_is_usable(tmp_path):
    cache = PixelCache(GEOMETRY, tmp_path / "none")
    cache.ensure([])
    assert (len(cache), cache.read(cache.rows([])).shape, cache.verify()) == (0, (0, 16, 16, 3), [])
    assert not (tmp_path / "none").exists()


def test_a_missing_picture_is_named(items, unbroken):
    with pytest.raises(DataError, match=f"1 of 2 pictures are not in the pixel cache.*{'0' * 64}"):
        PixelCache(GEOMETRY, unbroken).rows([items[0][0], "0" * 64])
    with pytest.raises(ValueError, match="64 hex digits"):
        PixelCache(GEOMETRY, unbroken).rows(["abc"])


def test_digests_that_end_in_zero_bytes_are_distinguished(tmp_path):
    # numpy strips trailing zero bytes from single values of its fixed-size strings.
    digests = [bytes([1] * 30 + [0, 0]).hex(), bytes([1] * 30 + [0, 1]).hex(), bytes(32).hex()]
    folder = tmp_path / "cache"
    folder.mkdir()
    records = [bytes([value]) * RECORD for value in range(3)]
    (folder / "pixels.u8").write_bytes(b"".join(records))
    (folder / "index.bin").write_bytes(array_cache._entries(digests, records).tobytes())
    cache = PixelCache(GEOMETRY, folder)
    assert cache.rows(digests).tolist() == [0, 1, 2]
    (folder / "pixels.u8").write_bytes(b"".join(records[:2]) + b"\7" * RECORD)
    assert cache.verify() == [bytes(32).hex()]


def resident() -> int:
    """Bytes of mapped files in this process's memory."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssFile"))
    return int(line.split()[1]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux reports resident memory")
def test_reading_a_large_cache_leaves_little_of_it_in_memory(tmp_path):
    geometry, count = Geometry(256, "crop"), 2_000  # 393 MB
    record = bytes(geometry.size**2 * 3)
    folder = tmp_path / "cache"
    folder.mkdir()
    with (folder / "pixels.u8").open("wb") as file:
        file.truncate(count * len(record))
    names = [f"{number:064x}" for number in range(count)]
    (folder / "index.bin").write_bytes(array_cache._entries(names, [record] * count).tobytes())
    cache = PixelCache(geometry, folder)
    before, peak = resident(), 0
    for start in range(0, count, 50):
        assert not cache.read(np.arange(start, start + 50)).any()
        peak = max(peak, resident() - before)
    assert 2**20 < peak < array_cache.RESIDENT_BYTES + 50 * len(record)


def test_only_what_is_missing_is_decoded(items, tmp_path, monkeypatch):
    cache = PixelCache(GEOMETRY, tmp_path / "cache")
    cache.ensure(items[:300])
    decoded = []
    load = images.load
    monkeypatch.setattr(images, "load", lambda path, *rest: decoded.append(path) or load(path, *rest))
    cache.ensure(items[290:310] + items[300:305])
    assert sorted(decoded) == sorted(path for _, path in items[300:310])
    assert len(cache) == 310


def test_progress_is_reported_after_each_chunk(items, tmp_path):
    calls = []
    PixelCache(GEOMETRY, tmp_path / "cache").ensure(items, progress=lambda *numbers: calls.append(numbers))
    assert calls == [(256, 700), (512, 700), (700, 700)]


def test_large_geometries_have_smaller_chunks(tmp_path):
    assert PixelCache(Geometry(1024, "crop"), tmp_path)._chunk == 64 // 3


@pytest.mark.parametrize(("engine", "workers"), [("threads", 1), ("threads", 7), ("processes", 2)])
def test_files_do_not_depend_on_the_compute_engine(items, unbroken, tmp_path, engine, workers):
    def fill():
        compute.use_compute(ComputeConfig(engine=engine, workers=workers))
        PixelCache(GEOMETRY, tmp_path / "cache").ensure(items)

    copy_context().run(fill)
    assert content(tmp_path / "cache") == content(unbroken)


def test_the_default_folder_depends_on_geometry_and_versions(monkeypatch, tmp_path):
    monkeypatch.setenv("ARTDETECT_DATA", str(tmp_path))
    folders = {
        pixel_cache.default_folder(geometry) for geometry in (GEOMETRY, Geometry(16, "squash"), Geometry(17, "crop"))
    }
    monkeypatch.setattr(images, "CACHE_VERSION", images.CACHE_VERSION + 1)
    folders.add(pixel_cache.default_folder(GEOMETRY))
    monkeypatch.setattr(pixel_cache.PIL, "__version__", "0.0")
    folders.add(pixel_cache.default_folder(GEOMETRY))
    assert len(folders) == 5
    assert {folder.parent for folder in folders} == {tmp_path / "cache" / "pixels"}


def test_a_changed_missing_or_broken_file_is_named_and_the_rest_stays(items, tmp_path):
    path = tmp_path / "changed.png"
    for damage in (lambda: path.write_bytes(b"other"), lambda: path.unlink()):
        shutil.copy(items[600][1], path)
        folder = tmp_path / "cache"
        damage()
        with pytest.raises(DataError, match=r"changed\.png"):
            PixelCache(GEOMETRY, folder).ensure([*items[:600], (items[600][0], path), *items[601:]])
        assert len(PixelCache(GEOMETRY, folder)) == 512  # two whole chunks
    broken = tmp_path / "broken.png"
    broken.write_bytes(items[0][1].read_bytes()[:-200])
    with pytest.raises(DataError, match=r"broken\.png.*truncated.*index stage"):
        PixelCache(GEOMETRY, folder).ensure([(hashlib.sha256(broken.read_bytes()).hexdigest(), broken)])
    PixelCache(GEOMETRY, folder).ensure(items)
    assert PixelCache(GEOMETRY, folder).verify() == []
