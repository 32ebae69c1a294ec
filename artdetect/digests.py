"""Digests of files, values and code: what the stages' keys are made of.

A code digest covers a module and every module of this project that it imports, wherever the import stands, but neither
comments nor docstrings nor layout, so that only a change of behaviour wakes a stage.
"""

import ast
import hashlib
import json
import platform
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parent

# What these do leaves no trace in the bytes of an output, so editing them wakes no stage.
INFRASTRUCTURE = frozenset(
    f"artdetect{module}"
    for module in ("", ".atomic", ".compute", ".errors", ".kept", ".keys", ".paths", ".progress", ".quiet", ".section")
)


def of_file(path: Path) -> str:
    """The sha256 of a file's content, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_value(value: Any) -> str:
    """The sha256 of a JSON-able value in canonical form, 64 hex digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def of_code(module: str) -> dict[str, str]:
    """Module name -> digest for `module` and all of this project that it imports, without `INFRASTRUCTURE`."""
    found: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in found and name not in INFRASTRUCTURE:
            found[name], imports = _module(_source(name))
            waiting += imports
    return dict(sorted(found.items()))


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Installed versions of `packages`, and of Python, whose minor version shapes the code digests."""
    minor = ".".join(platform.python_version_tuple()[:2])
    return {"python": minor} | {package: metadata.version(package) for package in packages}


def _source(module: str) -> Path:
    path = PACKAGE.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def _module(source: Path) -> tuple[str, tuple[str, ...]]:
    tree = ast.parse(source.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and _has_docstring(
            node
        ):
            node.body = node.body[1:] or [ast.Pass()]
    digest = hashlib.sha256(ast.dump(tree).encode()).hexdigest()
    return digest[:16], tuple(sorted(_imports(tree, source)))


def _has_docstring(node: Any) -> bool:
    first = node.body[0] if node.body else None
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)


def _imports(tree: ast.Module, source: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, source)
            names.add(base)
            names.update(f"{base}.{alias.name}" for alias in node.names)
    return {name for name in names if name.startswith(f"{PACKAGE.name}.") and _source(name).is_file()}


def _absolute(node: ast.ImportFrom, source: Path) -> str:
    if not node.level:
        return node.module or ""
    folder = source.parents[node.level - 1].relative_to(PACKAGE.parent)
    return ".".join([*folder.parts, *([node.module] if node.module else [])])
