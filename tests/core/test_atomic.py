import ctypes
import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from artdetect.core import atomic


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What is synced, in order."""
    found, fsync = [], os.fsync

    def noted(descriptor: int) -> None:
        found.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    return found


def failing(monkeypatch: pytest.MonkeyPatch, number: int, at: int) -> None:
    """Have the file system refuse a sync: the one of the file, or of the folder (`at` 0 or 1)."""
    fsync, calls = os.fsync, iter(range(100))

    def full(descriptor: int) -> None:
        if next(calls) == at:
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)


def test_text_and_bytes_are_written_and_others_may_read_them(tmp_path: Path) -> None:
    for content, expected in (("schön\n", "schön\n".encode()), (b"\xff\0", b"\xff\0"), ("", b"")):
        atomic.write(path := tmp_path / "a.json", content)
        assert path.read_bytes() == expected
        assert path.stat().st_mode & 0o777 == 0o644
        assert list(tmp_path.iterdir()) == [path]


def test_the_file_is_on_the_disk_before_it_has_its_name_and_new_folders_have_theirs(
    tmp_path: Path, synced: list[Path]
) -> None:
    atomic.write(path := tmp_path / "new" / "newer" / "a.json", "1")
    assert (synced[0].parent, synced[0].suffix) == (path.parent, ".tmp")
    assert sorted(synced[1:]) == [tmp_path, tmp_path / "new", path.parent]
    synced.clear()
    atomic.write(path, "2")
    assert synced[1:] == [path.parent]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    atomic.write(path := tmp_path / "a.json", "old")
    failing(monkeypatch, errno.ENOSPC, at=0)
    with pytest.raises(OSError, match="No space"):
        atomic.write(path, "half")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_synced_is_no_error_and_a_disk_that_fails_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        failing(patch, errno.EINVAL, at=1)  # what some network file systems say
        atomic.write(tmp_path / "a.json", "1")
    failing(monkeypatch, errno.EIO, at=1)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        atomic.write(tmp_path / "a.json", "2")


def test_of_several_writers_one_wins_and_a_reader_always_sees_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    contents = [bytes([number]) * 50_000 for number in range(8)]
    atomic.write(path, contents[0])

    def write(content: bytes) -> set[bytes]:
        contents_read = set()
        for _ in range(5):
            atomic.write(path, content)
            contents_read.add(path.read_bytes())
        return contents_read

    with ThreadPoolExecutor(len(contents)) as pool:
        contents_read = set().union(*pool.map(write, contents))
    assert contents_read <= set(contents)
    assert list(tmp_path.iterdir()) == [path]


def test_two_folders_exchange_their_names_or_nothing_changes(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        (folder / "name").write_text(folder.name)
    exchanged = atomic.exchange(first, second)
    assert [(folder / "name").read_text() for folder in (first, second)] == (
        ["second", "first"] if exchanged else ["first", "second"]
    )
    if exchanged:
        with pytest.raises(FileNotFoundError, match="missing"):
            atomic.exchange(first, tmp_path / "missing")


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.ENOTSUP])
def test_a_system_that_cannot_exchange_names_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    class Library:
        """A C library whose kernel or file system refuses."""

        @staticmethod
        def renameat2(*arguments: object) -> int:
            ctypes.set_errno(number)
            return -1

    monkeypatch.setattr(ctypes, "CDLL", lambda *arguments, **options: Library)
    assert not atomic.exchange(tmp_path / "first", tmp_path / "second")
    del Library.renameat2
    assert not atomic.exchange(tmp_path / "first", tmp_path / "second")
