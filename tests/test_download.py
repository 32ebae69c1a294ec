"""The download stage against real servers, real archives and real processes."""

import hashlib
import io
import json
import os
import random
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from artdetect import paths
from artdetect.download import DownloadConfig, Retry, check, extract, fingerprint, folder, raw, run, source_kind
from artdetect.download.extract import safe_parts
from artdetect.errors import ArtifactError, DownloadError, StorageError

RANDOM = random.Random(129)
QUICK = Retry(attempts=3, first_wait=0.01, longest_wait=0.02, silence=5)
PICTURES = {
    "Art/train/baroque/a.jpg": RANDOM.randbytes(200_000),
    "Art/train/AI_SD_baroque/b.jpg": RANDOM.randbytes(150_000),
    "Art/test/baroque/ü c.jpg": RANDOM.randbytes(1000),
}


def zipped(members, compression=zipfile.ZIP_DEFLATED):
    """The bytes of an archive; `members` maps names or ZipInfo objects to content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items() if isinstance(members, dict) else members:
            archive.writestr(name, content)
    return buffer.getvalue()


ARCHIVE = zipped(PICTURES)


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("ARTDETECT_DATA", str(tmp_path / "data"))
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return tmp_path / "data"


class Site:
    """A web server on this machine that serves one archive, as well or as badly as its attributes say."""

    def __init__(self):
        self.body, self.etag, self.ranges = ARCHIVE, '"one"', True
        self.status, self.kind, self.headers = 200, "application/zip", {}
        self.cut = []  # for each coming answer: after how many bytes of the body the connection breaks
        self.stall = threading.Event()  # set: answers go through; else they stop at the cut instead of breaking
        self.stall.set()
        self.length = True  # announce Content-Length
        self.requests = []
        self.errors = []  # statuses of coming answers
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                site.requests.append((self.path, dict(self.headers)))
                site.answer(self)
                self.close_connection = True

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/art.zip"

    @property
    def asked(self):
        """The Range header of each request."""
        return [headers.get("Range") for _, headers in self.requests]

    def answer(self, request):
        if request.path == "/moved.zip":
            request.send_response(302)
            request.send_header("Location", "/art.zip")
            request.end_headers()
            return
        status = self.errors.pop(0) if self.errors else self.status
        body, extra = self.body, {}
        asked = request.headers.get("Range")
        fresh = request.headers.get("If-Range") in (None, self.etag)
        if status == 200 and asked and self.ranges and fresh:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(body):
                status, extra, body = 416, {"Content-Range": f"bytes */{len(body)}"}, b""
            else:
                status, extra = 206, {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}
                body = body[start:]
        request.send_response(status)
        extra |= {"Content-Type": self.kind} | ({"ETag": self.etag} if self.etag else {})
        extra |= {"Content-Length": str(len(body))} if self.length else {}
        for name, value in (extra | self.headers).items():
            request.send_header(name, value)
        request.end_headers()
        limit = self.cut.pop(0) if self.cut else len(body)
        try:
            request.wfile.write(body[:limit])
            request.wfile.flush()
            if limit < len(body):
                self.stall.wait(20)
        except OSError:  # the client is gone
            pass


@pytest.fixture
def site():
    site = Site()
    yield site
    site.stall.set()
    site.server.shutdown()
    site.server.server_close()


def download(url, out, **options):
    """Runs the stage; its record, which must be what the stage wrote."""
    run(DownloadConfig(url=str(url), **options), out, retry=QUICK)
    return json.loads((out / "dataset.json").read_text())


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def files_below(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_complete(dataset, body=ARCHIVE):
    folder = paths.located(dataset["folder"])
    assert files_below(folder) == {name.removeprefix("Art/"): content for name, content in PICTURES.items()}
    assert dataset["archive_sha256"] == sha256(body)
    assert dataset["files"] == 3
    assert dataset["bytes"] == sum(map(len, PICTURES.values()))
    assert check(dataset) is None


def assert_nothing_unpacked():
    assert [path.name for path in paths.raw().glob("*")] == []


def left_in_cache():
    """What a download leaves that takes room."""
    return [path.name for path in raw.downloads().glob("*") if path.suffix != ".lock"]


def archive_file(tmp_path, content=ARCHIVE, name="art.zip"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def start(script, *args):
    """A process of its own that runs `script`; what it prints can be read from its stdout."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, args)], stdout=subprocess.PIPE, text=True
    )


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.communicate()


