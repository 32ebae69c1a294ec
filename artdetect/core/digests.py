"""Digests of files, values and code: what the stages' keys are made of.

A code digest covers a module and every module of this project that it imports, wherever the import stands, but neither
comments nor docstrings nor layout, so that only a change of behaviour reruns a stage. `from package import module`
counts as that module alone: the package's `__init__` is a stage of its own, whose other modules have no part in it.
"""

import ast
import hashlib
import json
import platform
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parents[1]

# Packages whose modules leave no trace in the bytes of an output, so that an edit there reruns no stage.
UNTRACED = ("artdetect.core", "artdetect.compute")


def file_digest(path: Path) -> str:
    """The sha256 of a file's content, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def bytes_digest(content: bytes) -> str:
    """The sha256 of some bytes, hex."""
    return hashlib.sha256(content).hexdigest()


def value_digest(value: Any) -> str:
    """The sha256 of a JSON-able value in canonical form, 64 hex digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def code_digests(module: str) -> dict[str, str]:
    """Module name -> digest for `module` and all of this project that it imports, without the packages `UNTRACED`."""
    found: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in found and not _untraced(name):
            found[name], imports = _module(_source(name))
            waiting += imports
    return dict(sorted(found.items()))


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Installed versions of `packages`, and of Python, whose minor version shapes the code digests."""
    minor = ".".join(platform.python_version_tuple()[:2])
    return {"python": minor} | {package: metadata.version(package) for package in packages}


def _untraced(module: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in UNTRACED)


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
            names.update(name if _is_module(name := f"{base}.{alias.name}") else base for alias in node.names)
    return {name for name in names if _is_module(name)}


def _is_module(name: str) -> bool:
    return name.startswith(f"{PACKAGE.name}.") and _source(name).is_file()


def _absolute(node: ast.ImportFrom, source: Path) -> str:
    if not node.level:
        return node.module or ""
    folder = source.parents[node.level - 1].relative_to(PACKAGE.parent)
    return ".".join([*folder.parts, *([node.module] if node.module else [])])
