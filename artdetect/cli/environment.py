"""Whether everything is there that the commands need, and what to do if not: what `artdetect doctor` shows."""

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from artdetect.artifacts import file_names
from artdetect.core import default_config, installing, paths
from artdetect.core.errors import ArtdetectError
from artdetect.core.version import __version__

PYTHON = (3, 11)
ENOUGH_GB, TOO_FEW_GB = 5.0, 0.2  # free space for a run, and below which nothing can be written
_REQUIREMENT = re.compile(r"([\w.-]+)(?:\[[^]]*\])?[^;]*(?:;(.*))?")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([\w-]+)['"]""")


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Args:
        what: The thing that was checked.
        state: "ok"; "note", something that some commands miss; or "broken".
        text: What was found, and what to do.
    """

    what: str
    state: Literal["ok", "note", "broken"]
    text: str


def check() -> list[Finding]:
    """What all checks found."""
    return [finding for look in CHECKS for finding in look()]


def _python() -> Iterator[Finding]:
    found = ".".join(map(str, sys.version_info[:3]))
    old = sys.version_info < PYTHON
    text = f"{found}, {sys.executable}" + (f"; artdetect needs {'.'.join(map(str, PYTHON))}" if old else "")
    yield Finding("python", "broken" if old else "ok", text)
    yield Finding("artdetect", "ok", f"{__version__}, {Path(__file__).parents[1]}")


def _packages() -> Iterator[Finding]:
    """Required packages that are missing, versions other than those in constraints.txt, and the optional extras."""
    required, extras = _requirements()
    missing = [name for name in required if _version(name) is None]
    if missing:
        yield Finding("packages", "broken", f"missing: {', '.join(missing)}; install artdetect again")
    else:
        yield Finding("packages", "ok", f"all {len(required)} that are required are there")
    constraints = paths.project() / "constraints.txt"
    if constraints.is_file():
        pins = dict(re.findall(r"^([\w.-]+)==(\S+)", constraints.read_text(), re.MULTILINE))
        found = {name: version for name in pins if (version := _version(name))}
        other = [f"{name} {found[name]} (tested with {pins[name]})" for name in found if found[name] != pins[name]]
        text = f"{', '.join(other[:5])}{' …' if len(other) > 5 else ''}" if other else "as in constraints.txt"
        yield Finding("versions", "note" if other else "ok", text)
    for extra, names in extras.items():
        absent = [name for name in names if _version(name) is None]
        text = f"not installed ({', '.join(absent)}): {installing.extra(extra)}" if absent else "installed"
        yield Finding(f"extra {extra}", "note" if absent else "ok", text)


def _requirements() -> tuple[list[str], dict[str, list[str]]]:
    """The packages that artdetect requires, and those of each extra but `dev`, from its metadata."""
    try:
        lines = metadata.requires("artdetect") or []
    except metadata.PackageNotFoundError:  # it runs from a folder
        return [], {}
    required: list[str] = []
    extras: dict[str, list[str]] = {}
    for line in lines:
        if not (match := _REQUIREMENT.match(line)) or match[1] == "artdetect":
            continue
        extra = _EXTRA.search(match[2] or "")
        if extra and "[" in line:  # tensorflow[and-cuda]: its name says nothing of what is installed
            continue
        (extras.setdefault(extra[1], []) if extra else required).append(match[1])
    extras.pop("dev", None)
    return required, extras


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _folders() -> Iterator[Finding]:
    for what, folder in (("data", paths.data()), ("artifacts", paths.artifacts())):
        there = next(path for path in (folder, *folder.parents) if path.exists())
        try:
            with tempfile.TemporaryFile(dir=there):
                pass
        except OSError as error:
            yield Finding(what, "broken", f"{folder}: cannot be written: {error.strerror}")
            continue
        free = shutil.disk_usage(there).free / 1e9
        state: Literal["ok", "note", "broken"] = (
            "broken" if free < TOO_FEW_GB else "ok" if free >= ENOUGH_GB else "note"
        )
        advice = "" if state == "ok" else "; `artdetect gc --cache` frees some"
        yield Finding(what, state, f"{folder}, {free:,.1f} GB free{advice}")


def _config() -> Iterator[Finding]:
    from artdetect import config

    try:
        config.load()
        yield Finding("config", "ok", str(default_config.find()))
    except ArtdetectError as error:
        yield Finding("config", "broken", str(error))


def _model() -> Iterator[Finding]:
    from artdetect.model import choice
    from artdetect.model.card import read_card

    try:
        chosen = choice.choose()
        file = chosen.path / file_names.MODEL if chosen.path.is_dir() else chosen.path
        preset = read_card(file)["preset"]
    except ArtdetectError as error:
        yield Finding("model", "broken", str(error))
        return
    key = f", train/{chosen.key}" if chosen.key else ""
    yield Finding("model", "ok", f"{choice.ROLES[chosen.role]}{key}, preset {preset}")


def _server() -> Iterator[Finding]:
    """Whether the Prefect server answers that `run` and the deployments use."""
    from urllib.request import urlopen

    from artdetect.web import access

    address = os.environ.get("PREFECT_API_URL")
    if not address and not access.profile().exists():
        yield Finding("server", "ok", "none is up; a run starts a temporary one, `make up` a lasting one")
        return
    address = address or f"{access.dashboard()}/api"
    try:
        with urlopen(f"{address}/health", timeout=10):
            yield Finding("server", "ok", f"{address} answers")
    except (OSError, ValueError) as error:  # ValueError: it is no address
        text = f"{address} does not answer ({error}); start it with `make up`, or run without one after `make down`"
        yield Finding("server", "broken", text)


def _clock() -> Iterator[Finding]:
    """Whether runs on record ended in the future."""
    from artdetect.artifacts import run_ledger

    if problem := run_ledger.clock_problem(run_ledger.read()):
        yield Finding("clock", "broken", problem)


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (_python, _packages, _folders, _config, _model, _clock, _server)