# ---- the address


def test_a_folder_an_archive_and_a_web_address_are_told_apart(tmp_path):
    assert source_kind(str(tmp_path)) == "folder"
    assert source_kind(str(archive_file(tmp_path))) == "archive"
    assert source_kind((tmp_path / "art.zip").as_uri()) == "archive"
    assert source_kind("HTTPS://example.org/art.zip?download=1") == "web"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://example.org/a.zip", "'ftp://', which is not supported"),
        ("s3://bucket/a.zip", "'s3://', which is not supported"),
        ("/nowhere/at/all", "'/nowhere/at/all' does not exist"),
        ("/nowhere/drawn-art.zip", "draw it first: artdetect sample <folder>"),
        ("file://server/a.zip", "on the machine 'server'"),
        ("file:///nowhere/a%20b.zip", "'/nowhere/a b.zip' does not exist"),
        ("https:///a.zip", "names no host"),
        ("http://[half/a.zip", "names no host"),
        ("", "is empty"),
        ("/" + "x" * 300, "cannot be read"),
        ("/a\0b", "does not exist"),
        ("/dev/null", "neither a folder nor a file"),
    ],
)
def test_an_unusable_address_is_an_error_that_says_why(url, says, tmp_path):
    with pytest.raises(DownloadError) as error:
        run(DownloadConfig(url=url), tmp_path / "out")
    assert says in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_zip_archive_is_refused_by_name(tmp_path):
    path = archive_file(tmp_path, b"\x1f\x8b a tar archive", "art.tar.gz")
    with pytest.raises(DownloadError, match=r"art\.tar\.gz is neither a folder nor a zip archive: unpack it by hand"):
        source_kind(str(path))


@pytest.mark.parametrize("wrong", ["abc", "g" * 64, ""])
def test_a_checksum_must_be_64_hex_digits(wrong):
    with pytest.raises(ValidationError, match="64 hex digits"):
        DownloadConfig(url="x", sha256=wrong)
    assert DownloadConfig(url="x", sha256="AB" * 32).sha256 == "ab" * 32


# ---- folders and keys


def test_a_folder_is_used_as_it_is(tmp_path):
    folder = tmp_path / "mine"
    (folder / "train" / "baroque").mkdir(parents=True)
    (folder / "train" / "baroque" / "a.jpg").write_bytes(b"a")
    before = sorted(folder.rglob("*")), folder.stat().st_mtime_ns
    dataset = download(folder, tmp_path / "out")
    assert dataset == {
        "folder": str(folder),
        "name": "mine",
        "kind": "folder",
        "url": str(folder),
        "archive_sha256": None,
        "files": None,
        "bytes": None,
    }
    assert (sorted(folder.rglob("*")), folder.stat().st_mtime_ns) == before
    assert not paths.raw().exists()


def test_a_folder_in_the_data_root_is_recorded_so_that_the_project_can_move(data, tmp_path):
    (data / "raw" / "mine").mkdir(parents=True)
    assert fingerprint(DownloadConfig(url=str(data / "raw" / "mine"))) == {"folder": "raw/mine"}
    assert download(data / "raw" / "mine", tmp_path / "out")["folder"] == "raw/mine"


