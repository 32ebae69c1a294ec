"""Every command in the documentation runs, page by page, in one project with the demo data set and real services.

`commands.NOT_RUN` lists the lines that do not, each with its reason.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from artdetect.demo_data import draw
from tests import PROJECT
from tests.api.test_pipeline import onnx_file
from tests.documentation import commands

IGNORED = shutil.ignore_patterns(".git", ".venv", ".prefect", ".cache", "site", "__pycache__", ".*_cache")
PARTLY = ("artdetect status", "artdetect drift")  # they answer by their exit code 1
# The demo data set at a fraction of the cost: this is about the commands, not about the model.
CHEAP = """
[download]
url = "data/sample/drawn-art.zip"
[train]
size = 64
degraded_views = 2
part_pictures = 0
[evaluate]
bootstrap_resamples = 100
robustness_pictures = 0
[explain]
method = "gradcam"
beside = []
localisation = 0
quality_pictures = 2
[gate]
bootstrap_resamples = 100
localisation = 0
"""
MY_ART = """
[download]
url = "my-art"
[train]
size = 96
[evaluate]
robustness_pictures = 0
[explain]
method = "gradcam"
beside = []
localisation = 0
"""
SERVICES = ("make up", "make down", "artdetect serve", "prefect ")
AGAIN = (*SERVICES, "artdetect retrain")  # lines that run each time they occur
AFTER_THE_TUTORIALS = "docs/README.md"
LONGEST = 900  # seconds for a command


class Project:
    """A copy of this project in which a reader follows the pages."""

    def __init__(self, folder: Path, home: Path):
        self.folder = folder
        self.service: subprocess.Popen[str] | None = None
        self.ran: set[str] = set()
        port, self.page_port = free_ports()
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("ARTDETECT_", "PREFECT_"))
        }
        path = f"{folder / '.venv' / 'bin'}:{os.environ['PATH']}"
        python_path = f"{folder}:{os.environ.get('PYTHONPATH', '')}"
        mine = {
            "ARTDETECT_PORT": str(port),
            "PYTHONPATH": python_path,
            "PATH": path,
            "HOME": str(home),
            "NO_COLOR": "1",
        }
        self.environment = inherited | mine

    def run(self, line: str) -> str | None:
        """Run a line as a shell does, unless it ran before; what went wrong, or None."""
        if line in self.ran and not line.startswith(AGAIN):
            return None
        self.ran.add(line)
        line = self._filled_in(line)
        if line.startswith("artdetect serve"):
            return self._serve(line)
        if line.startswith("prefect "):
            line = f"make up && {line}"
        began = time.monotonic()
        code, printed = self._shell(line)
        if code is None:
            return f"{line}: took longer than {LONGEST} s\n{printed[-1500:]}"
        print(f"$ {line}  ({time.monotonic() - began:.1f} s)\n{printed[-3000:]}", flush=True)
        allowed = (0, 1) if line.startswith(PARTLY) else (0,)
        return None if code in allowed else f"{line}: exit code {code}\n{printed[-1500:]}"

    def take_drawings_for_art(self) -> None:
        """Take the mark of a demonstration from the pictures that are drawn from now on; promote two models of them.

        After the tutorials a reader trains on real art. Models of demonstrations are refused where one is not named.
        """
        source = self.folder / "artdetect" / "demo_data" / "__init__.py"
        text = source.read_text()
        assert text.count("{DEMONSTRATION}\n") == 1
        source.write_text(text.replace("{DEMONSTRATION}\n", ""))
        promote = "artdetect promote $(ls -t artifacts/train | head -1) --reason 'trained on art'"
        train = f"for seed in 1 2; do artdetect run --set train.seed=$seed && {promote} || exit 1; done"
        code, printed = self._shell(f"artdetect demo-data data/sample && {train}")
        assert code == 0, printed

    def _shell(self, line: str) -> tuple[int | None, str]:
        """The exit code of a line and what it printed. After `LONGEST` seconds it is killed, and the code is None."""
        with tempfile.TemporaryFile("w+", errors="replace") as output:
            process = subprocess.Popen(
                ["bash", "-c", line],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,  # so that what the line started can be killed with it
            )
            code = None
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(LONGEST)
            if code is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            output.seek(0)
            return code, output.read()

    def _filled_in(self, line: str) -> str:
        """A line with values in place of what a reader fills in, and with a port that is free."""
        trained = sorted(
            (self.folder / "artifacts" / "train").glob("*/record.json"), key=lambda path: path.stat().st_mtime
        )
        key = trained[-1].parent.name if trained else "KEY"
        line = (
            re.sub(r"\bKEY\b|\b5a149e7f\b", key, line).replace("<key>", key).replace("…", "as the documentation says")
        )
        line = line.replace("/path/to/pictures", str(self.folder / "folder"))
        line = line.replace("127.0.0.1:8000", f"127.0.0.1:{self.page_port}").replace("--port 8080", "")
        return f"{line} --port {self.page_port}" if line.startswith("artdetect serve") else line

    def _serve(self, line: str) -> str | None:
        """Start the service and leave it running, as a reader does in another terminal."""
        self.stop_service()
        self.service = subprocess.Popen(
            ["bash", "-c", f"exec {line}"], cwd=self.folder, env=self.environment, stdout=subprocess.DEVNULL, text=True
        )
        until = time.monotonic() + 120
        while time.monotonic() < until and self.service.poll() is None:
            try:
                if httpx.get(f"http://127.0.0.1:{self.page_port}/healthz").is_success:
                    return None
            except httpx.TransportError:
                time.sleep(0.2)
        return f"{line}: does not answer"

    def stop_service(self) -> None:
        if self.service is not None:
            self.service.terminate()
            self.service.wait()
            self.service = None


def free_ports() -> tuple[int, int]:
    """A free port whose successor is free, too, and another."""
    while True:
        with socket.socket() as one, socket.socket() as two, socket.socket() as three:
            one.bind(("127.0.0.1", 0))
            three.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            try:
                two.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port, three.getsockname()[1]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    root = tmp_path_factory.mktemp("reader")
    folder = root / "artdetect"
    shutil.copytree(PROJECT, folder, ignore=IGNORED)
    for name in ("data", "artifacts"):
        shutil.rmtree(folder / name)
        (folder / name).mkdir()
        shutil.copy(PROJECT / name / "README.md", folder / name)
    (folder / "configs" / "sample.toml").write_text(CHEAP)
    _set_up(folder)
    _what_a_reader_has(folder, root)
    for place in (".local/share/bash-completion/completions", ".zsh/completions", ".config/fish/completions"):
        (root / "home" / place).mkdir(parents=True)
    reader = Project(folder, root / "home")
    yield reader
    reader.stop_service()
    reader.run("make down")


def _set_up(folder: Path) -> None:
    """As after `make setup`, which the tests of the base install and a newcomer's clone cover: this environment."""
    (folder / ".venv").mkdir()
    for part in ("bin", "lib", "pyvenv.cfg"):  # without the last, it is no virtual environment to Python
        (folder / ".venv" / part).symlink_to(Path(sys.executable).parents[1] / part)
    for name in ("pyproject.toml", "constraints.txt", "constraints-hashes.txt"):
        os.utime(folder / name, (0, 0))
    for stamp in ("ready", "base"):
        (folder / ".venv" / stamp).touch()


