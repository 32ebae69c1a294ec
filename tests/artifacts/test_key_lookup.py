from dataclasses import dataclass

import pytest

from artdetect.artifacts import key_lookup
from artdetect.core.errors import ArtifactError, ConfigError


@dataclass(frozen=True)
class One:
    stage: str
    key: str


SEE = "Look elsewhere"
ALL = [One("train", "abcd1"), One("report", "abcd12"), One("train", "ef012")]


def test_a_key_or_its_beginning_is_enough() -> None:
    assert key_lookup.resolve(ALL, "ef01", SEE) == ALL[2]
    assert key_lookup.resolve(ALL, "abcd1", SEE) == ALL[0]  # though another begins so
    assert key_lookup.match(ALL, "abcd", SEE) == ALL[:2]
    assert key_lookup.resolve([One("train", "k1")], "k1", SEE).key == "k1"


def test_each_error_says_what_to_do() -> None:
    with pytest.raises(ArtifactError, match=r"^abcd: could be train/abcd1, report/abcd12\. Give more characters$"):
        key_lookup.resolve(ALL, "abcd", SEE)
    newest = "train/ef012, report/abcd12, train/abcd1"
    with pytest.raises(ArtifactError, match=rf"^0000: no such key\. There are: {newest}\. Look elsewhere$"):
        key_lookup.resolve(ALL, "0000", SEE)
    with pytest.raises(ArtifactError, match=r"There are: none yet\. Look elsewhere"):
        key_lookup.resolve([], "0000", SEE)
    with pytest.raises(ConfigError, match=r"^'abc': give 4 characters of a key at least\. Look elsewhere$"):
        key_lookup.resolve(ALL, "abc", SEE)


def test_of_many_the_first_are_named() -> None:
    many = [One("train", f"abcd{number}") for number in range(9)]
    with pytest.raises(ArtifactError, match=r"could be train/abcd0, .*train/abcd7, …\. Give"):
        key_lookup.resolve(many, "abcd", SEE)
