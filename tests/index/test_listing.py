"""Listing: where the root is found, and which links are followed."""

import os
from pathlib import Path

import pytest

from artdetect.core.errors import ArtdetectError, DataError
from artdetect.index import listing, scan
from tests.tiny_dataset import data_set, write


@pytest.mark.parametrize("wrapped", ["", "art", "one/two/three"])
def test_the_root_is_found_below_wrapping_folders(roots: Path, wrapped: str) -> None:
    data_set(roots / "data" / "raw" / wrapped, train=1, test=1)
    assert listing.find_root(roots / "data" / "raw") == roots / "data" / "raw" / wrapped


@pytest.mark.parametrize("inside", ["", "a", "a/b/c/d/train", "train.txt/x"])
def test_a_folder_without_train_or_test_names_the_layout(tmp_path: Path, inside: str) -> None:
    (tmp_path / "x" / inside).mkdir(parents=True)
    with pytest.raises(DataError, match=r"found no train/ or test/ folder in it"):
        scan.scan(tmp_path / "x")


def test_a_missing_folder_and_a_file_in_its_place_are_errors(tmp_path: Path) -> None:
    write(tmp_path / "file", b"x")
    for folder in (tmp_path / "file", tmp_path / "absent"):
        with pytest.raises(DataError, match="there is no such folder"):
            scan.scan(folder)


@pytest.mark.parametrize("target", [".", "..", "../..", "loop"])
def test_a_link_back_does_not_hang(root: Path, target: str) -> None:
    before = scan.scan(root)
    (root / "train" / "baroque" / "loop").symlink_to(target)
    pictures = scan.scan(root)
    assert pictures.contents == before.contents
    assert pictures.skipped == {"not a picture by its name": ["train/baroque/loop"]}


def test_two_links_to_each_other_do_not_hang(root: Path) -> None:
    for one, other in (("baroque", "ukiyo-e"), ("ukiyo-e", "baroque")):
        (root / "train" / one / "other").symlink_to(f"../{other}")
    assert len(scan.scan(root).contents) == 24 + 4 + 4


def test_a_style_may_be_a_link_to_a_folder_elsewhere(root: Path, tmp_path: Path) -> None:
    (root / "train" / "baroque").rename(tmp_path / "elsewhere")
    (root / "train" / "baroque").symlink_to(tmp_path / "elsewhere")
    assert len(scan.scan(root).contents) == 24


def nest_too_deep(folder: Path) -> None:
    """Nest folders until no path reaches the last one: a folder that not even root can list."""
    name, descriptor = "d" * 250, os.open(folder, os.O_RDONLY)
    for _ in range(17):
        os.mkdir(name, dir_fd=descriptor)
        inner = os.open(name, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)


def test_a_folder_that_cannot_be_listed_is_named(root: Path) -> None:
    nest_too_deep(root / "train" / "baroque")
    with pytest.raises(ArtdetectError, match="train/baroque/ddd"):
        scan.scan(root)
