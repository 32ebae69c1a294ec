"""The pixel cache holds the result of `images.load`, whatever kills, torn writes and second writers do."""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from artdetect import compute
from artdetect.compute import ComputeConfig
from artdetect.core.errors import DataError
from artdetect.pictures import array_cache, images, pixel_cache
from artdetect.pictures.array_cache import ENTRY
from artdetect.pictures.images import Geometry
from artdetect.pictures.pixel_cache import PixelCache
from tests.waiting import PATIENCE

GEOMETRY = Geometry(size=16, fit="crop")
RECORD = 16 * 16 * 3


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
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


WRITER = """
import sys
from pathlib import Path
from artdetect.pictures.images import Geometry
from artdetect.pictures.pixel_cache import PixelCache
from tests.waiting import PATIENCE
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
    assert (first.wait(30), second.wait(30)) == (0, 0)
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


def flip(file, position):
    """Flip one bit of a file."""
    with file.open("r+b") as stream:
        stream.seek(position)
        byte = stream.read(1)
        stream.seek(position)
        stream.write(bytes([byte[0] ^ 1]))


def read(cache, items):
    return cache.read(cache.rows(keys(items)))


def test_a_corrupted_record_is_found_by_verify(items, filled):
    flip(filled / "pixels.u8", 5 * RECORD + 100)
    cache = PixelCache(GEOMETRY, filled)
    assert len(cache) == 700  # opening does not read records
    assert cache.verify() == [items[5][0]]


@pytest.mark.parametrize("row", [0, 5, 350, 699])
def test_a_damaged_record_is_never_handed_out_but_made_again(items, unbroken, filled, caplog, row):
    flip(filled / "pixels.u8", row * RECORD + 100)
    cache = PixelCache(GEOMETRY, filled)
    cache.ensure(items)
    np.testing.assert_array_equal(read(cache, items), read(PixelCache(GEOMETRY, unbroken), items))
    (warning,) = (record.getMessage() for record in caplog.records)
    assert "pixel cache" in warning
    assert str(filled) in warning
    assert content(filled) == content(unbroken)
    caplog.clear()
    read(PixelCache(GEOMETRY, filled), items)
    assert not caplog.records


def test_all_damaged_records_are_made_again_at_once_and_counted(items, unbroken, filled, caplog):
    for row in (3, 77, 401):
        flip(filled / "pixels.u8", row * RECORD)
    cache = PixelCache(GEOMETRY, filled)
    cache.ensure(items)
    np.testing.assert_array_equal(read(cache, items[:10]), read(PixelCache(GEOMETRY, unbroken), items[:10]))
    assert [record.getMessage() for record in caplog.records] == [
        f"pixel cache {filled}: 3 of 700 records are damaged and are made again"
    ]
    assert content(filled) == content(unbroken)


def test_a_record_that_another_process_damages_after_the_cache_was_opened_is_made_again(items, unbroken, filled):
    cache = PixelCache(GEOMETRY, filled)
    cache.ensure(items)
    flip(filled / "pixels.u8", 7 * RECORD + 9)
    np.testing.assert_array_equal(read(cache, items), read(PixelCache(GEOMETRY, unbroken), items))


def test_two_readers_of_one_damaged_record_both_get_it_whole(items, unbroken, filled, caplog):
    flip(filled / "pixels.u8", 7 * RECORD + 9)
    first, second = PixelCache(GEOMETRY, filled), PixelCache(GEOMETRY, filled)
    for cache in (first, second):
        cache.ensure(items)
    good = read(PixelCache(GEOMETRY, unbroken), items)
    np.testing.assert_array_equal(read(first, items), good)
    np.testing.assert_array_equal(read(second, items), good)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("field", ["sha256", "record_crc", "entry_crc"])
def test_a_damaged_entry_costs_its_picture_only(items, unbroken, filled, caplog, field):
    flip(filled / "index.bin", 5 * ENTRY.itemsize + ENTRY.fields[field][1])
    cache = PixelCache(GEOMETRY, filled)
    assert cache.verify()
    cache.ensure(items)
    np.testing.assert_array_equal(read(cache, items), read(PixelCache(GEOMETRY, unbroken), items))
    assert [record.getMessage() for record in caplog.records] == [
        f"pixel cache {filled}: 1 damaged entries; the records needed are made again"
    ]
    assert len(PixelCache(GEOMETRY, filled)) == 701


def test_a_picture_is_loaded_from_its_file_if_its_record_is_damaged(items, unbroken, filled):
    flip(filled / "pixels.u8", 7 * RECORD + 9)
    np.testing.assert_array_equal(
        PixelCache(GEOMETRY, filled).load(*items[7]), read(PixelCache(GEOMETRY, unbroken), [items[7]])[0]
    )
    assert content(filled) == content(unbroken)


def test_damage_that_cannot_be_repaired_names_the_folder_to_delete(items, filled, tmp_path):
    flip(filled / "pixels.u8", 7 * RECORD + 9)
    cache = PixelCache(GEOMETRY, filled)
    with pytest.raises(DataError, match=rf"damaged at picture {items[7][0]}.*delete {filled} and run again"):
        read(cache, items)
    cache.ensure([*items[:7], (items[7][0], tmp_path / "gone.png"), *items[8:]])
    with pytest.raises(DataError, match=r"gone\.png"):
        read(cache, items)
    shutil.rmtree(filled)
    with pytest.raises(DataError, match="deleted or changed while it was read: run again"):
        read(cache, items)


def test_damaged_pixels_reach_no_worker_process(items, unbroken, filled):
    """Workers get pixels from the process that reads the cache, so that its check covers them."""

    def sums(folder):
        compute.use_compute(ComputeConfig(engine="processes", workers=2))
        cache = PixelCache(GEOMETRY, folder)
        cache.ensure(items)
        pictures = (cache.read(row)[0] for row in cache.rows(keys(items))[:, None])
        return [total for _, totals in compute.chunks(pixel_sums, pictures, 64) for total in totals]

    flip(filled / "pixels.u8", 9 * RECORD + 3)
    assert copy_context().run(sums, filled) == copy_context().run(sums, unbroken)


def pixel_sums(pictures):
    return [int(picture.sum()) for picture in pictures]


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
