"""Imports go down only: the contract in pyproject.toml holds, would catch a breach, and covers every room."""

import ast
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import grimp
import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from tests import PROJECT

ROOTS = ("artdetect", "flows", "tasks")
LONGEST_CHAIN = 12  # modules that importing one loads one through the other
MOST_IN_THE_HALL = 8  # modules directly in artdetect/


def lint(project: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    return subprocess.run([*command, "--no-cache"], cwd=project, text=True, capture_output=True)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for root in ROOTS:
        shutil.copytree(PROJECT / root, tmp_path / root, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("module", "line", "breach"),
    [
        (None, "", ""),
        (
            "artdetect/pictures/labels.py",
            "from artdetect.model import detector",
            "artdetect.pictures.labels -> artdetect.",
        ),
        (
            "artdetect/balance.py",
            "def late():\n    from artdetect import config",
            "artdetect.balance -> artdetect.config",
        ),
        ("artdetect/monitoring/status.py", "from tasks.engine import caching", "artdetect.monitoring.status -> tasks."),
        ("artdetect/retrain.py", "from prefect import flow", "artdetect.retrain -> prefect"),
        ("artdetect/cli/ingest.py", "from flows import ingest", "artdetect.cli.ingest -> flows.ingest"),
    ],
)
def test_the_contract_holds_and_an_upward_import_breaks_it(copied: Path, module: str, line: str, breach: str) -> None:
    if module:
        with (copied / module).open("a") as file:
            file.write(f"\n\n{line}\n")
    linted = lint(copied)
    assert (linted.returncode != 0) == bool(module), linted.stdout
    assert breach in linted.stdout


def test_every_room_has_its_place_in_the_layers() -> None:
    contracts = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    placed = {name.strip() for layer in layers for name in layer.split("|")}
    hall = PROJECT / "artdetect"
    rooms = {
        f"artdetect.{path.stem}" for path in hall.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert placed == rooms - {"artdetect.__init__"} | {"flows", "tasks"}
    assert len(list(hall.glob("*.py"))) <= MOST_IN_THE_HALL


def test_no_import_cycle_of_any_kind() -> None:
    """Not of modules, nor of a package and its modules; also not inside functions or under TYPE_CHECKING."""
    graph = grimp.build_graph(*ROOTS, cache_dir=None)
    modules = sorted(graph.modules)
    number = {module: place for place, module in enumerate(modules)}
    edges = [
        (number[module], number[imported])
        for module in modules
        for imported in graph.find_modules_directly_imported_by(module)
    ]
    rows, columns = zip(*edges, strict=True)
    matrix = csr_matrix((np.ones(len(edges)), (rows, columns)), shape=(len(modules), len(modules)))
    count, labels = connected_components(matrix, connection="strong")
    circles = [[modules[at] for at in np.flatnonzero(labels == one)] for one in np.flatnonzero(np.bincount(labels) > 1)]
    assert len(edges) > 500
    assert (circles, count) == ([], len(modules))


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Those that run when a module is loaded."""
    for node in body:
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.dump(node.test):
            yield from statements([*node.body, *node.orelse])
        elif isinstance(node, ast.Try | ast.With | ast.ClassDef):
            yield from statements(node.body)


def test_the_longest_chain_of_imports_at_load_is_short() -> None:
    sources = {}
    for root in ROOTS:
        for path in (PROJECT / root).rglob("*.py"):
            parts = path.relative_to(PROJECT).with_suffix("").parts
            sources[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path

    @cache
    def chain(module: str) -> tuple[str, ...]:
        imported = set()
        for node in statements(ast.parse(sources[module].read_bytes()).body):
            if isinstance(node, ast.ImportFrom):
                names = (f"{node.module}.{alias.name}" for alias in node.names)
                imported |= {name if name in sources else str(node.module) for name in names}
            elif isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
        behind = (chain(name) for name in sorted(imported) if name in sources)
        return (module, *max(behind, key=len, default=()))

    longest = max(map(chain, sources), key=len)
    assert 5 < len(longest) <= LONGEST_CHAIN, " > ".join(longest)