def test_the_folder_with_the_splits_is_found_below_a_wrapper_and_nothing_else_is_guessed(tmp_path):
    (tmp_path / "outer" / "inner" / "test").mkdir(parents=True)
    (tmp_path / "other" / "AI_SD_baroque").mkdir(parents=True)
    assert download(tmp_path / "outer", tmp_path / "a")["folder"] == str(tmp_path / "outer" / "inner")
    assert download(tmp_path / "other", tmp_path / "b")["folder"] == str(tmp_path / "other")


def test_a_data_set_whose_folder_is_gone_is_no_longer_usable(tmp_path):
    dataset = download(archive_file(tmp_path), tmp_path / "out")
    assert check(dataset) is None
    paths.located(dataset["folder"]).rename(tmp_path / "elsewhere")
    assert "is gone" in check(dataset)
    assert "is gone" in check(tmp_path / "out")
    assert check({}) == check(tmp_path) == "it names no folder"


def test_the_artifact_leads_to_the_pictures(tmp_path):
    dataset = download(archive_file(tmp_path), tmp_path / "out")
    assert folder(tmp_path / "out") == paths.located(dataset["folder"])
    (tmp_path / "out" / "dataset.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"dataset\.json is missing or damaged"):
        folder(tmp_path / "out")


def test_the_key_of_an_archive_is_its_content_wherever_it_lies(tmp_path):
    first, second = archive_file(tmp_path), archive_file(tmp_path, name="other.zip")
    key = fingerprint(DownloadConfig(url=str(first)))
    assert key == {"archive": sha256(ARCHIVE)} == fingerprint(DownloadConfig(url=second.as_uri()))
    first.write_bytes(zipped({"train/a/b.jpg": b"new"}))
    assert fingerprint(DownloadConfig(url=str(first))) != key


def test_an_unchanged_archive_is_hashed_once(tmp_path, data):
    config = DownloadConfig(url=str(archive_file(tmp_path)))
    fingerprint(config)
    memory = data / "cache" / "archives.json"
    remembered = json.loads(memory.read_text())
    # The answer is read from memory: a planted one comes back.
    memory.write_text(json.dumps({key: [*entry[:2], "planted"] for key, entry in remembered.items()}))
    assert fingerprint(config) == {"archive": "planted"}
    memory.write_text("{damaged")
    assert fingerprint(config) == {"archive": sha256(ARCHIVE)}


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path, data):
    data.mkdir()
    (data / "cache").write_text("a file where the folder should be")
    assert fingerprint(DownloadConfig(url=str(archive_file(tmp_path)))) == {"archive": sha256(ARCHIVE)}


def test_the_key_of_an_address_is_the_address_without_its_secrets():
    assert fingerprint(DownloadConfig(url="https://a.org/x.zip")) == {"url": "https://a.org/x.zip", "sha256": ""}
    secret = fingerprint(DownloadConfig(url="https://me:pass@a.org/x.zip?token=abc", sha256="ab" * 32))
    assert secret["url"].startswith("https://a.org/x.zip?")
    assert secret["sha256"] == "ab" * 32
    assert not any(word in secret["url"] for word in ("pass", "abc", "token"))
    assert secret["url"] != fingerprint(DownloadConfig(url="https://a.org/x.zip?token=other"))["url"]


def test_asking_for_a_key_does_not_load_httpx():
    script = "import sys, artdetect.download as d; d.fingerprint(d.DownloadConfig(url='https://a.org/x.zip'))"
    script += "; sys.exit(bool({'httpx', 'prefect', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


# ---- downloads that go well


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
    # The same archive from a mirror needs no request either, where its checksum is known; without it, it does.
    download(site.url + "?mirror", tmp_path / "three", sha256=sha256(ARCHIVE))
    assert len(site.requests) == 1
    download(site.url + "?mirror", tmp_path / "four")
    download(site.url, tmp_path / "five")
    assert len(site.requests) == 2


def test_a_run_that_died_before_its_record_makes_one_from_the_folder(site, tmp_path):
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


