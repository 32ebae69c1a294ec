"""Scans: which files are read, the metadata cache, and what a scan reports."""

import os
import random
import shutil
import signal
import subprocess
import sys
from contextvars import copy_context
from pathlib import Path

import pytest

from artdetect import compute, index
from artdetect.artifacts import store
from artdetect.artifacts.stages import STAGES, Plan
from artdetect.compute import ComputeConfig
from artdetect.core.errors import DataError
from artdetect.index import scan
from artdetect.index.config import IndexConfig
from artdetect.index.metadata_cache import MetadataCache
from artdetect.index.scan import DataSetState
from artdetect.monitoring import staleness
from artdetect.pictures import images
from tests import PROJECT
from tests.tiny_dataset import jpeg, write

from .conftest import FIRST, change_content_unnoticed, not_readable, picture_files, table


def test_an_unchanged_file_is_not_read_again(root: Path) -> None:
    first = scan.scan(root)
    for path in picture_files(root):
        change_content_unnoticed(path)
    read: list[int] = []
    again = scan.scan(root, lambda done, total: read.append(total))
    assert read == []
    assert again == first
    assert scan.quick_scan(root) == first


def test_only_what_is_new_is_read(root: Path) -> None:
    first = scan.scan(root)
    for path in picture_files(root):
        change_content_unnoticed(path)
    write(root / "train" / "baroque" / "new.jpg", jpeg(99))
    read: list[tuple[int, int]] = []
    again = scan.scan(root, lambda *counts: read.append(counts))
    assert read == [(1, 1)]
    assert scan.differences(first.contents, again.contents) == ["1 picture added"]


def test_a_touched_picture_is_the_same_picture(root: Path) -> None:
    first = scan.scan(root)
    os.utime(root / FIRST)
    assert scan.quick_scan(root) == first
    assert scan.scan(root) == first


def test_added_removed_and_replaced_pictures_are_counted(root: Path) -> None:
    first = scan.scan(root)
    (root / FIRST).unlink()
    write(root / "train" / "baroque" / "new1.jpg", jpeg(98))
    write(root / "train" / "baroque" / "new2.jpg", jpeg(99))
    write(root / "train" / "baroque" / "001.jpg", jpeg(97, side=30))
    quick, full = scan.quick_scan(root), scan.scan(root)
    expected = ["2 pictures added", "1 picture removed", "1 picture replaced"]
    assert quick.digest is None
    assert scan.differences(first.contents, quick.contents) == expected
    assert scan.differences(first.contents, full.contents) == expected
    assert full.digest not in (None, first.digest)


def test_a_quick_scan_is_complete_if_a_picture_was_only_removed(root: Path) -> None:
    scan.scan(root)
    (root / FIRST).unlink()
    quick = scan.quick_scan(root)
    assert quick.digest is not None
    assert quick == scan.scan(root)


def test_a_renamed_picture_is_another_data_set(root: Path) -> None:
    first = scan.scan(root)
    (root / FIRST).rename(root / "train" / "ukiyo-e" / "moved.jpg")
    assert scan.scan(root).digest != first.digest


@pytest.mark.slow
def test_a_killed_scan_resumes(root: Path) -> None:
    program = f"""
import os
from pathlib import Path
from artdetect import compute
from artdetect.index import scan
scan.CHUNK = compute.WORKER_CHUNK = 5
scan.scan(Path({str(root)!r}), lambda done, total: done == 10 and os.kill(os.getpid(), 9))
"""
    killed = subprocess.run([sys.executable, "-c", program], cwd=PROJECT)
    assert killed.returncode == -signal.SIGKILL
    read: list[tuple[int, int]] = []
    scan.scan(root, lambda *counts: read.append(counts))
    assert read == [(14, 14)]


def cache_files(root: Path) -> list[Path]:
    return sorted((root.parents[1] / "cache" / "file_metadata").glob("*/*"))


def test_reading_a_large_folder_saves_each_chunk_once_and_merges_at_the_end(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "CHUNK", 5)
    monkeypatch.setattr(compute, "WORKER_CHUNK", 1)
    saved: list[int] = []
    scan.scan(root, lambda done, total: saved.append(len(cache_files(root))))
    assert saved == [1, 2, 3, 4, 5]  # 24 pictures
    assert len(cache_files(root)) == 1


def test_removed_pictures_leave_the_cache(root: Path) -> None:
    first = scan.scan(root)
    added = write(root / "train" / "baroque" / "new.jpg", jpeg(99))
    assert len(MetadataCache(root).load()) == 24
    scan.scan(root)
    assert len(MetadataCache(root).load()) == 25
    added.unlink()
    assert scan.scan(root) == first
    assert len(MetadataCache(root).load()) == 24


def test_a_merge_killed_before_the_chunks_are_gone_changes_nothing(root: Path, tmp_path: Path) -> None:
    """The newest row of a picture counts, whichever file holds it."""
    first = scan.scan(root)
    cache = MetadataCache(root)
    old = cache.load()
    write(root / FIRST, jpeg(99))
    now = scan.scan(root)
    assert now != first
    fresh = cache.load().to_pylist()
    cache.merge(old)
    cache.add(fresh)
    assert len(cache.load()) == 48
    assert scan.quick_scan(root) == now
    assert scan.scan(root) == now


