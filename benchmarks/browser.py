"""A real headless Chromium, driven by its DevTools protocol: what a page says once it is drawn, and a picture of it."""

import base64
import itertools
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect


def program() -> str | None:
    """Where Chromium is, None where there is none."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page:
    """One tab."""

    def __init__(self, socket: ClientConnection):
        self._socket = socket
        self._numbers = itertools.count(1)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A DevTools command and its answer; RuntimeError where Chromium refuses it."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def open(self, address: str, until: Callable[[str], bool], seconds: float = 60) -> str:
        """Go there and wait until its visible text is as wanted; the text, also where it never was."""
        self.call("Page.navigate", url=address)
        return self.wait(until, seconds)

    def wait(self, until: Callable[[str], bool], seconds: float = 60) -> str:
        """The visible text once it is as wanted, or after so many seconds."""
        last = time.monotonic() + seconds
        while not until(text := self.evaluate("document.body ? document.body.innerText : ''")):
            if time.monotonic() > last:
                break
            time.sleep(0.25)
        return text

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression in the page."""
        return self.call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def picture(self, file: Path, width: int = 1280, height: int = 800) -> None:
        """A PNG of the page at this size in CSS pixels, once it has stopped moving."""
        self.size(width, height)
        time.sleep(1.5)  # the dashboard fades pages in
        shot = self.call("Page.captureScreenshot", format="png")
        file.write_bytes(base64.b64decode(shot["data"]))

    def size(self, width: int, height: int) -> None:
        """Make the window as large as this, in CSS pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)


@contextmanager
def browser(scheme: str = "light") -> Iterator[Page]:
    """A tab of a Chromium of its own, which prefers this colour scheme; it is gone afterwards."""
    executable = program()
    if executable is None:
        raise RuntimeError("there is no chromium on this machine")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0"]
        command = [executable, *flags, f"--user-data-dir={home}", "about:blank"]
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            port = _port(Path(home), running)
            (tab, *_) = [tab for tab in httpx.get(f"http://127.0.0.1:{port}/json").json() if tab["type"] == "page"]
            with connect(tab["webSocketDebuggerUrl"], max_size=None) as socket:
                page = Page(socket)
                page.call("Page.enable")
                page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
                page.size(1280, 800)
                yield page
        finally:
            running.terminate()
            running.wait(timeout=30)


def _port(home: Path, running: "subprocess.Popen[bytes]") -> int:
    until = time.monotonic() + 60
    while time.monotonic() < until and running.poll() is None:
        try:
            return int((home / "DevToolsActivePort").read_text().split()[0])
        except (OSError, IndexError, ValueError):
            time.sleep(0.1)
    raise RuntimeError("chromium did not start")
