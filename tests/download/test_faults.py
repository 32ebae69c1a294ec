"""Killed processes and full disks."""

import hashlib
import os
import zipfile

import pytest

from artdetect.core import paths
from artdetect.core.errors import DownloadError, StorageError
from artdetect.download import dataset_store, extract, run
from artdetect.download.config import DownloadConfig
from tests.waiting import PATIENCE

from .conftest import (
    archive_file,
    assert_complete,
    assert_nothing_unpacked,
    download,
    kill,
    left_in_cache,
    start,
    zipped,
)

UNPACKING = """
    import sys, time, artdetect.download as d
    def stop(done, total, what):
        if what == "unpacking":
            print("unpacking", flush=True)
            time.sleep(60)
    d.run(d.DownloadConfig(url=sys.argv[1]), d.Path(sys.argv[2]), stop)
"""


def test_leftovers_of_a_killed_extraction_are_swept_and_a_running_one_is_not(tmp_path):
    archive_file(tmp_path, zipped({"train/a/b.jpg": b"other"}), "other.zip")
    process = start(UNPACKING, archive_file(tmp_path), tmp_path / "out")
    assert process.stdout.readline() == "unpacking\n"
    download(tmp_path / "other.zip", tmp_path / "out")
    assert len(list(paths.raw().glob(".*.tmp"))) == 1
    kill(process)
    download(tmp_path / "other.zip", tmp_path / "out")
    assert list(paths.raw().glob(".*")) == []
    assert not list(paths.raw().glob("art-*"))
    assert_complete(download(tmp_path / "art.zip", tmp_path / "out"))


def test_an_archive_that_changes_while_it_is_unpacked_is_refused(tmp_path):
    path = archive_file(tmp_path)
    with pytest.raises(DownloadError, match="was changed while it was unpacked"):
        run(DownloadConfig(url=str(path)), tmp_path / "out", lambda done, total, what: os.utime(path))
    assert_nothing_unpacked()


def test_a_full_disk_ends_a_download_with_the_system_error(site, tmp_path):
    dataset_store.downloads().mkdir(parents=True)
    part = dataset_store.downloads() / f"{hashlib.sha256(site.url.encode()).hexdigest()[:16]}.part"
    part.symlink_to("/dev/full")  # every write there fails with a full disk
    with pytest.raises(OSError, match="No space left on device"):
        download(site.url, tmp_path / "out")
    part.unlink()
    assert_complete(download(site.url, tmp_path / "out"))


def test_a_disk_that_fills_while_unpacking_leaves_nothing(tmp_path):
    script = """
        import resource, sys, artdetect.download as d
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            d.run(d.DownloadConfig(url=sys.argv[1]), d.Path(sys.argv[2]))
        except OSError as error:
            print(error.strerror)
    """
    process = start(script, archive_file(tmp_path), tmp_path / "out")
    assert process.communicate(timeout=PATIENCE)[0] == "File too large\n"
    assert_nothing_unpacked()


def test_a_disk_with_too_little_space_is_noticed_before_writing(site, tmp_path):
    site.headers = {"Content-Length": str(10**17)}
    with pytest.raises(StorageError, match=r"http.* needs 100000000\.0 GB more"):
        download(site.url, tmp_path / "out", max_gb=1e12)
    assert left_in_cache() == []
    size = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize + (1 << 40)
    sparse, target = tmp_path / "sparse.zip", tmp_path / "target"
    target.mkdir()
    with zipfile.ZipFile(sparse, "w") as archive:  # a member larger than the disk, none of which is written
        info = zipfile.ZipInfo("train/a.jpg")
        info.file_size = info.compress_size = size
        info.CRC = info.header_offset = 0
        archive.fp.write(info.FileHeader(zip64=True))
        archive.fp.seek(size, os.SEEK_CUR)
        archive.filelist.append(info)
        archive.start_dir, archive._didModify = archive.fp.tell(), True
    with pytest.raises(StorageError, match="free some space"):
        extract.extract(sparse, target, 1e18)
    assert list(target.iterdir()) == []
