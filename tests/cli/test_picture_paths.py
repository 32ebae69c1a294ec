"""Paths on the command line: patterns, lists on stdin, and names that look like patterns."""

import io
import sys
from pathlib import Path

import pytest

from artdetect.cli.picture_paths import expand
from artdetect.core.errors import DataError
from tests.tiny_dataset import write


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("a.jpg", "b.jpg", "deep/er/c.jpg", "what[1].jpg", "notes.txt"):
        write(tmp_path / name, b"x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def on_stdin(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_patterns_are_expanded_sorted_and_stay_relative(here: Path) -> None:
    assert expand(["?.jpg", "deep"]) == [Path("a.jpg"), Path("b.jpg"), Path("deep")]
    assert expand(["**/c.*"]) == [Path("deep/er/c.jpg")]
    assert expand([f"{here}/[b]*"]) == [here / "b.jpg"]


def test_a_file_with_the_name_of_a_pattern_is_that_file() -> None:
    assert expand(["what[1].jpg"]) == [Path("what[1].jpg")]


def test_a_pattern_without_a_match_is_an_error_and_an_absent_file_is_not() -> None:
    with pytest.raises(DataError, match=r"^\*\.webp: no file has such a name"):
        expand(["a.jpg", "*.webp"])
    assert expand(["absent.jpg"]) == [Path("absent.jpg")]


def test_a_list_on_stdin_may_stand_among_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    on_stdin(b"b.jpg\r\nc\xe9 d.jpg\n\n*.jpg", monkeypatch)
    assert expand(["a.jpg", "-"]) == [Path("a.jpg"), Path("b.jpg"), Path("c\udce9 d.jpg"), Path("*.jpg")]


def test_a_list_with_nul_may_have_any_name(monkeypatch: pytest.MonkeyPatch) -> None:
    on_stdin(b"a\nb.jpg\0c.jpg\0", monkeypatch)
    assert expand(["-"], null=True) == [Path("a\nb.jpg"), Path("c.jpg")]


def test_an_empty_list_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    on_stdin(b"\n", monkeypatch)
    with pytest.raises(DataError, match="stdin: expected a list of paths"):
        expand(["-"])
