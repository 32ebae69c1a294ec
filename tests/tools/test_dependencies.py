"""The pins, their hashes, the page about them and the extras say the same."""

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from artdetect.cli import main
from artdetect.core import installing
from artdetect.core.errors import EXTRAS
from tests import PROJECT
from tools import dependencies, install


def test_every_pin_has_hashes_and_no_other_package_has() -> None:
    text = (PROJECT / install.HASHES).read_text()
    found = re.findall(r"^(\S+)==(\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", text, re.MULTILINE)
    assert {canonicalize_name(name): version for name, version, _ in found} == dependencies.pins()
    assert text.count("--hash=") == sum(hashes.count("--hash=") for *_, hashes in found)


def test_the_page_names_every_pin_with_its_licence() -> None:
    rows = re.findall(r"^\| (\S+) \| (\S+) \| (.+) \| (\w+) \| [\d.]+ \|$", dependencies.PAGE.read_text(), re.MULTILINE)
    shown = {name: version for name, version, *_ in rows}
    pinned = {name: version for name, version in dependencies.pins().items() if name not in dependencies.NOT_LISTED}
    assert shown | pinned == shown
    assert set(shown) - set(pinned) <= {"setuptools"}  # that of the environment stays
    assert [name for name, _, licence, _ in rows if licence == "not stated"] == []


def imported_modules() -> set[str]:
    """Every module of another package that the project imports, wherever the import stands."""
    names = set()
    for root in ("artdetect", "tasks", "flows"):
        for path in (PROJECT / root).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    names |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names - {"artdetect", "tasks", "flows"}


def test_every_import_is_of_the_base_or_of_the_extra_that_its_error_names() -> None:
    extras = {module: extra for extra, modules in EXTRAS.items() for module in modules}
    brought = {extra: dependencies.closure(extra) for extra in ("base", *EXTRAS)}
    distributions = packages_distributions()
    wrong = [
        module
        for module in imported_modules()
        if not brought[extras.get(module, "base")] & set(map(canonicalize_name, distributions[module]))
    ]
    assert wrong == []


def test_a_command_that_needs_a_missing_extra_says_so_in_one_line(
    roots: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "prefect", None)
    monkeypatch.delitem(sys.modules, "flows.pipeline", raising=False)
    assert main(["run", "--config", str(PROJECT / "configs" / "notebook.toml")]) == 2
    message = f"this needs prefect of the extra `pipeline`: {installing.extra('pipeline')}"
    assert capsys.readouterr() == ("", f"artdetect: {message}\n")
