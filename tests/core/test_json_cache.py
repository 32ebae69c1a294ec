"""The cache of JSON values computes each once, and never hands out a value that was damaged on the disk."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from artdetect.core import paths
from artdetect.core.json_cache import cached_json
from tests.damage import flipped_bits

VALUE = {"answer": 0.5, "counts": [1, 2, {"of": None}], "2": "ä"}


@pytest.fixture
def calls(roots: Path) -> list[int]:
    return []


def compute(calls: list[int]) -> dict:
    calls.append(1)
    return VALUE


def cached(calls: list[int]) -> dict:
    return cached_json("kept", {"recipe": 1}, lambda: compute(calls))


def test_a_value_is_computed_once_per_key(calls: list[int]) -> None:
    assert cached(calls) == cached(calls) == VALUE
    assert calls == [1]
    assert cached_json("kept", {"recipe": 2}, lambda: "another") == "another"


def test_the_first_answer_has_the_types_of_the_later_ones(roots: Path) -> None:
    first, second = (cached_json("kept", 1, lambda: {1: (2, 3), 10: 1, 2: 1}) for _ in range(2))
    assert first == second == {"1": [2, 3], "10": 1, "2": 1}


def test_no_flipped_bit_gives_another_value(
    calls: list[int], caplog: pytest.LogCaptureFixture, record_property: Callable[[str, object], None]
) -> None:
    """Each bit of the file, one at a time: the value is as it was, or it is computed again and the log says so."""
    cached(calls)
    (path,) = (paths.cache() / "json").iterdir()
    good = path.read_bytes()
    caplog.set_level(logging.CRITICAL, "artdetect")
    for damaged in flipped_bits(good):
        path.write_bytes(damaged)
        assert cached(calls) == VALUE
        assert cached(calls) == VALUE
    assert len(calls) > len(good)
    record_property("tries", 8 * len(good))


@pytest.mark.parametrize("content", ["", "[]", "3", '{"answer": 0.9}', '{"value": {"answer": 0.9}}'])
def test_a_file_without_a_matching_digest_is_made_again(
    content: str, calls: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    cached(calls)
    (path,) = (paths.cache() / "json").iterdir()
    path.write_text(content)
    assert cached(calls) == cached(calls) == VALUE
    assert calls == [1, 1]
    assert [record.getMessage() for record in caplog.records] == [f"json cache {path}: damaged, so it is made again"]
