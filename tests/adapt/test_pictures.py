"""One's own pictures: what is read, what is left out and why, and which belong together."""

import shutil
from pathlib import Path

import pytest

from artdetect.adapt.pictures import FOLDS, MIN_PICTURES, OwnPictures, is_ai, own_pictures
from artdetect.core.errors import DataError
from tests.tiny_dataset import jpeg, write


def fill(folder: Path, first: int, count: int = MIN_PICTURES) -> Path:
    for number in range(first, first + count):
        write(folder / f"{number}.jpg", jpeg(number))
    return folder


@pytest.mark.parametrize("names", [("human", "AI"), ("Human", "ai"), ("HUMAN", "Ai")])
def test_each_content_once_in_the_order_of_contents(names: tuple[str, str], tmp_path: Path) -> None:
    fill(tmp_path / names[0], 0)
    fill(tmp_path / names[1] / "made", 100)
    shutil.copy(tmp_path / names[0] / "3.jpg", tmp_path / names[0] / "copy.jpg")
    write(tmp_path / names[0] / ".hidden.jpg", jpeg(55))
    write(tmp_path / names[0] / "notes.txt", b"text")
    fill(tmp_path / "other", 200)
    found = own_pictures(tmp_path)
    assert (len(found.of("human")), len(found.of("AI")), found.skipped) == (MIN_PICTURES, MIN_PICTURES, {})
    contents = [picture.sha256 for picture in found.pictures]
    assert contents == sorted(contents)
    assert is_ai(found) == [picture.label == "AI" for picture in found.pictures]
    assert {picture.series for picture in found.of("AI")} == {"made"}
    assert {picture.series for picture in found.of("human")} == {""}


def test_unreadable_pictures_are_left_out_with_the_reason(tmp_path: Path) -> None:
    fill(tmp_path / "human", 0)
    bad = write(tmp_path / "human" / "bad.jpg", b"<html>")
    found = own_pictures(tmp_path)
    assert len(found.pictures) == MIN_PICTURES
    assert list(found.skipped) == [str(bad)]
    assert found.skipped[str(bad)]
    assert str(bad) not in found.skipped[str(bad)]


def test_a_folder_that_is_no_use_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="absent: there is no such folder"):
        own_pictures(tmp_path / "absent")
    fill(tmp_path / "AI", 100)
    with pytest.raises(DataError, match="expected a folder `human` in it"):
        own_pictures(tmp_path)
    fill(tmp_path / "human", 0, MIN_PICTURES - 1)
    with pytest.raises(DataError, match=r"human: found 9 different pictures\. Adapting needs at least 10 of each"):
        own_pictures(tmp_path)
    write(tmp_path / "human" / "bad.jpg", b"<html>")
    with pytest.raises(DataError, match="found 9 different pictures, and 1 that cannot be read, the first because"):
        own_pictures(tmp_path)
    fill(tmp_path / "human", 0)
    own_pictures(tmp_path)
    shutil.copy(tmp_path / "human" / "0.jpg", tmp_path / "AI" / "0.jpg")
    with pytest.raises(DataError, match=r"0\.jpg are the same picture under two labels\. Remove one"):
        own_pictures(tmp_path)
    (tmp_path / "AI" / "0.jpg").unlink()
    fill(tmp_path / "ai", 300)
    with pytest.raises(DataError, match=r"AI and .*ai are two folders for one label"):
        own_pictures(tmp_path)


def folds_of(found: OwnPictures, label: str) -> list[int]:
    return [fold for picture, fold in zip(found.pictures, found.folds(), strict=True) if picture.label == label]


@pytest.mark.parametrize("series", [2, 7])
def test_a_series_is_in_one_fold(series: int, tmp_path: Path) -> None:
    for number in range(series):
        fill(tmp_path / "human" / f"series{number}", 100 * number, 6)
    fill(tmp_path / "AI", 1000, 12)
    found = own_pictures(tmp_path)
    pairs = {(p.series, fold) for p, fold in zip(found.pictures, found.folds(), strict=True) if p.label == "human"}
    assert len(pairs) == series
    assert len({fold for _, fold in pairs}) == min(series, FOLDS)
    assert sorted(map(folds_of(found, "AI").count, range(FOLDS))) == [2, 2, 2, 3, 3]
    assert len(set(found.clusters())) == series + 12


def test_one_series_alone_is_spread_over_the_folds(tmp_path: Path) -> None:
    fill(tmp_path / "human" / "all", 0)
    found = own_pictures(tmp_path)
    assert list(map(folds_of(found, "human").count, range(FOLDS))) == [2] * FOLDS
    assert len(set(found.clusters())) == MIN_PICTURES
