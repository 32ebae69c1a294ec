import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from artdetect.artifacts.stages import CHAIN
from artdetect.core import digests

SOURCE = '''"""A module."""
import os
from artdetect import helper

LIMIT = 3


class Thing:
    """What it is."""

    def act(self, n):
        """What it does."""
        return helper.double(n) + LIMIT  # why
'''
HELPER = "def double(n):\n    return 2 * n\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of the same name, elsewhere; digests read sources and never import them."""
    folder = tmp_path / "artdetect"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "thing.py").write_text(SOURCE)
    (folder / "helper.py").write_text(HELPER)
    monkeypatch.setattr(digests, "PACKAGE", folder)
    return folder


def code(module: str = "artdetect.thing") -> dict[str, str]:
    digests._module.cache_clear()
    return digests.code_digests(module)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""A module."""', ""),
        ('"""What it does."""', '"""Does what it does,\n        at length."""'),
        ("  # why", "  # because"),
        ("\n\n\nclass", "\nclass"),
        ("helper.double(n) + LIMIT", "(\n            helper.double(n)\n            + LIMIT\n        )"),
    ],
)
def test_comments_docstrings_and_layout_change_nothing(package: Path, old: str, new: str) -> None:
    before = code()
    assert old in SOURCE
    (package / "thing.py").write_text(SOURCE.replace(old, new))
    assert code() == before


def test_a_docstring_is_no_body(package: Path) -> None:
    """A function whose docstring is all of it stays a function."""
    (package / "helper.py").write_text('def double(n):\n    """Not yet."""\n')
    before = code()
    (package / "helper.py").write_text("def double(n):\n    pass\n")
    assert code() == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 3", "LIMIT = 4"),
        ("LIMIT = 3", "LIMIT = 3.0"),
        ("double(n) + LIMIT", "double(n) - LIMIT"),
        ("def act(self, n)", "def act(self, n=1)"),
        ("class Thing:", "class Other:"),
        ("import os\n", ""),
    ],
)
def test_any_real_edit_changes_that_module_alone(package: Path, old: str, new: str) -> None:
    before = code()
    assert old in SOURCE
    (package / "thing.py").write_text(SOURCE.replace(old, new))
    after = code()
    assert {name for name in after if after[name] != before[name]} == {"artdetect.thing"}


def test_an_edit_of_a_helper_shows(package: Path) -> None:
    before = code()
    (package / "helper.py").write_text(HELPER.replace("2", "3"))
    after = code()
    assert {name for name in after if after[name] != before[name]} == {"artdetect.helper"}


@pytest.mark.parametrize(
    "importing",
    [
        "def f():\n    from artdetect.helper import double\n",
        "def f():\n    import artdetect.helper\n",
        "import artdetect.helper as h\n",
        "from .helper import double\n",
        "from . import helper\n",
        "class A:\n    def f(self):\n        if 1:\n            from artdetect import helper as h\n",
        "try:\n    from artdetect.helper import *\nexcept ImportError:\n    pass\n",
    ],
)
def test_the_closure_follows_an_import_wherever_and_however_it_stands(package: Path, importing: str) -> None:
    (package / "thing.py").write_text(importing)
    assert set(code()) == {"artdetect.thing", "artdetect.helper"}


def test_relative_imports_in_subpackages_are_followed(package: Path) -> None:
    (package / "sub" / "deep").mkdir(parents=True)
    (package / "sub" / "__init__.py").write_text("from .one import f\n")
    (package / "sub" / "one.py").write_text("def f():\n    from .deep import g\n    from .. import helper\n")
    (package / "sub" / "deep" / "__init__.py").write_text("from ...thing import Thing\n")
    expected = {"sub", "sub.one", "sub.deep", "helper", "thing"}
    assert set(code("artdetect.sub")) == {f"artdetect.{name}" for name in expected}


def test_a_circle_of_imports_ends(package: Path) -> None:
    (package / "helper.py").write_text("def double(n):\n    from artdetect import thing\n")
    assert set(code()) == {"artdetect.thing", "artdetect.helper"}


def test_a_module_of_a_package_counts_without_its_package(package: Path) -> None:
    """`from package import module` is that module alone; another name of the package is its `__init__`."""
    (package / "sub").mkdir()
    (package / "sub" / "__init__.py").write_text("from artdetect import helper\nLIMIT = 3\n")
    (package / "sub" / "one.py").write_text("")
    for importing in ("from artdetect.sub import one", "import artdetect.sub.one", "from .sub import one"):
        (package / "thing.py").write_text(f"{importing}\n")
        assert set(code()) == {"artdetect.thing", "artdetect.sub.one"}, importing
    (package / "thing.py").write_text("from artdetect.sub import LIMIT, one\n")
    assert set(code()) == {"artdetect.thing", "artdetect.helper", "artdetect.sub", "artdetect.sub.one"}


def test_packages_that_leave_no_trace_in_outputs_do_not_count(package: Path) -> None:
    for name in ("core", "compute"):
        (package / name).mkdir()
        (package / name / "__init__.py").write_text("LIMIT = 3\n")
        (package / name / "part.py").write_text("from artdetect import helper\n")
    (package / "thing.py").write_text(
        "from artdetect.compute import LIMIT\nfrom artdetect.core import part\nimport artdetect.core.part\n"
    )
    assert set(code()) == {"artdetect.thing"}


def test_the_module_that_switches_determinism_on_counts() -> None:
    """It shapes bytes, however much it looks like set-up."""
    for stage in ("train", "evaluate", "explain"):
        assert "artdetect.model.tensorflow_setup" in digests.code_digests(f"artdetect.{stage}"), stage


def test_packages_without_a_trace_exist() -> None:
    for name in digests.UNTRACED:
        assert digests._source(name).is_file()


def test_no_module_imports_by_a_name_that_digests_cannot_see() -> None:
    for source in digests.PACKAGE.rglob("*.py"):
        text = source.read_text()
        assert "import_module" not in text, source
        assert "__import__" not in text, source


@pytest.mark.slow
def test_the_same_code_elsewhere_has_the_same_digests(tmp_path: Path) -> None:
    """Of every stage, in another process and another folder."""
    shutil.copytree(digests.PACKAGE, tmp_path / "artdetect", ignore=shutil.ignore_patterns("__pycache__"))
    modules = [stage.module for stage in CHAIN]
    program = f"from artdetect.core import digests; print([digests.code_digests(m) for m in {modules}])"
    found = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    digests._module.cache_clear()
    assert found.stdout.strip() == str([digests.code_digests(module) for module in modules])


def test_values_that_are_equal_have_one_digest_whatever_their_order() -> None:
    assert digests.value_digest({"a": 1, "b": [1, 2]}) == digests.value_digest({"b": [1, 2], "a": 1})
    assert digests.value_digest({"a": [1, 2]}) != digests.value_digest({"a": [2, 1]})
    assert digests.value_digest({"a": 1}) != digests.value_digest({"a": "1"})


def test_the_digest_of_a_file_is_its_sha256(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc" * 1_000_000)
    assert digests.file_digest(tmp_path / "x") == hashlib.sha256(b"abc" * 1_000_000).hexdigest()
