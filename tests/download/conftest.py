"""A local HTTP server that misbehaves on request, and archives to serve from it."""

import hashlib
import io
import json
import random
import signal
import subprocess
import sys
import textwrap
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from artdetect.core import paths
from artdetect.download import Retry, check, dataset_store, run
from artdetect.download.config import DownloadConfig

RANDOM = random.Random(129)
QUICK = Retry(attempts=3, first_wait=0.01, max_wait=0.02, read_timeout=60)
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
    """A local web server that serves one archive; its attributes choose the faults."""

    def __init__(self):
        self.body, self.etag, self.ranges = ARCHIVE, '"one"', True
        self.status, self.kind, self.headers = 200, "application/zip", {}
        self.cut = []  # for each coming response: after how many bytes of the body the connection breaks
        self.stall = threading.Event()  # set: the connection breaks at the cut; cleared: the response stalls there
        self.stall.set()
        self.length = True  # whether to announce Content-Length
        self.requests = []
        self.errors = []  # statuses of coming responses
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                site.requests.append((self.path, dict(self.headers)))
                site.respond(self)
                self.close_connection = True

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/art.zip"

    @property
    def ranges_requested(self):
        """The Range header of each request."""
        return [headers.get("Range") for _, headers in self.requests]

    def respond(self, request):
        if request.path == "/moved.zip":
            request.send_response(302)
            request.send_header("Location", "/art.zip")
            request.end_headers()
            return
        status = self.errors.pop(0) if self.errors else self.status
        body, extra = self.body, {}
        requested = request.headers.get("Range")
        fresh = request.headers.get("If-Range") in (None, self.etag)
        if status == 200 and requested and self.ranges and fresh:
            start = int(requested.removeprefix("bytes=").removesuffix("-"))
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
                self.stall.wait(180)
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
    """Run the stage and return the record it wrote."""
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
    """The files that a download left in the cache, without locks."""
    return [path.name for path in dataset_store.downloads().glob("*") if path.suffix != ".lock"]


def archive_file(tmp_path, content=ARCHIVE, name="art.zip"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def start(script, *args):
    """A new process that runs `script`; its stdout can be read."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, args)], stdout=subprocess.PIPE, text=True
    )


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.communicate()
