"""Artifacts by the first characters of their keys."""

from dataclasses import dataclass

import pytest

from artdetect.artifacts import key_lookup
from artdetect.core.errors import ArtifactError, ConfigError


@dataclass(frozen=True)
class Candidate:
    stage: str
    key: str


HINT = "Look elsewhere"
ALL = [Candidate("train", "abcd1"), Candidate("report", "abcd12"), Candidate("train", "ef012")]


def test_a_key_or_its_beginning_is_enough() -> None:
    assert key_lookup.resolve(ALL, "ef01", HINT) == ALL[2]
    assert key_lookup.resolve(ALL, "abcd1", HINT) == ALL[0]  # although another key begins with it
    assert key_lookup.match(ALL, "abcd", HINT) == ALL[:2]
    assert key_lookup.resolve([Candidate("train", "k1")], "k1", HINT).key == "k1"


def test_each_error_says_what_to_do() -> None:
    with pytest.raises(ArtifactError, match=r"^abcd: could be train/abcd1, report/abcd12\. Give more characters$"):
        key_lookup.resolve(ALL, "abcd", HINT)
    newest = "train/ef012, report/abcd12, train/abcd1"
    with pytest.raises(ArtifactError, match=rf"^0000: no such key\. There are: {newest}\. Look elsewhere$"):
        key_lookup.resolve(ALL, "0000", HINT)
    with pytest.raises(ArtifactError, match=r"There are: none yet\. Look elsewhere"):
        key_lookup.resolve([], "0000", HINT)
    with pytest.raises(ConfigError, match=r"^'abc': give at least 4 characters of a key\. Look elsewhere$"):
        key_lookup.resolve(ALL, "abc", HINT)


def test_only_the_first_of_many_candidates_are_listed() -> None:
    many = [Candidate("train", f"abcd{number}") for number in range(9)]
    with pytest.raises(ArtifactError, match=r"could be train/abcd0, .*train/abcd7, …\. Give"):
        key_lookup.resolve(many, "abcd", HINT)