@pytest.mark.slow
def test_two_scans_at_once_read_each_picture_once(root: Path) -> None:
    program = f"""
from pathlib import Path
from artdetect.index import file_metadata, scan
read = file_metadata.file_metadata
def read_and_print(path):
    print(path, flush=True)
    return read(path)
file_metadata.file_metadata = read_and_print
scan.scan(Path({str(root)!r}))
"""
    both = [
        subprocess.Popen([sys.executable, "-c", program], cwd=PROJECT, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    read = [line for scanner in both for line in scanner.communicate()[0].splitlines()]
    assert [scanner.returncode for scanner in both] == [0, 0]
    assert sorted(read) == sorted(map(str, picture_files(root)))


@pytest.mark.parametrize("engine", ["threads", pytest.param("processes", marks=pytest.mark.slow)])
def test_every_compute_engine_gives_the_same_state(root: Path, engine: str) -> None:
    expected = scan.scan(root)
    shutil.rmtree(root.parents[1] / "cache")

    def again() -> DataSetState:
        compute.use_compute(ComputeConfig(engine=engine, workers=2))
        return scan.scan(root)

    assert copy_context().run(again) == expected


@pytest.mark.parametrize("content", [b"", b"PAR1 not at all", b"PAR1" + bytes(100) + b"PAR1"])
def test_a_damaged_cache_costs_only_time(root: Path, content: bytes) -> None:
    first = scan.scan(root)
    (cache,) = (root.parents[1] / "cache" / "file_metadata").glob("*/*.parquet")
    cache.write_bytes(content)
    assert scan.quick_scan(root).digest is None
    assert scan.scan(root) == first


def test_a_cache_damaged_anywhere_costs_only_time(root: Path) -> None:
    first = scan.scan(root)
    (cache,) = (root.parents[1] / "cache" / "file_metadata").glob("*/*.parquet")
    whole, chosen = cache.read_bytes(), random.Random(129)
    for _ in range(120):
        data = bytearray(whole)
        data[chosen.randrange(len(data))] ^= chosen.randrange(1, 256)
        cache.write_bytes(data[: chosen.choice([len(data), chosen.randrange(len(data))])])
        assert scan.quick_scan(root).digest in (None, first.digest)
    assert scan.scan(root) == first


def test_a_cache_deleted_while_it_is_filled_is_a_clear_error(root: Path) -> None:
    with pytest.raises(DataError, match=r"was deleted or damaged while.*run again"):
        scan.scan(root, lambda done, total: shutil.rmtree(root.parents[1] / "cache" / "file_metadata"))
    assert scan.scan(root).digest is not None


def test_a_quick_scan_knows_a_file_that_is_too_large(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_BYTES", 10_000)
    monkeypatch.setattr(scan, "QUICK_SCAN_LIMIT", 5_000)
    write(root / "train" / "baroque" / "huge.jpg", bytes(20_000))
    first = scan.scan(root)
    assert first.digest is not None
    assert scan.quick_scan(root) == first
    os.utime(root / "train" / "baroque" / "huge.jpg", ns=(1, 1))
    assert scan.quick_scan(root).digest is None


def test_a_cache_deleted_or_changed_between_scan_and_index_is_a_clear_error(root: Path, tmp_path: Path) -> None:
    pictures = scan.scan(root)
    write(root / FIRST, jpeg(99))
    scan.scan(root)
    with pytest.raises(DataError, match=f"{FIRST} changed while it was indexed"):
        table(pictures, tmp_path / "out")
    pictures = scan.scan(root)
    shutil.rmtree(root.parents[1] / "cache")
    with pytest.raises(DataError, match="run again"):
        table(pictures, tmp_path / "out")


def test_staleness_counts_the_pictures_and_survives_a_damaged_index(root: Path) -> None:
    first = scan.scan(root)
    with store.build("index", "k1", {"inputs": {"pictures": first.digest}}) as out:
        index.run(IndexConfig(), first, out)
    write(root / "train" / "baroque" / "new.jpg", jpeg(99))
    new = scan.scan(root)
    plan = Plan(STAGES["index"], {"inputs": {"pictures": new.digest}}, "k2")
    assert staleness.reasons(plan, new.contents) == ["1 picture added"]
    (store.place("index", "k1") / "index.parquet").write_bytes(b"PAR1 damaged")
    assert staleness.reasons(plan, new.contents) == ["pictures changed"]


def test_an_unreadable_picture_does_not_count_as_a_change(root: Path) -> None:
    not_readable(root / "train" / "baroque" / "bad.jpg", "a broken link")
    first = scan.scan(root)
    with store.build("index", "k1", {"inputs": {"pictures": first.digest}}) as out:
        index.run(IndexConfig(), first, out)
    write(root / "train" / "baroque" / "new.jpg", jpeg(99))
    assert staleness.picture_changes("k1", scan.scan(root).contents) == ["1 picture added"]
