"""Import, predict, serve and a whole run connect to this machine only.

The autouse fixture in conftest.py watches Python in all other tests, too. What libraries in C do is seen by strace, or
stopped by a network namespace where strace is missing.
"""

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from prefect.server.api import collections

from artdetect import config as configs
from tasks.engine.server import know_workers_without_github
from tests import PROJECT, connections
from tests.flows.conftest import small
from tests.pictures.declared_files import encoded
from tests.pictures.signed_files import signed
from tests.tiny_dataset import jpeg, write

CLI = [sys.executable, "-m", "artdetect.cli"]
IMPORT_ALL = """
import importlib, pkgutil
import artdetect
for module in pkgutil.walk_packages(artdetect.__path__, "artdetect."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""


def test_the_watch_sees_this_process_and_those_that_it_starts() -> None:
    with socket.socket() as plain, pytest.raises(ConnectionRefusedError, match=r"192\.0\.2\.1"):
        plain.connect(("192.0.2.1", 80))
    code = "import socket; socket.getaddrinfo('somewhere.example', 443)"
    assert subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL).returncode == 1
    first, second = connections.taken().splitlines()
    assert first.startswith("socket.connect ('192.0.2.1', 80) in ")
    assert "'somewhere.example'" in second
    listening = socket.create_server(("127.0.0.1", 0))
    socket.create_connection(listening.getsockname()).close()
    listening.close()
    assert connections.taken() == ""


def test_importing_every_module_connects_to_nobody() -> None:
    subprocess.run([sys.executable, "-c", IMPORT_ALL], cwd=PROJECT, check=True)
    assert connections.taken() == ""


def test_onnx_runtime_collects_nothing_that_it_could_report(tmp_path: Path) -> None:
    """From 1.32 on it keeps events in the person's cache folder, until it sends them to Microsoft."""
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", "import artdetect, onnxruntime"], cwd=PROJECT, env=environment, check=True)
    assert list(tmp_path.iterdir()) == []


def test_prefects_server_knows_the_types_of_workers_without_asking_github(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collections, "KNOWN_VIEWS", dict(collections.KNOWN_VIEWS))
    monkeypatch.setattr(collections, "GLOBAL_COLLECTIONS_VIEW_CACHE", {})
    know_workers_without_github()
    found = asyncio.run(collections.get_collection_view("aggregate-worker-metadata"))
    assert "process" in found["prefect"]
    assert connections.taken() == ""


@pytest.mark.slow
def test_predict_and_serve_connect_to_nobody(model: Path, tmp_path: Path) -> None:
    picture = write(tmp_path / "a.jpg", jpeg(1))
    predict = subprocess.run([*traced(tmp_path / "predict"), *CLI, "predict", str(picture)], cwd=PROJECT)
    assert predict.returncode == 0
    assert foreign(tmp_path / "predict") == []

    away = signed(encoded("JPEG"), "JPEG", elsewhere="http://192.0.2.1/manifest.c2pa")
    command = [*traced(tmp_path / "serve"), *CLI, "serve", "--port", "0"]
    process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    address = process.stdout.readline().split()[0]
    answers = [httpx.post(f"{address}/api/v1/predict", content=content, timeout=180) for content in (jpeg(1), away)]
    process.send_signal(signal.SIGTERM)
    assert ([answer.status_code for answer in answers], process.wait(180)) == ([200, 200], 0)
    assert "not fetched" in answers[1].text
    assert foreign(tmp_path / "serve") == []


@pytest.mark.slow
def test_a_whole_run_connects_to_nobody(pictures: Path, roots: Path) -> None:
    """With the temporary server that Prefect starts."""
    config = write(roots / "small.toml", configs.dump(small(pictures)).encode())
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= {"PREFECT_HOME": str(roots), "PREFECT_PROFILES_PATH": str(roots / "none.toml")}
    command = [*traced(roots / "run"), *CLI, "run", "--config", str(config)]
    run = subprocess.run(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True)
    assert run.returncode == 0
    assert "Report: " in run.stdout
    assert foreign(roots / "run") == []


def traced(record: Path) -> list[str]:
    """What runs a command such that its connections, and those of all that it starts, are in `record`."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    return ["strace", "-D", "-f", "-qq", "--seccomp-bpf", "-e", "trace=connect,sendto,sendmsg", "-o", str(record)]


def foreign(record: Path) -> list[str]:
    """The lines with an address of another machine. Some commands open no socket at all."""
    assert record.exists()
    lines = record.read_text(errors="replace").splitlines()
    addresses = re.compile(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')
    return [line for line in lines for pair in addresses.findall(line) if not connections.is_here("".join(pair))]


def test_a_trace_shows_a_foreign_address(tmp_path: Path) -> None:
    """A name is not looked up here: a resolver may be on this machine."""
    code = "import socket; s = socket.socket(); s.setblocking(False)"
    code += "; [s.connect_ex((host, 9)) for host in ('192.0.2.1', '127.0.0.1')]"
    command = [*traced(tmp_path / "trace"), sys.executable, "-S", "-c", code]
    subprocess.run(command, env={"PATH": os.environ["PATH"]}, check=True)
    (line,) = foreign(tmp_path / "trace")
    assert "192.0.2.1" in line
