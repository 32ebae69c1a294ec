"""Local archives: unpacked once, and never trusted."""

import os
import stat
import tempfile
import zipfile
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artdetect.core import paths
from artdetect.core.errors import DownloadError
from artdetect.download import dataset_store, extract, run
from artdetect.download.config import DownloadConfig
from artdetect.download.extract import safe_parts

from .conftest import (
    ARCHIVE,
    PICTURES,
    archive_file,
    assert_complete,
    assert_nothing_unpacked,
    download,
    files_below,
    zipped,
)


def test_a_local_archive_is_read_in_place(tmp_path):
    path = archive_file(tmp_path, name="my art, 100%.zip")
    for url in (str(path), path.as_uri(), "file:" + quote(str(path)), f"file://localhost{quote(str(path))}"):
        dataset = download(url, tmp_path / "out")
        assert_complete(dataset)
        assert dataset["folder"].startswith("raw/my-art-100-")
        assert (dataset["name"], dataset["url"]) == ("my art, 100%", "my art, 100%.zip")
    assert path.read_bytes() == ARCHIVE
    assert not list(dataset_store.downloads().glob("*.part"))


def test_an_unpacked_folder_is_never_touched_again(tmp_path):
    dataset = download(archive_file(tmp_path), tmp_path / "out")
    folder = paths.located(dataset["folder"])
    (folder / "train" / "baroque" / "a.jpg").write_bytes(b"changed by hand")
    assert download(tmp_path / "art.zip", tmp_path / "out") == dataset
    assert (folder / "train" / "baroque" / "a.jpg").read_bytes() == b"changed by hand"


def test_files_that_macos_adds_are_skipped(tmp_path):
    members = {
        "train/a/b.jpg": b"b",
        "train/a/._b.jpg": b"x",
        "__MACOSX/train/a/._b.jpg": b"x",
        "train/.DS_Store": b"x",
    }
    dataset = download(archive_file(tmp_path, zipped(members)), tmp_path / "out")
    assert files_below(paths.located(dataset["folder"])) == {"train/a/b.jpg": b"b"}
    assert dataset["files"] == 1


def test_folders_and_dots_in_an_archive_are_accepted(tmp_path):
    members = {"./": b"", "./train/": b"", "./train/a//b.jpg": b"b", "train/empty/": b""}
    dataset = download(archive_file(tmp_path, zipped(members)), tmp_path / "out")
    assert files_below(paths.located(dataset["folder"])) == {"train/a/b.jpg": b"b"}


def special(mode, name="train/a"):
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


def encrypted():
    body = bytearray(zipped({"a.jpg": b"x"}))
    body[6] |= 1
    body[body.index(b"PK\x01\x02") + 8] |= 1
    return bytes(body)


def flipped():
    body = bytearray(zipped(PICTURES, zipfile.ZIP_STORED))
    body[100_000] ^= 1
    return bytes(body)


def renamed(old, new):
    """An archive with a name that zipfile would not write."""
    return zipped({old: b"x"}).replace(old.encode(), new.encode())


BAD_ARCHIVES = {
    "leads out": (zipped({"train/ok.jpg": b"", "../evil": b"x"}), r"'\.\./evil' leads out of its folder"),
    "leads out within": (zipped({"train/../../evil": b"x"}), "leads out of its folder"),
    "absolute": (zipped({"/etc/evil": b"x"}), "absolute path"),
    "backslash": (renamed("train..evil", "..\\evil.jpg"), "backslash"),
    "drive": (zipped({"C:/evil": b"x"}), "names a drive"),
    "control": (zipped({"a\x1b[31m.jpg": b"x"}), "control characters"),
    "nul": (renamed("good.jpg_evil", "good.jpg\0evil"), "control characters"),
    "long": (zipped({"x" * 300: b"x"}), "too long"),
    "symlink": (zipped({special(stat.S_IFLNK | 0o777): b"/etc/passwd"}), "symbolic link"),
    "device": (zipped({special(stat.S_IFCHR | 0o666): b""}), "neither a file nor a folder"),
    "fifo": (zipped({special(stat.S_IFIFO | 0o666): b""}), "neither a file nor a folder"),
    "file and folder": (zipped({"a": b"x", "a/b": b"x"}), "both a file and a folder"),
    "encrypted": (encrypted(), "is encrypted"),
    "bzip2": (zipped({"a.jpg": b"x"}, zipfile.ZIP_BZIP2), r"method 12 \(bzip2\), which is not supported"),
    "no files": (zipped({"train/": b""}), "holds no files"),
    "bomb": (zipped({"train/a/bomb.jpg": bytes(200 << 20)}), "zip bomb"),
    "crc": (flipped(), r"damaged or not complete at the member .* \(Bad CRC-32"),
    "truncated": (ARCHIVE[:200_000], "damaged or not complete"),
    "no directory": (ARCHIVE[:-30], "damaged or not complete"),
}


