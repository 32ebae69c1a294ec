"""No damaged record of the pixel cache is handed out."""

import shutil
from contextvars import copy_context

import numpy as np
import pytest

from artdetect import compute
from artdetect.compute import ComputeConfig
from artdetect.core.errors import DataError
from artdetect.pictures import array_cache
from artdetect.pictures.array_cache import ENTRY
from artdetect.pictures.pixel_cache import PixelCache

from .conftest import GEOMETRY, RECORD, content, keys, read


def flip(file, position):
    """Flip one bit of a file."""
    with file.open("r+b") as stream:
        stream.seek(position)
        byte = stream.read(1)
        stream.seek(position)
        stream.write(bytes([byte[0] ^ 1]))


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


def test_a_disk_that_also_damages_what_is_written_again_names_the_folder_to_delete(items, filled, monkeypatch):
    flip(filled / "pixels.u8", 7 * RECORD + 9)
    cache = PixelCache(GEOMETRY, filled)
    cache.ensure(items)
    write = array_cache._write
    monkeypatch.setattr(
        array_cache, "_write", lambda file, data: write(file, bytes(RECORD) if len(data) == RECORD else data)
    )
    with pytest.raises(DataError, match=rf"stays damaged when it is written: delete {filled}"):
        read(cache, items)


@pytest.mark.slow
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
