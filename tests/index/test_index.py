import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextvars import copy_context
from pathlib import Path

import pandas as pd
import pytest

from artdetect import compute, index
from artdetect.artifacts import store
from artdetect.artifacts.stages import STAGES, Plan
from artdetect.compute import ComputeConfig
from artdetect.core import paths
from artdetect.core.errors import ArtdetectError, DataError
from artdetect.index import listing, scan
from artdetect.index.config import IndexConfig
from artdetect.index.metadata_cache import MetadataCache
from artdetect.index.scan import DataSetState
from artdetect.monitoring import staleness
from artdetect.pictures import images, labels
from tests import PROJECT
from tests.tiny_dataset import data_set, jpeg, write

FIRST = "train/baroque/000.jpg"


@pytest.fixture
def root(roots: Path) -> Path:
    return data_set(roots / "data" / "raw" / "art")


def table(pictures: DataSetState, out: Path) -> pd.DataFrame:
    out.mkdir(parents=True, exist_ok=True)
    index.run(IndexConfig(), pictures, out)
    return pd.read_parquet(out / "index.parquet").set_index("path")


def state(pictures: DataSetState, path: str) -> tuple[int, str]:
    """What the scan holds a picture's content to be."""
    row = pictures.contents.to_pandas().set_index("path").loc[path]
    return row.bytes, row.state


def swap_unseen(path: Path) -> None:
    """Other content of the same size, the time put back: whoever reads the file again gives himself away."""
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def everything(root: Path) -> Iterator[Path]:
    return root.rglob("*.jpg")


# --- the table ---


def test_a_row_a_picture_with_what_its_folder_says(root: Path, tmp_path: Path) -> None:
    rows = table(scan.scan(root), tmp_path / "out")
    assert len(rows) == 4 * 6
    assert list(rows.index) == sorted(rows.index)
    said = rows[["label", "split", "style", "generator", "origin"]].agg(tuple, axis=1)
    assert said["train/AI_SD_ukiyo_e/000.jpg"] == ("AI", "train", "ukiyo_e", "stable_diffusion", "raw")
    assert said["test/ukiyo-e/001.jpg"] == ("human", "test", "ukiyo_e", "human", "raw")
    assert rows.ok.all()
    assert set(rows.columns) == {
        "label", "split", "style", "generator", "origin", "bytes", "sha256", "width", "height", "format", "mode",
        "jpeg_quality", "has_exif", "animated", "phash", "contrast", "ok", "error",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["a.JPG", "a.jpeg", "a.webp", "a.PNG", "deeper/a.jpg"])
def test_pictures_are_taken_whatever_case_and_suffix(root: Path, tmp_path: Path, name: str) -> None:
    write(root / "train" / "baroque" / name, jpeg(99))
    assert table(scan.scan(root), tmp_path / "out").ok[f"train/baroque/{name}"]


def test_what_looking_at_a_folder_leaves_in_it_changes_nothing(root: Path) -> None:
    before = scan.scan(root)
    write(root / "train" / "baroque" / "Thumbs.db", b"x")
    write(root / ".DS_Store", b"x")
    after = scan.scan(root)
    assert (after.digest, after.skipped) == (before.digest, before.skipped)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("train/baroque/._000.jpg", "not a picture by its name"),
        ("train/baroque/notes.txt", "not a picture by its name"),
        ("train/__MACOSX/000.jpg", "folder name says neither AI nor human"),
        ("train/ai_sd_x/000.jpg", "folder name says neither AI nor human"),
        ("train/.cache/000.jpg", "folder name says neither AI nor human"),
        ("__MACOSX/train/baroque/000.jpg", "not below train/<style>/ or test/<style>/"),
        ("validation/baroque/000.jpg", "not below train/<style>/ or test/<style>/"),
        ("train/000.jpg", "not below train/<style>/ or test/<style>/"),
        ("000.jpg", "not below train/<style>/ or test/<style>/"),
        ("train/baroque/.thumbnails/000.jpg", "in a hidden folder"),
        ("train/baroque/__MACOSX/000.jpg", "in a hidden folder"),
    ],
)
def test_what_is_left_out_is_listed_by_reason(root: Path, tmp_path: Path, path: str, reason: str) -> None:
    write(root / path, jpeg(99))
    pictures = scan.scan(root)
    assert len(table(pictures, tmp_path / "out")) == 24
    assert json.loads((tmp_path / "out" / "skipped.json").read_text()) == {reason: [path]}