def test_progress_says_what_is_done_and_how_far(site, tmp_path):
    calls = []
    run(DownloadConfig(url=site.url), tmp_path / "out", lambda *call: calls.append(call))
    last = {what: (done, total) for done, total, what in calls}
    unpacked = sum(map(len, PICTURES.values()))
    assert last["downloading"] == (len(ARCHIVE), len(ARCHIVE))
    assert last["unpacking"] == (unpacked, unpacked)


def test_a_server_that_announces_no_length_will_do(site, tmp_path):
    site.length = False
    assert_complete(download(site.url, tmp_path / "out"))


# ---- downloads that break


def test_a_cut_connection_is_resumed_where_it_broke(site, tmp_path):
    site.cut = [100_000, 50_000]
    assert_complete(download(site.url, tmp_path / "out"))
    assert site.asked == [None, "bytes=100000-", "bytes=150000-"]
    assert site.requests[1][1]["If-Range"] == '"one"'


@pytest.mark.parametrize("etag", ['W/"weak"', None])
def test_a_cut_connection_is_resumed_without_a_strong_etag(site, tmp_path, etag):
    site.etag, site.cut = etag, [100_000]
    assert_complete(download(site.url, tmp_path / "out"))
    assert site.asked == [None, "bytes=100000-"]
    assert "If-Range" not in site.requests[1][1]


def test_a_date_vouches_for_the_bytes_where_the_etag_is_weak(site, tmp_path):
    date = "Sun, 22 Nov 2020 10:00:00 GMT"
    site.etag, site.cut, site.headers = 'W/"weak"', [100_000], {"Last-Modified": date}
    download(site.url, tmp_path / "out")
    assert site.requests[1][1]["If-Range"] == date


def test_attempts_end_and_what_arrived_serves_the_next_run(site, tmp_path):
    site.cut = [1000, 1000, 1000]
    with pytest.raises(DownloadError, match=r"gave up after 3 attempts; 3,000 bytes are kept, run again to go on"):
        download(site.url, tmp_path / "out")
    assert_nothing_unpacked()
    assert_complete(download(site.url, tmp_path / "out"))
    assert site.asked[-1] == "bytes=3000-"


def test_attempts_that_bring_much_do_not_count_as_failures(site, tmp_path):
    site.body = zipped({"Art/train/a/b.jpg": RANDOM.randbytes(12 << 20)})
    site.cut = [2 << 20] * 5
    assert download(site.url, tmp_path / "out")["bytes"] == 12 << 20
    assert len(site.requests) == 6


def test_a_server_that_ignores_ranges_is_read_from_the_start(site, tmp_path):
    site.ranges, site.cut = False, [100_000]
    assert_complete(download(site.url, tmp_path / "out"))
    assert site.asked == [None, "bytes=100000-"]


@pytest.mark.parametrize("heeds_if_range", [True, False])
def test_a_file_that_changed_meanwhile_is_read_from_the_start(site, tmp_path, heeds_if_range):
    site.cut = [100_000] * 3
    with pytest.raises(DownloadError):
        download(site.url, tmp_path / "out")
    site.body, site.etag = zipped(PICTURES, zipfile.ZIP_STORED), '"two"'
    if not heeds_if_range:
        site.answer = lambda request, answer=site.answer: (request.headers.__delitem__("If-Range"), answer(request))
    assert_complete(download(site.url, tmp_path / "out"), site.body)
    assert site.asked[3:] == (["bytes=300000-"] if heeds_if_range else ["bytes=300000-", None])


def test_a_range_beyond_the_end_means_that_everything_is_here(site, tmp_path):
    """As after a kill between the last byte and the note of it, from a server that announces no length."""
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
    assert site.asked == [None, f"bytes={len(ARCHIVE)}-"]


