"""Drives a headless Chromium over the DevTools protocol: the visible text of a page, and screenshots of it."""

import base64
import itertools
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect


def executable() -> str | None:
    """The path of Chromium, or None if it is not installed."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page:
    """One browser tab."""

    def __init__(self, socket: ClientConnection):
        self._socket = socket
        self._numbers = itertools.count(1)
        self.events: list[dict[str, Any]] = []  # what Chromium reported, of the domains that were enabled

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a DevTools command and return its result.

        Raises:
            RuntimeError: Chromium reports an error.
        """
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=180))
            if "method" in answer:
                self.events.append(answer)
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def open(self, address: str, until: Callable[[str], bool], seconds: float = 180) -> str:
        """Open a page and wait for its text, as `wait` does.

        Args:
            address: the URL.
            until: whether the visible text is complete.
            seconds: how long to wait at most.
        """
        self.evaluate("window.leaving = true")  # the text of the page before does not count
        self.call("Page.navigate", url=address)
        return self.wait(lambda text: until(text) and not self.evaluate("window.leaving"), seconds)

    def wait(self, until: Callable[[str], bool], seconds: float = 180) -> str:
        """The visible text as soon as `until` is true of it, or after `seconds`."""
        deadline = time.monotonic() + seconds
        while not until(text := self.evaluate("document.body ? document.body.innerText : ''")):
            if time.monotonic() > deadline:
                break
            time.sleep(0.25)
        return text

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression in the page."""
        return self.call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def choose(self, selector: str, files: Sequence[Path]) -> None:
        """Choose files in an input of the page, as the file dialogue does."""
        chosen = self.call("Runtime.evaluate", expression=f"document.querySelector({json.dumps(selector)})")["result"]
        # By object: numbers of nodes change under a page that is still loading.
        self.call("DOM.setFileInputFiles", files=[str(file) for file in files], objectId=chosen["objectId"])

    def requests(self) -> list[str]:
        """The addresses that were asked for since the domain Network was enabled, but data and blobs in the page."""
        self.evaluate("0")  # takes what Chromium has reported meanwhile
        sent = [event["params"] for event in self.events if event["method"] == "Network.requestWillBeSent"]
        addresses = [one["request"]["url"] for one in sent]
        return [address for address in addresses if not address.startswith(("data:", "blob:"))]

    def enter(self, text: str) -> None:
        """Type into the first input of the page, and press Enter."""
        self.evaluate("document.querySelector('input').focus()")
        self.call("Input.insertText", text=text)
        self.call("Input.dispatchKeyEvent", type="keyDown", key="Enter", text="\r", windowsVirtualKeyCode=13)

    def screenshot(self, file: Path, width: int = 1280, height: int = 800) -> None:
        """Write a screenshot of the page at this size in CSS pixels, after animations have ended."""
        self.resize(width, height)
        time.sleep(1.5)  # the dashboard fades pages in
        shot = self.call("Page.captureScreenshot", format="png")
        file.write_bytes(base64.b64decode(shot["data"]))

    def resize(self, width: int, height: int) -> None:
        """Set the size of the window in CSS pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)


@contextmanager
def browser(scheme: str = "light", *switches: str) -> Iterator[Page]:
    """A tab of a new Chromium process, which is terminated afterwards.

    Args:
        scheme: the preferred colour scheme, "light" or "dark".
        switches: further switches of Chromium's command line.

    Raises:
        RuntimeError: Chromium is not installed or does not start.
    """
    chromium = executable()
    if chromium is None:
        raise RuntimeError("Chromium is not installed. Install the package chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0"]
        command = [chromium, *flags, *switches, f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            port = _port(Path(profile), process)
            (tab, *_) = [tab for tab in httpx.get(f"http://127.0.0.1:{port}/json").json() if tab["type"] == "page"]
            with connect(tab["webSocketDebuggerUrl"], max_size=None) as socket:
                page = Page(socket)
                page.call("Page.enable")
                page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
                page.resize(1280, 800)
                yield page
        finally:
            process.terminate()
            process.wait(timeout=30)


def _port(profile: Path, process: "subprocess.Popen[bytes]") -> int:
    """The DevTools port, as soon as Chromium has written it to its profile."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return int((profile / "DevToolsActivePort").read_text().split()[0])
        except (OSError, IndexError, ValueError):
            time.sleep(0.1)
    raise RuntimeError("Chromium did not start within 60 s")