def test_a_name_that_is_no_unicode_is_left_out_and_named(root: Path, tmp_path: Path) -> None:
    write(root / "train" / "baroque" / os.fsdecode(b"caf\xe9.jpg"), jpeg(99))
    assert len(table(scan.scan(root), tmp_path / "out")) == 24
    skipped = json.loads((tmp_path / "out" / "skipped.json").read_text())
    assert skipped == {"name is not valid UTF-8": [r"train/baroque/caf\udce9.jpg"]}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"<html><body>Too many requests</body></html>", "web page"),
        (jpeg(1)[:-200], "truncated"),
        (jpeg(1)[:20], "damaged"),
        (b"PK\x03\x04" + bytes(500), "not a picture"),
    ],
)
def test_a_bad_file_is_a_row_with_a_reason(root: Path, tmp_path: Path, content: bytes, reason: str) -> None:
    write(root / "train" / "baroque" / "bad.jpg", content)
    rows = table(scan.scan(root), tmp_path / "out")
    assert len(rows) == 25
    assert not rows.ok["train/baroque/bad.jpg"]
    assert reason in rows.error["train/baroque/bad.jpg"]
    assert rows.ok.sum() == 24


def not_readable(path: Path, how: str) -> None:
    if how == "a broken link":
        path.symlink_to("nowhere.jpg")
    elif how == "a link to itself":
        path.symlink_to(path.name)
    elif how == "a pipe":
        os.mkfifo(path)


@pytest.mark.parametrize("how", ["a broken link", "a link to itself", "a pipe"])
def test_a_file_that_cannot_be_read_is_a_row_and_does_not_hide_later_changes(
    root: Path, tmp_path: Path, how: str
) -> None:
    not_readable(root / "train" / "baroque" / "bad.jpg", how)
    first = scan.scan(root)
    rows = table(first, tmp_path / "out")
    assert not rows.ok["train/baroque/bad.jpg"]
    assert rows.error["train/baroque/bad.jpg"]
    assert first.digest is not None
    assert scan.quick_scan(root).digest == scan.scan(root).digest == first.digest
    write(root / "train" / "baroque" / "new.jpg", jpeg(99))
    assert scan.scan(root).digest not in (None, first.digest)


def test_a_file_that_could_not_be_read_is_tried_again(root: Path) -> None:
    """Permissions and mounts come back without a new time stamp on the file."""
    link = root / "train" / "baroque" / "link.jpg"
    link.symlink_to("target.jpg")
    first = scan.scan(root)
    assert state(first, "train/baroque/link.jpg") == (0, "cannot be read: no such file or directory")
    write(root / "train" / "baroque" / "target.jpg", jpeg(99))
    again = scan.scan(root)
    assert state(again, "train/baroque/link.jpg") == state(again, "train/baroque/target.jpg")


def test_an_empty_data_set_names_the_layout(roots: Path, tmp_path: Path) -> None:
    (roots / "data" / "raw" / "art" / "train").mkdir(parents=True)
    with pytest.raises(DataError, match=r"no pictures found below train/<style>/"):
        index.run(IndexConfig(), scan.scan(roots / "data" / "raw" / "art"), tmp_path)


