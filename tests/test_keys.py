from dataclasses import dataclass

import pytest

from artdetect import keys
from artdetect.errors import ArtifactError, ConfigError


@dataclass(frozen=True)
class One:
    stage: str
    key: str


SEE = "Look elsewhere"
ALL = [One("train", "abcd1"), One("report", "abcd12"), One("train", "ef012")]


def test_a_key_or_its_beginning_is_enough() -> None:
    assert keys.only(ALL, "ef01", SEE) == ALL[2]
    assert keys.only(ALL, "abcd1", SEE) == ALL[0]  # though another begins so
    assert keys.fitting(ALL, "abcd", SEE) == ALL[:2]
    assert keys.only([One("train", "k1")], "k1", SEE).key == "k1"


def test_each_error_says_what_to_do() -> None:
    with pytest.raises(ArtifactError, match=r"^abcd: could be train/abcd1, report/abcd12\. Give more characters$"):
        keys.only(ALL, "abcd", SEE)
    newest = "train/ef012, report/abcd12, train/abcd1"
    with pytest.raises(ArtifactError, match=rf"^0000: no such key\. There are: {newest}\. Look elsewhere$"):
        keys.only(ALL, "0000", SEE)
    with pytest.raises(ArtifactError, match=r"There are: none yet\. Look elsewhere"):
        keys.only([], "0000", SEE)
    with pytest.raises(ConfigError, match=r"^'abc': give 4 characters of a key at least\. Look elsewhere$"):
        keys.only(ALL, "abc", SEE)


def test_of_many_the_first_are_named() -> None:
    many = [One("train", f"abcd{number}") for number in range(9)]
    with pytest.raises(ArtifactError, match=r"could be train/abcd0, .*train/abcd7, …\. Give"):
        keys.only(many, "abcd", SEE)