@pytest.mark.parametrize("case", BAD_ARCHIVES)
def test_a_bad_archive_is_refused_and_nothing_is_left(case, tmp_path):
    body, message = BAD_ARCHIVES[case]
    with pytest.raises(DownloadError, match=message) as error:
        download(archive_file(tmp_path, body), tmp_path / "out")
    assert "\n" not in str(error.value)
    assert "art.zip" in str(error.value)
    assert_nothing_unpacked()
    assert not (tmp_path / "evil").exists()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_comes_twice_is_refused(tmp_path):
    body = zipped([("train/a.jpg", b"one"), ("train/./a.jpg", b"two")])
    with pytest.raises(DownloadError, match="is in it twice"):
        download(archive_file(tmp_path, body), tmp_path / "out")


def test_the_bomb_of_the_notebook_is_refused_without_being_unpacked(tmp_path):
    body = BAD_ARCHIVES["bomb"][0]
    assert len(body) < 210_000  # 204 KB that expand to 200 MiB
    calls = []
    with pytest.raises(DownloadError, match="zip bomb"):
        run(DownloadConfig(url=str(archive_file(tmp_path, body))), tmp_path / "out", lambda *call: calls.append(call))
    assert "unpacking" not in {what for _, _, what in calls}


def test_sizes_are_checked_on_the_bytes_and_not_on_the_announced_size(tmp_path):
    for announced in (1, 1 << 19):  # less and more than the actual 100,000
        body = bytearray(zipped({"train/a.jpg": b"ab" * 50_000}))
        for at in (22, body.index(b"PK\x01\x02") + 24):
            body[at : at + 4] = announced.to_bytes(4, "little")
        with pytest.raises(DownloadError, match="damaged or not complete"):
            download(archive_file(tmp_path, bytes(body)), tmp_path / "out")
        assert_nothing_unpacked()


def test_overlapping_members_count_each_time(tmp_path):
    """The better zip bomb: many members share the same data."""
    kernel = zipped({"train/0000.jpg": bytes(1 << 20)})
    first = kernel.index(b"PK\x01\x02")
    entry = kernel[first : kernel.index(b"PK\x05\x06")]
    listing = b"".join(entry.replace(b"0000", f"{i:04}".encode()) for i in range(300))
    end = bytearray(kernel[-22:])
    end[8:12], end[12:16] = (300).to_bytes(2, "little") * 2, len(listing).to_bytes(4, "little")
    with pytest.raises(DownloadError, match="zip bomb"):
        download(archive_file(tmp_path, kernel[:first] + listing + bytes(end)), tmp_path / "out")


def test_the_number_of_members_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(extract, "MAX_MEMBERS", 2)
    with pytest.raises(DownloadError, match="3 members, more than 2"):
        download(archive_file(tmp_path), tmp_path / "out")
    monkeypatch.setattr(extract, "MAX_DIRECTORY", 100)
    with pytest.raises(DownloadError, match="directory is"):
        download(archive_file(tmp_path), tmp_path / "out")


@given(st.lists(st.sampled_from(["a", "b", ".", "..", "/", "\\", ":", "C", "\0", " ", "é", "~"]), max_size=12))
def test_no_member_name_leads_out_of_its_folder(pieces):
    name = "".join(pieces)
    base = Path("/base/folder")
    try:
        parts = safe_parts(name)
    except ValueError:
        return
    target = Path(os.path.normpath(base.joinpath(*parts)))
    assert target.is_relative_to(base)
    assert target == base or len(target.parts) == 3 + len(parts)


@given(st.lists(st.tuples(st.integers(0, len(ARCHIVE) - 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_a_damaged_archive_unpacks_or_is_a_download_error(changes):
    """Small members, so that most changes hit headers and the directory."""
    body = bytearray(zipped({"train/a/b.jpg": b"bytes" * 20, "train/c/d.jpg": b"more"}))
    for at, value in changes:
        body[at % len(body)] = value
    with tempfile.TemporaryDirectory() as folder:
        path, target = archive_file(Path(folder), bytes(body)), Path(folder) / "out"
        target.mkdir()
        try:
            files, size = extract.extract(path, target, 1e6)
        except DownloadError:
            return
        assert files == len(files_below(target))
        assert size == sum(map(len, files_below(target).values()))
