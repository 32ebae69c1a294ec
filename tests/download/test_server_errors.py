"""Servers that refuse, and content that is not the expected archive."""

import pytest

from artdetect.core.errors import DownloadError

from .conftest import (
    ARCHIVE,
    archive_file,
    assert_complete,
    assert_nothing_unpacked,
    download,
    left_in_cache,
    sha256,
    zipped,
)


@pytest.mark.parametrize(
    ("status", "message", "requests"),
    [
        (404, "404 Not Found: there is no such file", 1),
        (401, "it needs a login: download it by hand and set download.url to the file", 1),
        (403, "it needs a login: download it by hand and set download.url to the file", 1),
        (400, "check download.url", 1),
        (500, "500 Internal Server Error (gave up after 3 attempts", 3),
        (429, "429 Too Many Requests (gave up after 3 attempts", 3),
    ],
)
def test_a_refusal_names_the_remedy(site, tmp_path, status, message, requests):
    site.status = status
    with pytest.raises(DownloadError) as error:
        download(site.url, tmp_path / "out")
    assert message in str(error.value)
    assert site.url in str(error.value)
    assert len(site.requests) == requests
    assert not (tmp_path / "out").exists()


def test_a_temporary_error_is_retried(site, tmp_path):
    site.errors, site.headers = [503, 500], {"Retry-After": "0"}
    assert_complete(download(site.url, tmp_path / "out"))


def test_a_stopped_server_and_an_unknown_host_give_different_errors(site, tmp_path):
    site.server.shutdown()
    site.server.server_close()
    with pytest.raises(DownloadError, match=r"gave up after 3 attempts; run again later"):
        download(site.url, tmp_path / "out")
    with pytest.raises(DownloadError, match=r"no such host|name resolution"):
        download("http://no-such-host.invalid/a.zip", tmp_path / "out")


def test_a_web_page_instead_of_an_archive_is_quoted_and_costs_no_progress(site, tmp_path):
    site.cut = [1000] * 3
    with pytest.raises(DownloadError):
        download(site.url, tmp_path / "out")
    site.status, site.ranges, site.kind = 200, False, "text/html; charset=utf-8"
    site.body = b"<html><head>\n<title>Sign\n in &amp; agree</title>\x1b[31m"
    with pytest.raises(DownloadError, match=r"the web page 'Sign in & agree' instead of a zip archive: download it by"):
        download(site.url, tmp_path / "out")
    site.body, site.ranges = ARCHIVE, True
    assert_complete(download(site.url, tmp_path / "out"))
    assert site.ranges_requested[-1] == "bytes=3000-"


@pytest.mark.parametrize(
    ("body", "message"), [(b"", "empty file"), (b"\x1f\x8b\x08 tar", "did not send a zip archive"), (b"P", "no")]
)
def test_something_else_than_an_archive_is_refused(site, tmp_path, body, message):
    site.body = body
    with pytest.raises(DownloadError, match=message):
        download(site.url, tmp_path / "out")
    assert left_in_cache() == []


def test_a_wrong_checksum_names_both_and_the_next_run_starts_clean(site, tmp_path):
    with pytest.raises(DownloadError, match=rf"SHA-256 is {sha256(ARCHIVE)}, download.sha256 is {'ab' * 32}"):
        download(site.url, tmp_path / "out", sha256="ab" * 32)
    assert left_in_cache() == []
    assert_nothing_unpacked()
    with pytest.raises(DownloadError, match="SHA-256"):
        download(archive_file(tmp_path), tmp_path / "out", sha256="ab" * 32)


def test_a_damaged_download_is_deleted(site, tmp_path):
    site.length, site.body = False, ARCHIVE[:-5000]  # truncated by a server that announces no length
    with pytest.raises(DownloadError, match="damaged or not complete"):
        download(site.url, tmp_path / "out")
    assert left_in_cache() == []
    assert_nothing_unpacked()


def test_a_download_beyond_the_limit_is_refused_before_and_while_it_arrives(site, tmp_path):
    with pytest.raises(DownloadError, match=r"larger than download\.max_gb = 0\.0003"):
        download(site.url, tmp_path / "out", max_gb=0.0003)
    assert left_in_cache() == []
    site.length = False
    with pytest.raises(DownloadError, match=r"larger than download\.max_gb = 0\.0003"):
        download(site.url, tmp_path / "out", max_gb=0.0003)


def test_an_archive_that_unpacks_to_more_than_the_limit_waits_for_a_higher_one(site, tmp_path):
    site.body = zipped({"train/a/b.jpg": b"ab" * 50_000})
    with pytest.raises(DownloadError, match=r"unpacks to 0\.1 MB or more; raise download\.max_gb, now 5e-05"):
        download(site.url, tmp_path / "out", max_gb=0.00005)
    assert download(site.url, tmp_path / "out")["bytes"] == 100_000
    assert len(site.requests) == 1
