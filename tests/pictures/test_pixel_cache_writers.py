"""The pixel cache after kills, torn writes, full disks and second writers."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from artdetect.core.errors import DataError
from artdetect.pictures import array_cache
from artdetect.pictures.array_cache import ENTRY
from artdetect.pictures.pixel_cache import PixelCache
from tests.waiting import PATIENCE

from .conftest import GEOMETRY, RECORD, content, keys, read

WRITER = """
import sys
from pathlib import Path
from artdetect.pictures.images import Geometry
from artdetect.pictures.pixel_cache import PixelCache
folder, listing = map(Path, sys.argv[1:])
items = [(sha256, Path(path)) for sha256, path in (line.split(" ", 1) for line in listing.read_text().splitlines())]
cache = PixelCache(Geometry(16, "crop"), folder)
print("ready", flush=True)
cache.ensure(items, progress=lambda *numbers: print(*numbers, flush=True))
"""


@pytest.fixture
def writer(items, tmp_path):
    """Start a process that fills a cache, and wait until it is ready."""
    listing = tmp_path / "items"
    started = []

    def start(folder, chosen=items):
        listing.write_text("\n".join(f"{sha256} {path}" for sha256, path in chosen))
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder), str(listing)], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0.0, 0.02, 0.05, 0.09, 0.14, 0.2])
def test_a_writer_killed_at_any_moment_costs_only_time(items, unbroken, tmp_path, writer, delay):
    folder = tmp_path / "cache"
    process = writer(folder)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.wait()
    reader = PixelCache(GEOMETRY, folder)  # before it is repaired
    assert reader.verify() == []
    PixelCache(GEOMETRY, folder).ensure(items)
    assert content(folder) == content(unbroken)


def test_a_writer_killed_between_pixels_and_entries_costs_only_time(items, unbroken, tmp_path, writer):
    folder = tmp_path / "cache"
    process = writer(folder)
    assert process.stdout.readline() == "256 700\n"
    process.send_signal(signal.SIGSTOP)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with (folder / "pixels.u8").open("ab") as file:
        file.write(b"\1" * (RECORD * 3 + 5))
    reader = PixelCache(GEOMETRY, folder)
    assert len(reader) in (256, 512, 700)
    assert reader.verify() == []
    reader.ensure(items)
    assert content(folder) == content(unbroken)


@pytest.mark.slow
def test_two_writers_at_once_give_one_intact_cache(items, unbroken, tmp_path, writer):
    folder = tmp_path / "cache"
    first = writer(folder)
    second = writer(folder, items[::-1][:500])
    third = PixelCache(GEOMETRY, folder)
    third.ensure(items[100:200])
    assert (first.wait(PATIENCE), second.wait(PATIENCE)) == (0, 0)
    cache = PixelCache(GEOMETRY, folder)
    assert (len(cache), cache.verify()) == (700, [])
    good = PixelCache(GEOMETRY, unbroken)
    np.testing.assert_array_equal(cache.read(cache.rows(keys(items))), good.read(good.rows(keys(items))))


@pytest.mark.parametrize("cut", [1, ENTRY.itemsize - 1, ENTRY.itemsize, ENTRY.itemsize * 10 + 3])
@pytest.mark.parametrize("name", ["index.bin", "pixels.u8"])
def test_a_torn_tail_is_truncated_and_written_again(items, unbroken, filled, name, cut):
    os.truncate(filled / name, (filled / name).stat().st_size - cut)
    cache = PixelCache(GEOMETRY, filled)
    assert len(cache) < 700
    assert cache.verify() == []
    cache.ensure(items)
    assert content(filled) == content(unbroken)


@pytest.mark.parametrize(("name", "left"), [("index.bin", 630), ("pixels.u8", 700)])
def test_a_tail_of_zeros_after_a_loss_of_power_is_not_used(items, unbroken, filled, name, left):
    size = (filled / name).stat().st_size
    with (filled / name).open("r+b") as file:
        file.seek(size - size // 10)
        file.write(bytes(size // 10))
    cache = PixelCache(GEOMETRY, filled)
    assert len(cache) == left
    cache.ensure(items)
    np.testing.assert_array_equal(read(cache, items), read(PixelCache(GEOMETRY, unbroken), items))
    assert content(filled) == content(unbroken)


def test_one_file_without_the_other_is_an_empty_cache(items, unbroken, filled):
    for name in ("index.bin", "pixels.u8"):
        (filled / name).unlink()
        cache = PixelCache(GEOMETRY, filled)
        assert len(cache) == 0
        cache.ensure(items)
        assert content(filled) == content(unbroken)


def test_a_deleted_cache_is_built_again_and_stays_readable_until_then(items, unbroken, filled):
    cache, good = PixelCache(GEOMETRY, filled), PixelCache(GEOMETRY, unbroken)
    shutil.rmtree(filled)
    np.testing.assert_array_equal(cache.read(cache.rows(keys(items))), good.read(good.rows(keys(items))))
    cache.ensure(items)
    assert content(filled) == content(unbroken)


def test_a_cache_deleted_while_it_is_written_is_written_again(items, unbroken, tmp_path):
    folder = tmp_path / "cache"
    deleted = []

    def delete_once(done, missing):
        if not deleted:
            shutil.rmtree(folder)
            deleted.append(done)

    PixelCache(GEOMETRY, folder).ensure(items, progress=delete_once)
    assert content(folder) == content(unbroken)
    with pytest.raises(DataError, match="deleted"):
        PixelCache(GEOMETRY, tmp_path / "b").ensure(items[:10], progress=lambda *_: shutil.rmtree(tmp_path / "b"))


def test_a_full_disk_passes_through_and_the_cache_stays_valid(items, unbroken, tmp_path, monkeypatch):
    class Full:
        """A file on a disk with space for one and a half chunks."""

        def __init__(self, file):
            self.file = file

        def __getattr__(self, name):
            return getattr(self.file, name)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        def write(self, data):
            space = 400 * RECORD - self.file.tell()
            self.file.write(data[:space])
            if len(data) > space:
                raise OSError(28, "No space left on device")

    open_at = array_cache._open_at
    monkeypatch.setattr(array_cache, "_open_at", lambda path, size: Full(open_at(path, size)))
    folder = tmp_path / "cache"
    with pytest.raises(OSError, match="No space left"):
        PixelCache(GEOMETRY, folder).ensure(items)
    monkeypatch.undo()
    cache = PixelCache(GEOMETRY, folder)
    assert (len(cache), cache.verify()) == (256, [])
    cache.ensure(items)
    assert content(folder) == content(unbroken)


@pytest.mark.slow
def test_the_lock_of_a_killed_writer_is_free(items, tmp_path, writer):
    process = writer(tmp_path / "cache")
    with contextlib.suppress(ValueError):
        process.stdout.readline()
    process.kill()
    process.wait()
    cache = PixelCache(GEOMETRY, tmp_path / "cache")
    with ThreadPoolExecutor(1) as threads:
        threads.submit(cache.ensure, items[:20]).result(PATIENCE)