def _what_a_reader_has(folder: Path, root: Path) -> None:
    """Pictures and files under the names that the pages use."""
    archive = draw(root / "own", styles=("impressionism", "ukiyo_e"), train=20, test=8, seed=11)
    shutil.unpack_archive(archive, root / "own")
    (art,) = (path.parent for path in (root / "own").rglob("train"))
    shutil.copytree(art, folder / "my-art")
    human = sorted(path for path in art.glob("train/[!A]*/*") if path.is_file())
    generated = sorted(path for path in art.glob("train/AI_*/*") if path.is_file())
    (folder / "my-art.toml").write_text(MY_ART)
    for name in ("picture.jpg", "one.jpg", "two.png"):
        shutil.copy(human[0], folder / name)
    for name, paths in (("folder", human[1:3] + generated[1:3]), ("scans", human[5:7]), ("pictures", generated[3:5])):
        (folder / name).mkdir()
        for number, path in enumerate(paths):
            shutil.copy(path, folder / name / f"{number}.jpg")
    onnx_file(folder / "theirs.onnx", [None, 3, 224, 224], softmax=True)
    (folder / "package").mkdir()
    (folder / "package" / "module.py").write_text("def function(pictures):\n    return [0.25] * len(pictures)\n")
    (folder / "list.txt").write_text("picture.jpg\nfolder/0.jpg\n")
    (folder / "last").touch()
    os.utime(folder / "last", (0, 0))
    for name in ("mine", "my-pictures"):
        for label, paths in (("human", human[:12]), ("AI", generated[:12])):
            (folder / name / label).mkdir(parents=True)
            for path in paths:
                shutil.copy(path, folder / name / label)
    kept = folder / "feedback" / "human" / "feedback"
    kept.mkdir(parents=True)
    shutil.copy(human[3], kept / "0a1b2c3d4e5f6071.jpg")
    shutil.copy(human[4], kept / "1a1b2c3d4e5f6071.jpg")


@pytest.mark.slow
@pytest.mark.parametrize("page", commands.PAGES)  # in this order: what a page needs is made by those before it
def test_every_command_of_the_page_runs(project: Project, page: str) -> None:
    if page == AFTER_THE_TUTORIALS:
        project.take_drawings_for_art()
    lines = [line for line in commands.lines(page) if commands.reason_not_to_run(line) is None]
    failed = [problem for line in lines if (problem := project.run(line))]
    project.stop_service()
    assert failed == []
