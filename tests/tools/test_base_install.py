"""The base install, in an environment of its own: verdicts and evidence without TensorFlow, the rest by one line."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests import PROJECT
from tests.tiny_dataset import jpeg, write

PARTS = ("artdetect", "flows", "tasks", "tools", "configs", "README.md", "LICENSE", "pyproject.toml")
MAX_MEGABYTES = 400  # with Python's own pip, and uv


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the base install in .venv, as `make base` makes it. It needs the package index."""
    folder = tmp_path_factory.mktemp("base") / "project"
    folder.mkdir()
    for path in (PROJECT / name for name in (*PARTS, "constraints.txt", "constraints-hashes.txt")):
        if path.is_dir():
            shutil.copytree(path, folder / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, folder)
    subprocess.run([sys.executable, "-m", "venv", folder / ".venv"], check=True)
    python = folder / ".venv" / "bin" / "python"
    subprocess.run([python, "tools/install.py"], cwd=folder, env=environment(), check=True)
    return folder


def command(base: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    program = base / ".venv" / "bin" / "artdetect"
    return subprocess.run([program, *map(str, arguments)], env=environment(), cwd=base, capture_output=True, text=True)


def environment() -> dict[str, str]:
    """Without the tests' PYTHONPATH, which keeps processes from other machines, also from the package index."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("ARTDETECT_", "PYTHONPATH"))}


@pytest.mark.slow
def test_it_is_small_and_has_no_tensorflow(base: Path) -> None:
    python = base / ".venv" / "bin" / "python"
    for module in ("tensorflow", "keras", "prefect", "pandas", "scipy", "numba"):
        ended = subprocess.run([python, "-c", f"import {module}"], env=environment(), stderr=subprocess.DEVNULL)
        assert ended.returncode == 1
    size = sum(path.lstat().st_size for path in (base / ".venv").rglob("*") if path.is_file())
    assert size < MAX_MEGABYTES * 1e6


@pytest.mark.slow
def test_predict_gives_the_verdict_of_the_full_install(
    base: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from artdetect.cli import main

    picture = write(tmp_path / "a.jpg", jpeg(1))
    ended = command(base, "predict", picture, "--model", model, "--json")
    assert ended.returncode == 0, ended.stderr
    assert main(["predict", str(picture), "--model", str(model), "--json"]) == 0
    assert json.loads(ended.stdout) == json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_the_starter_gives_a_verdict(base: Path, tmp_path: Path) -> None:
    ended = command(base, "predict", write(tmp_path / "a.jpg", jpeg(1, side=300)), "--json")
    assert ended.returncode == 0, ended.stderr
    assert 0 < json.loads(ended.stdout)["p_ai"] < 1


@pytest.mark.slow
def test_serve_answers_with_verdict_and_evidence(base: Path, model: Path) -> None:
    program = [base / ".venv" / "bin" / "artdetect", "serve", "--port", "0", "--model", model]
    with subprocess.Popen(program, cwd=base, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        address = process.stdout.readline().split()[0]
        page = httpx.get(address, timeout=180)
        files = {"file": ("a.jpg", jpeg(1))}
        explained = httpx.post(f"{address}/api/v1/explain", files=files, timeout=180)
        process.send_signal(signal.SIGTERM)
    assert (page.status_code, explained.status_code) == (200, 200)
    assert explained.json()["picture"]["p_ai"] > 0


@pytest.mark.slow
def test_explain_draws_the_evidence(base: Path, model: Path, tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.jpg", jpeg(1))
    ended = command(base, "explain", tmp_path / "in", "--out", tmp_path / "out", "--model", model)
    assert ended.returncode == 0, ended.stderr
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"a.png", "a.json"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (["run", "--config", "configs/notebook.toml"], "pipeline"),
        (["explain", "a.jpg", "--out", "out", "--method", "xrai"], "pipeline"),
        (["tune", "--config", "configs/notebook.toml"], "tune"),
    ],
)
def test_what_needs_an_extra_says_so_in_one_line(base: Path, arguments: list[str], extra: str, model: Path) -> None:
    write(base / "a.jpg", jpeg(1))
    model_option = ["--model", str(model)] if arguments[0] == "explain" else []
    ended = command(base, *arguments, *model_option)
    assert ended.returncode == 2
    assert f"-m pip install -c {base}/constraints.txt -e '{base}[{extra}]'" in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