def test_a_part_longer_than_the_file_is_dropped(site, tmp_path):
    site.cut, site.etag = [100_000] * 3, None
    with pytest.raises(DownloadError):
        download(site.url, tmp_path / "out")
    site.body = zipped({"train/a/b.jpg": b"small"})
    assert download(site.url, tmp_path / "out")["bytes"] == 5
    assert site.asked[3:] == ["bytes=300000-", None]


def test_a_length_that_does_not_match_is_noticed(site, tmp_path):
    site.headers = {"Content-Length": str(len(ARCHIVE) + 10)}
    site.ranges = False
    with pytest.raises(DownloadError, match="gave up after 3 attempts"):
        download(site.url, tmp_path / "out")
    assert_nothing_unpacked()


def wait_for_bytes(count):
    deadline = time.monotonic() + 15
    while sum(part.stat().st_size for part in raw.downloads().glob("*.part")) < count:
        assert time.monotonic() < deadline, "nothing arrived"
        time.sleep(0.01)


def test_a_download_survives_kill_9(site, tmp_path):
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
    assert site.asked == [None, "bytes=150000-"]


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
        process.communicate(timeout=20)
        assert process.returncode == 0
    assert site.asked == [None, "bytes=1000-"]
    assert (tmp_path / "one" / "dataset.json").read_bytes() == (tmp_path / "two" / "dataset.json").read_bytes()


# ---- servers that refuse


@pytest.mark.parametrize(
    ("status", "says", "requests"),
    [
        (404, "404 Not Found: there is no such file", 1),
        (401, "it needs a login: download it by hand and set download.url to the file", 1),
        (403, "it needs a login: download it by hand and set download.url to the file", 1),
        (400, "check download.url", 1),
        (500, "500 Internal Server Error (gave up after 3 attempts", 3),
        (429, "429 Too Many Requests (gave up after 3 attempts", 3),
    ],
)
def test_a_refusal_says_what_to_do(site, tmp_path, status, says, requests):
    site.status = status
    with pytest.raises(DownloadError) as error:
        download(site.url, tmp_path / "out")
    assert says in str(error.value)
    assert site.url in str(error.value)
    assert len(site.requests) == requests
    assert not (tmp_path / "out").exists()


def test_a_passing_error_is_waited_out(site, tmp_path):
    site.errors, site.headers = [503, 500], {"Retry-After": "0"}
    assert_complete(download(site.url, tmp_path / "out"))


def test_no_server_and_no_such_host_are_told_apart(site, tmp_path):
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
    assert site.asked[-1] == "bytes=3000-"


@pytest.mark.parametrize(("body", "says"), [(b"", "empty file"), (b"\x1f\x8b\x08 tar", "no zip archive"), (b"P", "no")])
def test_something_else_than_an_archive_is_refused(site, tmp_path, body, says):
    site.body = body
    with pytest.raises(DownloadError, match=says):
        download(site.url, tmp_path / "out")
    assert left_in_cache() == []


def test_a_wrong_checksum_names_both_and_the_next_run_starts_clean(site, tmp_path):
    with pytest.raises(DownloadError, match=rf"SHA-256 is {sha256(ARCHIVE)}, download.sha256 is {'ab' * 32}"):
        download(site.url, tmp_path / "out", sha256="ab" * 32)
    assert left_in_cache() == []
    assert_nothing_unpacked()
    with pytest.raises(DownloadError, match="SHA-256"):
        download(archive_file(tmp_path), tmp_path / "out", sha256="ab" * 32)


def test_a_damaged_download_is_not_kept(site, tmp_path):
    site.length, site.body = False, ARCHIVE[:-5000]  # cut by a server that says nothing of the length
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


# ---- archives on this machine


def test_a_local_archive_is_read_in_place(tmp_path):
    path = archive_file(tmp_path, name="my art, 100%.zip")
    for url in (str(path), path.as_uri(), "file:" + quote(str(path)), f"file://localhost{quote(str(path))}"):
        dataset = download(url, tmp_path / "out")
        assert_complete(dataset)
        assert dataset["folder"].startswith("raw/my-art-100-")
        assert (dataset["name"], dataset["url"]) == ("my art, 100%", "my art, 100%.zip")
    assert path.read_bytes() == ARCHIVE
    assert not list(raw.downloads().glob("*.part"))


