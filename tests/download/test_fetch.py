"""Downloads that succeed, and downloads that break and resume."""

import zipfile

import pytest

from artdetect.core import paths
from artdetect.core.errors import DownloadError
from artdetect.download import dataset_store, run
from artdetect.download.config import DownloadConfig
from tests.waiting import PATIENCE, awaited

from .conftest import (
    ARCHIVE,
    PICTURES,
    RANDOM,
    assert_complete,
    assert_nothing_unpacked,
    download,
    kill,
    left_in_cache,
    sha256,
    start,
    zipped,
)


def test_an_archive_is_downloaded_checked_and_unpacked(site, tmp_path):
    dataset = download(site.url, tmp_path / "out", sha256=sha256(ARCHIVE).upper())
    assert_complete(dataset)
    assert dataset["folder"] == f"raw/art-{sha256(ARCHIVE)[:8]}/Art"
    assert (dataset["name"], dataset["kind"], dataset["url"]) == ("art", "web", site.url)
    assert left_in_cache() == []
    assert site.requests[0][1]["User-Agent"].startswith("artdetect")


def test_a_second_run_makes_no_request_and_writes_the_same_bytes(site, tmp_path):
    download(site.url, tmp_path / "one")
    download(site.url, tmp_path / "two")
    assert len(site.requests) == 1
    assert (tmp_path / "one" / "dataset.json").read_bytes() == (tmp_path / "two" / "dataset.json").read_bytes()
    # With a known checksum the same archive from a mirror needs no request; without one it does.
    download(site.url + "?mirror", tmp_path / "three", sha256=sha256(ARCHIVE))
    assert len(site.requests) == 1
    download(site.url + "?mirror", tmp_path / "four")
    download(site.url, tmp_path / "five")
    assert len(site.requests) == 2


def test_a_run_killed_before_its_record_was_written_creates_it_from_the_folder(site, tmp_path):
    dataset = download(site.url, tmp_path / "one")
    for record in paths.raw().glob("*.json"):
        record.unlink()
    assert download(site.url, tmp_path / "two") == dataset
    assert download(site.url, tmp_path / "three") == dataset
    assert len(site.requests) == 2


def test_a_deleted_folder_is_downloaded_again(site, tmp_path):
    dataset = download(site.url, tmp_path / "one")
    (paths.raw() / f"art-{sha256(ARCHIVE)[:8]}").rename(tmp_path / "gone")
    assert_complete(download(site.url, tmp_path / "two"))
    assert len(site.requests) == 2
    assert dataset["folder"].startswith("raw/")


def test_a_redirect_is_followed(site, tmp_path):
    dataset = download(site.url.replace("art.zip", "moved.zip"), tmp_path / "out")
    assert_complete(dataset)
    assert dataset["name"] == "moved"


def test_credentials_and_tokens_are_sent_but_recorded_nowhere(site, tmp_path):
    url = site.url.replace("http://", "http://me:pass@") + "?token=geheim"
    assert_complete(download(url, tmp_path / "out"))
    path, headers = site.requests[0]
    assert path.endswith("?token=geheim")
    assert headers["Authorization"].startswith("Basic ")
    written = b"".join(p.read_bytes() for p in [*paths.raw().glob("*.json"), tmp_path / "out" / "dataset.json"])
    assert b"pass" not in written
    assert b"geheim" not in written


def test_progress_reports_activity_and_bytes(site, tmp_path):
    calls = []
    run(DownloadConfig(url=site.url), tmp_path / "out", lambda *call: calls.append(call))
    last = {what: (done, total) for done, total, what in calls}
    unpacked = sum(map(len, PICTURES.values()))
    assert last["downloading"] == (len(ARCHIVE), len(ARCHIVE))
    assert last["unpacking"] == (unpacked, unpacked)


def test_a_server_need_not_announce_a_length(site, tmp_path):
    site.length = False
    assert_complete(download(site.url, tmp_path / "out"))


def test_a_cut_connection_is_resumed_where_it_broke(site, tmp_path):
    site.cut = [100_000, 50_000]
    assert_complete(download(site.url, tmp_path / "out"))
    assert site.ranges_requested == [None, "bytes=100000-", "bytes=150000-"]
    assert site.requests[1][1]["If-Range"] == '"one"'


@pytest.mark.parametrize("etag", ['W/"weak"', None])
def test_a_cut_connection_is_resumed_without_a_strong_etag(site, tmp_path, etag):
    site.etag, site.cut = etag, [100_000]
    assert_complete(download(site.url, tmp_path / "out"))
    assert site.ranges_requested == [None, "bytes=100000-"]
    assert "If-Range" not in site.requests[1][1]


def test_the_date_identifies_the_version_if_the_etag_is_weak(site, tmp_path):
    date = "Sun, 22 Nov 2020 10:00:00 GMT"
    site.etag, site.cut, site.headers = 'W/"weak"', [100_000], {"Last-Modified": date}
    download(site.url, tmp_path / "out")
    assert site.requests[1][1]["If-Range"] == date