def test_the_notice_of_a_data_set_is_kept_and_its_edit_noticed(root: Path, tmp_path: Path) -> None:
    write(root / "NOTICE.txt", "drawn by a program – ©".encode())
    pictures = scan.scan(root)
    table(pictures, tmp_path / "out")
    assert (tmp_path / "out" / "notice.txt").read_text() == "drawn by a program – ©"
    write(root / "NOTICE.txt", b"painted")
    assert scan.scan(root).digest != pictures.digest


def test_the_same_pictures_give_the_same_bytes_wherever_and_in_whatever_order_they_were_written(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "another place" / "of another name"
    for path in sorted(everything(root), reverse=True):
        write(other / path.relative_to(root), path.read_bytes())
    here, there = scan.scan(root), scan.scan(other)
    assert here.digest == there.digest
    table(here, tmp_path / "one")
    table(there, tmp_path / "two")
    for name in ("index.parquet", "skipped.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_listing_order_does_not_matter(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one thing replaced is what the file system decides: the order of its entries."""
    table(scan.scan(root), tmp_path / "one")
    listed = listing._entries
    monkeypatch.setattr(listing, "_entries", lambda folder: sorted(listed(folder), key=lambda e: e.name, reverse=True))
    shutil.rmtree(tmp_path / "data" / "cache")
    table(scan.scan(root), tmp_path / "two")
    assert (tmp_path / "one" / "index.parquet").read_bytes() == (tmp_path / "two" / "index.parquet").read_bytes()


# --- what is read again ---


def test_an_unchanged_file_is_not_read_again(root: Path) -> None:
    first = scan.scan(root)
    for path in everything(root):
        swap_unseen(path)
    read: list[int] = []
    again = scan.scan(root, lambda done, total: read.append(total))
    assert read == []
    assert again == first
    assert scan.quick_scan(root) == first


def test_only_what_is_new_is_read(root: Path) -> None:
    first = scan.scan(root)
    for path in everything(root):
        swap_unseen(path)
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


def test_added_removed_and_replaced_pictures_are_told(root: Path) -> None:
    first = scan.scan(root)
    (root / FIRST).unlink()
    write(root / "train" / "baroque" / "new1.jpg", jpeg(98))
    write(root / "train" / "baroque" / "new2.jpg", jpeg(99))
    write(root / "train" / "baroque" / "001.jpg", jpeg(97, side=30))
    glanced, scanned = scan.quick_scan(root), scan.scan(root)
    said = ["2 pictures added", "1 picture removed", "1 picture replaced"]
    assert glanced.digest is None
    assert scan.differences(first.contents, glanced.contents) == said
    assert scan.differences(first.contents, scanned.contents) == said
    assert scanned.digest not in (None, first.digest)


def test_a_removed_picture_alone_is_known_at_a_glance(root: Path) -> None:
    scan.scan(root)
    (root / FIRST).unlink()
    glanced = scan.quick_scan(root)
    assert glanced.digest is not None
    assert glanced == scan.scan(root)


def test_a_renamed_picture_is_another_data_set(root: Path) -> None:
    first = scan.scan(root)
    (root / FIRST).rename(root / "train" / "ukiyo-e" / "moved.jpg")
    assert scan.scan(root).digest != first.digest


def test_a_killed_scan_goes_on_where_it_was(root: Path) -> None:
    program = f"""
import os
from pathlib import Path
from artdetect import compute
from artdetect.index import scan
scan.CHUNK = compute.PIECE = 5
scan.scan(Path({str(root)!r}), lambda done, total: done == 10 and os.kill(os.getpid(), 9))
"""
    killed = subprocess.run([sys.executable, "-c", program], cwd=PROJECT)
    assert killed.returncode == -signal.SIGKILL
    read: list[tuple[int, int]] = []
    scan.scan(root, lambda *counts: read.append(counts))
    assert read == [(14, 14)]


def facts_files(root: Path) -> list[Path]:
    return sorted((root.parents[1] / "cache" / "facts").glob("*/*"))


def test_reading_a_large_folder_saves_each_chunk_once_and_merges_at_the_end(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "CHUNK", 5)
    monkeypatch.setattr(compute, "WORKER_CHUNK", 1)
    kept: list[int] = []
    scan.scan(root, lambda done, total: kept.append(len(facts_files(root))))
    assert kept == [1, 2, 3, 4, 5]  # 24 pictures
    assert len(facts_files(root)) == 1


def test_what_is_gone_leaves_the_cache(root: Path) -> None:
    first = scan.scan(root)
    added = write(root / "train" / "baroque" / "new.jpg", jpeg(99))
    assert len(MetadataCache(root).load()) == 24
    scan.scan(root)
    assert len(MetadataCache(root).load()) == 25
    added.unlink()
    assert scan.scan(root) == first
    assert len(MetadataCache(root).load()) == 24


def test_a_merge_killed_before_the_chunks_are_gone_changes_nothing(root: Path, tmp_path: Path) -> None:
    """The newest row of a picture counts, whichever files hold it."""
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


def test_two_scans_at_once_read_each_picture_once(root: Path) -> None:
    program = f"""
from pathlib import Path
from artdetect.index import facts, scan
read = facts.facts
def told(path):
    print(path, flush=True)
    return read(path)
facts.facts = told
scan.scan(Path({str(root)!r}))
"""
    both = [
        subprocess.Popen([sys.executable, "-c", program], cwd=PROJECT, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    read = [line for scanner in both for line in scanner.communicate()[0].splitlines()]
    assert [scanner.returncode for scanner in both] == [0, 0]
    assert sorted(read) == sorted(map(str, everything(root)))


@pytest.mark.parametrize("engine", ["threads", "processes"])
def test_who_reads_makes_no_difference(root: Path, engine: str) -> None:
    expected = scan.scan(root)
    shutil.rmtree(root.parents[1] / "cache")

    def again() -> DataSetState:
        compute.use_compute(ComputeConfig(engine=engine, workers=2))
        return scan.scan(root)

    assert copy_context().run(again) == expected


@pytest.mark.parametrize("content", [b"", b"PAR1 not at all", b"PAR1" + bytes(100) + b"PAR1"])
def test_a_damaged_cache_is_only_lost_time(root: Path, content: bytes) -> None:
    first = scan.scan(root)
    (cache,) = (root.parents[1] / "cache" / "facts").glob("*/*.parquet")
    cache.write_bytes(content)
    assert scan.quick_scan(root).digest is None
    assert scan.scan(root) == first


def test_a_cache_damaged_anywhere_is_only_lost_time(root: Path) -> None:
    first = scan.scan(root)
    (cache,) = (root.parents[1] / "cache" / "facts").glob("*/*.parquet")
    whole, chosen = cache.read_bytes(), random.Random(129)
    for _ in range(120):
        data = bytearray(whole)
        data[chosen.randrange(len(data))] ^= chosen.randrange(1, 256)
        cache.write_bytes(data[: chosen.choice([len(data), chosen.randrange(len(data))])])
        assert scan.quick_scan(root).digest in (None, first.digest)
    assert scan.scan(root) == first


def test_a_cache_deleted_while_it_is_filled_is_one_line(root: Path) -> None:
    with pytest.raises(DataError, match=r"was deleted or damaged while.*run again"):
        scan.scan(root, lambda done, total: shutil.rmtree(root.parents[1] / "cache" / "facts"))
    assert scan.scan(root).digest is not None


def test_a_file_that_is_too_large_is_known_at_a_glance(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_BYTES", 10_000)
    monkeypatch.setattr(scan, "QUICK_SCAN_LIMIT", 5_000)
    write(root / "train" / "baroque" / "huge.jpg", bytes(20_000))
    first = scan.scan(root)
    assert first.digest is not None
    assert scan.quick_scan(root) == first
    os.utime(root / "train" / "baroque" / "huge.jpg", ns=(1, 1))
    assert scan.quick_scan(root).digest is None


def test_a_cache_deleted_or_renewed_between_scan_and_index_is_one_line(root: Path, tmp_path: Path) -> None:
    pictures = scan.scan(root)
    write(root / FIRST, jpeg(99))
    scan.scan(root)
    with pytest.raises(DataError, match=f"{FIRST} changed while it was indexed"):
        table(pictures, tmp_path / "out")
    pictures = scan.scan(root)
    shutil.rmtree(root.parents[1] / "cache")
    with pytest.raises(DataError, match="run again"):
        table(pictures, tmp_path / "out")


def test_why_counts_the_pictures_and_survives_a_damaged_index(root: Path) -> None:
    first = scan.scan(root)
    with store.build("index", "k1", {"inputs": {"pictures": first.digest}}) as out:
        index.run(IndexConfig(), first, out)
    write(root / "train" / "baroque" / "new.jpg", jpeg(99))
    new = scan.scan(root)
    plan = Plan(STAGES["index"], {"inputs": {"pictures": new.digest}}, "k2")
    assert staleness.reasons(plan, new.contents) == ["1 picture added"]
    (store.place("index", "k1") / "index.parquet").write_bytes(b"PAR1 damaged")
    assert staleness.reasons(plan, new.contents) == ["pictures changed"]


def test_an_unreadable_picture_is_no_change_by_itself(root: Path) -> None:
    not_readable(root / "train" / "baroque" / "bad.jpg", "a broken link")
    first = scan.scan(root)
    with store.build("index", "k1", {"inputs": {"pictures": first.digest}}) as out:
        index.run(IndexConfig(), first, out)
    write(root / "train" / "baroque" / "new.jpg", jpeg(99))
    assert staleness.picture_changes("k1", scan.scan(root).contents) == ["1 picture added"]


# --- incoming pictures ---


def incoming(root: Path) -> Path:
    return root.parents[1] / "incoming"


def test_incoming_pictures_are_rows_whose_split_their_content_says(root: Path, tmp_path: Path) -> None:
    for number in range(10):
        write(incoming(root) / "AI" / "flux" / f"{number}.jpg", jpeg(900 + number))
    write(incoming(root) / "AI" / "SD" / "Art Nouveau" / "deep" / "a.jpg", jpeg(990))
    write(incoming(root) / "human" / "wikiart" / "a.jpg", jpeg(991))
    write(incoming(root) / "human" / "wikiart" / "bad.jpg", b"")
    pictures = scan.scan(root, incoming=True)
    assert scan.quick_scan(root, incoming=True) == pictures
    rows = table(pictures, tmp_path / "out")
    assert len(rows) == 24 + 13
    assert list(rows.index) == sorted(rows.index)
    said = rows[["label", "style", "generator", "origin"]].agg(tuple, axis=1)
    assert said["incoming/AI/flux/3.jpg"] == ("AI", "unknown", "flux", "incoming")
    assert said["incoming/AI/SD/Art Nouveau/deep/a.jpg"] == ("AI", "art_nouveau", "stable_diffusion", "incoming")
    assert said["incoming/human/wikiart/a.jpg"] == ("human", "unknown", "human", "incoming")
    assert said["train/baroque/000.jpg"] == ("human", "baroque", "human", "raw")
    came = rows[rows.origin == "incoming"]
    assert list(came.split) == [labels.split(sha256) for sha256 in came.sha256]
    assert set(came.split) == {"train", "test"}
    assert list(came.index[~came.ok]) == ["incoming/human/wikiart/bad.jpg"]
    for path in rows.index:
        assert paths.picture(root, path).is_file()


def test_with_nothing_incoming_it_makes_no_difference_and_what_comes_is_told(root: Path) -> None:
    without = scan.scan(root)
    write(incoming(root) / "provenance" / "x.json", b"{}")
    write(incoming(root) / ".lock", b"")
    write(incoming(root) / "AI" / "flux" / ".a.jpg.tmp", b"half")
    nothing = scan.scan(root, incoming=True)
    assert (nothing.digest, nothing.contents) == (without.digest, without.contents)
    write(incoming(root) / "AI" / "flux" / "a.jpg", jpeg(900))
    assert scan.scan(root).digest == without.digest
    assert scan.quick_scan(root, incoming=True).digest is None
    came = scan.scan(root, incoming=True)
    assert came.digest not in (None, without.digest)
    assert scan.differences(without.contents, came.contents) == ["1 picture added"]


@pytest.mark.parametrize("path", ["AI/a.jpg", "ai/flux/a.jpg", "a.jpg", "AI/human/a.jpg", "AI/a b/a.jpg", "x/y/a.jpg"])
def test_incoming_pictures_that_say_neither_are_left_out(root: Path, path: str) -> None:
    write(incoming(root) / path, jpeg(900))
    pictures = scan.scan(root, incoming=True)
    assert pictures.skipped == {"not below incoming/AI/<generator>/ or incoming/human/<origin>/": [f"incoming/{path}"]}


def test_the_switch_is_no_part_of_the_key() -> None:
    assert IndexConfig(incoming=True).key_parts() == IndexConfig().key_parts() == {}


# --- folders ---


@pytest.mark.parametrize("wrapped", ["", "art", "one/two/three"])
def test_the_root_is_found_below_wrapping_folders(roots: Path, wrapped: str) -> None:
    data_set(roots / "data" / "raw" / wrapped, train=1, test=1)
    assert scan.find_root(roots / "data" / "raw") == roots / "data" / "raw" / wrapped


@pytest.mark.parametrize("inside", ["", "a", "a/b/c/d/train", "train.txt/x"])
def test_a_folder_without_train_or_test_names_the_layout(tmp_path: Path, inside: str) -> None:
    (tmp_path / "x" / inside).mkdir(parents=True)
    with pytest.raises(DataError, match=r"found no train/ or test/ folder in it"):
        scan.scan(tmp_path / "x")


def test_a_missing_folder_and_a_file_in_its_place_are_one_line(tmp_path: Path) -> None:
    write(tmp_path / "file", b"x")
    for folder in (tmp_path / "file", tmp_path / "absent"):
        with pytest.raises(DataError, match="there is no such folder"):
            scan.scan(folder)


@pytest.mark.parametrize("target", [".", "..", "../..", "loop"])
def test_a_link_back_does_not_hang(root: Path, target: str) -> None:
    before = scan.scan(root)
    (root / "train" / "baroque" / "loop").symlink_to(target)
    pictures = scan.scan(root)
    assert pictures.contents == before.contents
    assert pictures.skipped == {"not a picture by its name": ["train/baroque/loop"]}


def test_two_links_to_each_other_do_not_hang(root: Path) -> None:
    for one, other in (("baroque", "ukiyo-e"), ("ukiyo-e", "baroque")):
        (root / "train" / one / "other").symlink_to(f"../{other}")
    assert len(scan.scan(root).contents) == 24 + 4 + 4


def test_a_style_may_be_a_link_to_a_folder_elsewhere(root: Path, tmp_path: Path) -> None:
    (root / "train" / "baroque").rename(tmp_path / "elsewhere")
    (root / "train" / "baroque").symlink_to(tmp_path / "elsewhere")
    assert len(scan.scan(root).contents) == 24


def bury(folder: Path) -> None:
    """Folders in folders until no path reaches the last: a folder that cannot be listed, for root too."""
    name, descriptor = "d" * 250, os.open(folder, os.O_RDONLY)
    for _ in range(17):
        os.mkdir(name, dir_fd=descriptor)
        inner = os.open(name, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)


def test_a_folder_that_cannot_be_listed_is_named_in_one_line(root: Path) -> None:
    bury(root / "train" / "baroque")
    with pytest.raises(ArtdetectError, match="train/baroque/ddd"):
        scan.scan(root)