def test_a_folder_that_is_there_is_never_touched_again(tmp_path):
    dataset = download(archive_file(tmp_path), tmp_path / "out")
    folder = paths.located(dataset["folder"])
    (folder / "train" / "baroque" / "a.jpg").write_bytes(b"changed by hand")
    assert download(tmp_path / "art.zip", tmp_path / "out") == dataset
    assert (folder / "train" / "baroque" / "a.jpg").read_bytes() == b"changed by hand"


def test_what_macos_adds_is_left_out(tmp_path):
    members = {
        "train/a/b.jpg": b"b",
        "train/a/._b.jpg": b"x",
        "__MACOSX/train/a/._b.jpg": b"x",
        "train/.DS_Store": b"x",
    }
    dataset = download(archive_file(tmp_path, zipped(members)), tmp_path / "out")
    assert files_below(paths.located(dataset["folder"])) == {"train/a/b.jpg": b"b"}
    assert dataset["files"] == 1


def test_folders_and_dots_in_an_archive_are_in_order(tmp_path):
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
    body, says = BAD_ARCHIVES[case]
    with pytest.raises(DownloadError, match=says) as error:
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


def test_sizes_are_checked_on_the_bytes_and_not_on_what_the_archive_says_of_them(tmp_path):
    for said in (1, 1 << 19):  # less and more than the 100,000 that come out
        body = bytearray(zipped({"train/a.jpg": b"ab" * 50_000}))
        for at in (22, body.index(b"PK\x01\x02") + 24):
            body[at : at + 4] = said.to_bytes(4, "little")
        with pytest.raises(DownloadError, match="damaged or not complete"):
            download(archive_file(tmp_path, bytes(body)), tmp_path / "out")
        assert_nothing_unpacked()


def test_overlapping_members_count_each_time(tmp_path):
    """The better zip bomb: many members of the list share one piece of data."""
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
    with pytest.raises(DownloadError, match="list of members is"):
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
    """Small members, so that most changes hit headers and the list of members."""
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


# ---- processes that die, disks that are full

UNPACKING = """
    import sys, time, artdetect.download as d
    def stop(done, total, what):
        if what == "unpacking":
            print("unpacking", flush=True)
            time.sleep(60)
    d.run(d.DownloadConfig(url=sys.argv[1]), d.Path(sys.argv[2]), stop)
"""


def test_what_a_killed_extraction_left_is_swept_and_a_living_one_is_left_alone(tmp_path):
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


def test_a_full_disk_ends_a_download_with_the_error_of_the_system(site, tmp_path):
    raw.downloads().mkdir(parents=True)
    part = raw.downloads() / f"{hashlib.sha256(site.url.encode()).hexdigest()[:16]}.part"
    part.symlink_to("/dev/full")  # where every write fails for want of space
    with pytest.raises(OSError, match="No space left on device"):
        download(site.url, tmp_path / "out")
    part.unlink()
    assert_complete(download(site.url, tmp_path / "out"))


def test_a_disk_that_is_full_while_unpacking_leaves_nothing(tmp_path):
    script = """
        import resource, sys, artdetect.download as d
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            d.run(d.DownloadConfig(url=sys.argv[1]), d.Path(sys.argv[2]))
        except OSError as error:
            print(error.strerror)
    """
    process = start(script, archive_file(tmp_path), tmp_path / "out")
    assert process.communicate(timeout=20)[0] == "File too large\n"
    assert_nothing_unpacked()


def test_a_disk_with_too_little_room_is_noticed_before(site, tmp_path):
    site.headers = {"Content-Length": str(10**17)}
    with pytest.raises(StorageError, match=r"100000000\.0 GB of http.* are missing"):
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
