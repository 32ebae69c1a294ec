"""The index: one row per picture, also for incoming pictures."""

import json
import os
import shutil
from pathlib import Path

import pytest

from artdetect import index
from artdetect.core import paths
from artdetect.core.errors import DataError
from artdetect.index import listing, scan
from artdetect.index.config import IndexConfig
from artdetect.pictures import labels
from tests.tiny_dataset import jpeg, write

from .conftest import not_readable, picture_files, state, table


def test_each_picture_is_a_row_with_the_labels_of_its_folder(root: Path, tmp_path: Path) -> None:
    rows = table(scan.scan(root), tmp_path / "out")
    assert len(rows) == 4 * 6
    assert list(rows.index) == sorted(rows.index)
    labels_of = rows[["label", "split", "style", "generator", "origin"]].agg(tuple, axis=1)
    assert labels_of["train/AI_SD_ukiyo_e/000.jpg"] == ("AI", "train", "ukiyo_e", "stable_diffusion", "raw")
    assert labels_of["test/ukiyo-e/001.jpg"] == ("human", "test", "ukiyo_e", "human", "raw")
    assert rows.ok.all()
    assert set(rows.columns) == {
        "label", "split", "style", "generator", "origin", "source", "bytes", "sha256", "width", "height", "format",
        "mode", "jpeg_quality", "has_exif", "animated", "phash", "contrast", "ok", "error",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["a.JPG", "a.jpeg", "a.webp", "a.PNG", "deeper/a.jpg"])
def test_suffixes_in_any_case_are_indexed(root: Path, tmp_path: Path, name: str) -> None:
    write(root / "train" / "baroque" / name, jpeg(99))
    assert table(scan.scan(root), tmp_path / "out").ok[f"train/baroque/{name}"]


def test_files_created_by_file_browsers_change_nothing(root: Path) -> None:
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
def test_skipped_files_are_listed_by_reason(root: Path, tmp_path: Path, path: str, reason: str) -> None:
    write(root / path, jpeg(99))
    pictures = scan.scan(root)
    assert len(table(pictures, tmp_path / "out")) == 24
    assert json.loads((tmp_path / "out" / "skipped.json").read_text()) == {reason: [path]}


def test_a_name_that_is_not_unicode_is_skipped_and_listed(root: Path, tmp_path: Path) -> None:
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


@pytest.mark.parametrize("how", ["a broken link", "a link to itself", "a pipe"])
def test_an_unreadable_file_is_a_row_and_does_not_hide_later_changes(root: Path, tmp_path: Path, how: str) -> None:
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
    """Restored permissions and mounts leave no new time stamp on the file."""
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


def test_the_notice_of_a_data_set_is_copied_and_part_of_the_digest(root: Path, tmp_path: Path) -> None:
    write(root / "NOTICE.txt", "drawn by a program – ©".encode())
    pictures = scan.scan(root)
    table(pictures, tmp_path / "out")
    assert (tmp_path / "out" / "notice.txt").read_text() == "drawn by a program – ©"
    write(root / "NOTICE.txt", b"painted")
    assert scan.scan(root).digest != pictures.digest


def test_the_same_pictures_give_the_same_bytes_in_any_place_and_order(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "another place" / "of another name"
    for path in sorted(picture_files(root), reverse=True):
        write(other / path.relative_to(root), path.read_bytes())
    here, there = scan.scan(root), scan.scan(other)
    assert here.digest == there.digest
    table(here, tmp_path / "one")
    table(there, tmp_path / "two")
    for name in ("index.parquet", "skipped.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_listing_order_does_not_matter(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the order of the entries, which the file system decides, is replaced."""
    table(scan.scan(root), tmp_path / "one")
    listed = listing._entries
    monkeypatch.setattr(listing, "_entries", lambda folder: sorted(listed(folder), key=lambda e: e.name, reverse=True))
    shutil.rmtree(tmp_path / "data" / "cache")
    table(scan.scan(root), tmp_path / "two")
    assert (tmp_path / "one" / "index.parquet").read_bytes() == (tmp_path / "two" / "index.parquet").read_bytes()


def incoming(root: Path) -> Path:
    return root.parents[1] / "incoming"


def test_incoming_pictures_are_rows_with_a_split_from_their_content(root: Path, tmp_path: Path) -> None:
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
    labels_of = rows[["label", "style", "generator", "origin"]].agg(tuple, axis=1)
    assert labels_of["incoming/AI/flux/3.jpg"] == ("AI", "unknown", "flux", "incoming")
    assert labels_of["incoming/AI/SD/Art Nouveau/deep/a.jpg"] == ("AI", "art_nouveau", "stable_diffusion", "incoming")
    assert labels_of["incoming/human/wikiart/a.jpg"] == ("human", "unknown", "human", "incoming")
    assert labels_of["train/baroque/000.jpg"] == ("human", "baroque", "human", "raw")
    came = rows[rows.origin == "incoming"]
    assert list(came.split) == [labels.split(sha256) for sha256 in came.sha256]
    assert set(came.split) == {"train", "test"}
    assert list(came.index[~came.ok]) == ["incoming/human/wikiart/bad.jpg"]
    for path in rows.index:
        assert paths.picture(root, path).is_file()


def test_the_incoming_option_matters_only_if_there_are_incoming_pictures(root: Path) -> None:
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
def test_incoming_pictures_outside_the_folder_grammar_are_skipped(root: Path, path: str) -> None:
    write(incoming(root) / path, jpeg(900))
    pictures = scan.scan(root, incoming=True)
    assert pictures.skipped == {"not below incoming/AI/<generator>/ or incoming/human/<origin>/": [f"incoming/{path}"]}


def test_the_incoming_option_is_not_part_of_the_key() -> None:
    assert IndexConfig(incoming=True).key_parts() == IndexConfig().key_parts() == {}
