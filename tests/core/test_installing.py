"""The command that adds a package: it is for this Python, and works from where artdetect came."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from artdetect.core import installing
from tests.test_architecture import PROJECT


@pytest.fixture
def activated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This Python's own pip comes first in PATH, as in an environment that was activated."""
    pip = tmp_path / "bin" / "pip"
    pip.parent.mkdir()
    pip.write_text("#!/bin/sh\n")
    pip.chmod(0o755)
    monkeypatch.setenv("PATH", str(pip.parent))
    monkeypatch.setattr(sys, "executable", str(pip.with_name("python")))


def installed(folder: Path, origin: dict[str, object] | None) -> str:
    """What a copy of the module says that was installed into a folder, as pip does, from an address or an index."""
    package, record = folder / "artdetect", folder / "artdetect-0.1.0.dist-info"
    (package / "core").mkdir(parents=True)
    record.mkdir()
    (package / "__init__.py").touch()
    (package / "core" / "__init__.py").touch()
    (package / "core" / "installing.py").write_text(Path(installing.__file__).read_text())
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: artdetect\nVersion: 0.1.0\n")
    if origin:
        (record / "direct_url.json").write_text(json.dumps(origin))
    program = "from artdetect.core import installing; print(installing.extra('tune'))"
    environment = {"PATH": "", "PYTHONPATH": str(folder)}
    ended = subprocess.run(
        [sys.executable, "-S", "-c", program], env=environment, cwd=folder, capture_output=True, text=True, check=True
    )
    return ended.stdout.strip().removeprefix(f"{sys.executable} -m pip install ")


def test_in_a_clone_the_clone_is_installed_with_its_pins(activated: None) -> None:
    assert installing.extra("tune") == f"pip install -c {PROJECT}/constraints.txt -e '{PROJECT}[tune]'"


def test_a_clone_whose_path_has_spaces_is_quoted(
    activated: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(installing, "CHECKOUT", clone := tmp_path / "my clone")
    clone.mkdir()
    (clone / "pyproject.toml").touch()
    assert shlex.split(installing.extra("hub")) == ["pip", "install", "-e", f"{clone}[hub]"]


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (None, "'artdetect[tune]'"),
        (
            {"url": "https://git.example/a.git", "vcs_info": {"vcs": "git", "commit_id": "1a2b"}},
            "'artdetect[tune] @ git+https://git.example/a.git@1a2b'",
        ),
        ({"url": "file:///x/a.whl", "archive_info": {}}, "'artdetect[tune] @ file:///x/a.whl'"),
        ({"url": "file:///x", "dir_info": {}}, "'artdetect[tune] @ file:///x'"),
    ],
)
def test_an_installed_package_is_asked_for_where_it_came_from(
    origin: dict[str, object] | None, expected: str, tmp_path: Path
) -> None:
    assert installed(tmp_path, origin) == expected


def test_where_the_environment_is_not_activated_its_python_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    assert installing.package("rich") == f"{sys.executable} -m pip install rich"


@pytest.mark.slow
def test_pip_takes_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clone with an extra that needs nothing is installed, without an index, by the command as it is printed."""
    clone = tmp_path / "my clone"
    (clone / "artdetect").mkdir(parents=True)
    (clone / "artdetect" / "__init__.py").touch()
    (clone / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "artdetect"\nversion = "0.1.0"\noptional-dependencies = {hub = []}\n'
    )
    (clone / "constraints.txt").write_text("rich==1.0\n")
    (clone / "backend.py").write_text(BACKEND)
    monkeypatch.setattr(installing, "CHECKOUT", clone)
    monkeypatch.setenv("PATH", os.devnull)
    target = tmp_path / "target"
    command = [*shlex.split(installing.extra("hub")), "--no-index", "--quiet", "--target", str(target)]
    subprocess.run(command, check=True, env={"PATH": os.environ["PATH"]})
    assert (target / "artdetect-0.1.0.dist-info").is_dir()


BACKEND = """
import os, zipfile

FILES = {
    "METADATA": "Metadata-Version: 2.1\\nName: artdetect\\nVersion: 0.1.0\\nProvides-Extra: hub\\n",
    "WHEEL": "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    "RECORD": "",
}

def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "artdetect-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        wheel.writestr("artdetect.pth", os.getcwd())
        for file, content in FILES.items():
            wheel.writestr(f"artdetect-0.1.0.dist-info/{file}", content)
    return name
"""