def test_attempts_are_limited_and_the_next_run_resumes(site, tmp_path):
    site.cut = [1000, 1000, 1000]
    with pytest.raises(DownloadError, match=r"gave up after 3 attempts; 3,000 bytes are kept, run again to resume"):
        download(site.url, tmp_path / "out")
    assert_nothing_unpacked()
    assert_complete(download(site.url, tmp_path / "out"))
    assert site.ranges_requested[-1] == "bytes=3000-"


def test_attempts_that_gain_many_bytes_do_not_count_as_failures(site, tmp_path):
    site.body = zipped({"Art/train/a/b.jpg": RANDOM.randbytes(12 << 20)})
    site.cut = [2 << 20] * 5
    assert download(site.url, tmp_path / "out")["bytes"] == 12 << 20
    assert len(site.requests) == 6


def test_a_server_that_ignores_ranges_is_read_from_the_start(site, tmp_path):
    site.ranges, site.cut = False, [100_000]
    assert_complete(download(site.url, tmp_path / "out"))
    assert site.ranges_requested == [None, "bytes=100000-"]


@pytest.mark.parametrize("supports_if_range", [True, False])
def test_a_file_that_changed_on_the_server_is_read_from_the_start(site, tmp_path, supports_if_range):
    site.cut = [100_000] * 3
    with pytest.raises(DownloadError):
        download(site.url, tmp_path / "out")
    site.body, site.etag = zipped(PICTURES, zipfile.ZIP_STORED), '"two"'
    if not supports_if_range:
        site.respond = lambda request, respond=site.respond: (request.headers.__delitem__("If-Range"), respond(request))
    assert_complete(download(site.url, tmp_path / "out"), site.body)
    assert site.ranges_requested[3:] == (["bytes=300000-"] if supports_if_range else ["bytes=300000-", None])


def test_a_range_beyond_the_end_means_that_the_file_is_complete(site, tmp_path):
    """This happens after a kill between the last byte and its record, if the server announces no length."""
    site.length, site.cut, site.body = False, [len(ARCHIVE)], ARCHIVE + b"\0"
    script = """
        import sys, artdetect.download as d
        d.run(d.DownloadConfig(url=sys.argv[1]), d.Path(sys.argv[2]))
    """
    site.stall.clear()
    process = start(script, site.url, tmp_path / "out")
    wait_for_bytes(len(ARCHIVE))
    kill(process)
    site.length, site.body = True, ARCHIVE
    assert_complete(download(site.url, tmp_path / "out"))
    assert site.ranges_requested == [None, f"bytes={len(ARCHIVE)}-"]


def test_a_part_longer_than_the_file_is_dropped(site, tmp_path):
    site.cut, site.etag = [100_000] * 3, None
    with pytest.raises(DownloadError):
        download(site.url, tmp_path / "out")
    site.body = zipped({"train/a/b.jpg": b"small"})
    assert download(site.url, tmp_path / "out")["bytes"] == 5
    assert site.ranges_requested[3:] == ["bytes=300000-", None]


def test_a_length_that_does_not_match_is_noticed(site, tmp_path):
    site.headers = {"Content-Length": str(len(ARCHIVE) + 10)}
    site.ranges = False
    with pytest.raises(DownloadError, match="gave up after 3 attempts"):
        download(site.url, tmp_path / "out")
    assert_nothing_unpacked()


def wait_for_bytes(count):
    parts = dataset_store.downloads()
    assert awaited(lambda: sum(part.stat().st_size for part in parts.glob("*.part")) >= count), "nothing arrived"


@pytest.mark.slow
def test_a_download_survives_sigkill(site, tmp_path):
    site.cut = [150_000]
    site.stall.clear()
    script = """
        import sys, artdetect.download as d
        d.run(d.DownloadConfig(url=sys.argv[1]), d.Path(sys.argv[2]))
    """
    process = start(script, site.url, tmp_path / "out")
    wait_for_bytes(150_000)
    kill(process)
    assert_nothing_unpacked()
    assert_complete(download(site.url, tmp_path / "out"))
    assert site.ranges_requested == [None, "bytes=150000-"]


@pytest.mark.slow
def test_two_runs_at_once_download_once(site, tmp_path):
    site.cut = [1000]
    site.stall.clear()
    script = """
        import sys, artdetect.download as d
        d.run(d.DownloadConfig(url=sys.argv[1]), d.Path(sys.argv[2]), lambda *call: print(call[2], flush=True))
    """
    first = start(script, site.url, tmp_path / "one")
    wait_for_bytes(1000)
    second = start(script, site.url, tmp_path / "two")
    assert second.stdout.readline().strip() == "waiting for another run"
    site.stall.set()
    for process in (first, second):
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
    assert site.ranges_requested == [None, "bytes=1000-"]
    assert (tmp_path / "one" / "dataset.json").read_bytes() == (tmp_path / "two" / "dataset.json").read_bytes()
