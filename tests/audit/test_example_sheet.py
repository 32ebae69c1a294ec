"""The contact sheet: written only if there is something to show, reproducible, and of the indexed pictures."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from artdetect.audit import example_sheet
from artdetect.core import digests
from artdetect.core.errors import DataError, PictureError
from artdetect.pictures import contact_sheet
from tests.tiny_dataset import jpeg, write

RED = (220, 30, 40)


def table(*rows: tuple[str, int, float, int]) -> pd.DataFrame:
    """Rows of (path, group, contrast, hash), sorted by path; AI where the folder says so."""
    columns = [
        {
            "path": path,
            "sha256": path.rsplit("/", 1)[-1],
            "split": path.split("/")[0],
            "label": "AI" if "/AI_" in path else "human",
            "generator": "sd" if "/AI_" in path else "human",
            "group": group,
            "contrast": contrast,
            "phash": f"{word:016x}",
        }
        for path, group, contrast, word in rows
    ]
    return pd.DataFrame(columns).sort_values("path").reset_index(drop=True)


def indexed(rows: pd.DataFrame, pictures: Path) -> pd.DataFrame:
    """The rows with their files' own sha256."""
    return rows.assign(sha256=[digests.file_digest(pictures / path) for path in rows.path])


PAIR = (("test/dots/a.jpg", 0, 40.0, 1), ("train/dots/b.jpg", 0, 40.0, 3))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for place, colour in (("test/dots/a.jpg", RED), ("train/dots/b.jpg", (30, 40, 220))):
        (tmp_path / place).parent.mkdir(parents=True)
        Image.new("RGB", (600, 300), colour).save(tmp_path / place, quality=95)
    return tmp_path


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as opened:
        return np.asarray(opened.convert("RGB")).astype(int)


def pixels_near(sheet: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((np.abs(sheet - colour).max(-1) < 6).sum())


def test_nothing_to_show_writes_nothing(pictures: Path) -> None:
    example_sheet.write(
        table(("test/dots/a.jpg", 0, 40.0, 1), ("train/dots/b.jpg", 1, 40.0, 3)), 2.0, pictures, pictures / "x.png"
    )
    assert not (pictures / "x.png").exists()


def test_a_pair_is_drawn_with_the_pictures_own_pixels(pictures: Path) -> None:
    example_sheet.write(indexed(table(*PAIR), pictures), 2.0, pictures, pictures / "x.png")
    sheet = pixels(pictures / "x.png")
    area = contact_sheet.SIDE * contact_sheet.SIDE // 2  # twice as wide as high
    assert pixels_near(sheet, RED) == pytest.approx(area, rel=0.03)
    assert pixels_near(sheet, (30, 40, 220)) == pytest.approx(area, rel=0.03)


def test_the_bytes_depend_on_the_pictures_only(pictures: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "1.png", tmp_path / "2.png"
    example_sheet.write(indexed(table(*PAIR), pictures), 2.0, pictures, first)
    example_sheet.write(indexed(table(*PAIR), pictures), 2.0, pictures, second)
    assert first.read_bytes() == second.read_bytes()


def test_a_picture_that_is_gone_or_changed_is_named(pictures: Path) -> None:
    rows = indexed(table(*PAIR), pictures)
    write(pictures / "train" / "dots" / "b.jpg", jpeg(1))
    with pytest.raises(DataError, match=r"b\.jpg changed since it was indexed"):
        example_sheet.write(rows, 2.0, pictures, pictures / "x.png")
    (pictures / "test" / "dots" / "a.jpg").unlink()
    with pytest.raises(PictureError, match=r"a\.jpg: cannot be read: no such file"):
        example_sheet.write(rows, 2.0, pictures, pictures / "x.png")
    assert not (pictures / "x.png").exists()


def test_names_that_cannot_be_drawn_do_no_harm(pictures: Path) -> None:
    names = ("test/dots/a\nb\x07.jpg", "train/dots/" + "x" * 200 + "雪😀.jpg")
    for name in names:
        write(pictures / name, jpeg(1))
    rows = indexed(table(*((name, 0, 40.0, 1) for name in names)), pictures)
    example_sheet.write(rows, 2.0, pictures, pictures / "x.png")
    assert pixels(pictures / "x.png").shape[1] == contact_sheet.WIDTH


def test_pairs_are_sorted_into_sections_and_ordered() -> None:
    """The nearest pair of each group; near-duplicates before exact copies; flat pictures in a section of their own."""
    rows = table(
        ("test/dots/far.jpg", 0, 40.0, 0b1111),
        ("test/dots/close.jpg", 0, 40.0, 0b0001),
        ("train/dots/one.jpg", 0, 40.0, 0b0000),
        ("test/dots/same.jpg", 1, 40.0, 7 << 20),
        ("train/dots/same.jpg", 1, 40.0, 7 << 20),
        ("train/AI_SD_dots/stolen.jpg", 2, 40.0, 5 << 40),
        ("train/dots/own.jpg", 2, 40.0, 5 << 40),
        ("train/dots/again.jpg", 3, 40.0, 9 << 50),
        ("train/dots/again2.jpg", 3, 40.0, 9 << 50),
        ("train/dots/white.jpg", 4, 0.0, 0),
    )
    shown = {
        title: [(card.note, [row.path.rsplit("/", 1)[-1] for row in card.thumbnails]) for card in cards]
        for title, cards in example_sheet._sections(rows, 2.0).items()
    }
    assert shown == {
        "The same picture in train and test": [
            ("near-duplicate: 1 of 64 hash bits differ", ["close.jpg", "one.jpg"]),
            ("identical content", ["same.jpg", "same.jpg"]),
        ],
        "The same picture under both labels": [("near-duplicate: 0 of 64 hash bits differ", ["stolen.jpg", "own.jpg"])],
        "Other near-duplicates": [("near-duplicate: 0 of 64 hash bits differ", ["again.jpg", "again2.jpg"])],
        "Pictures with almost no content": [("contrast 0", ["white.jpg"])],
    }


def test_at_most_24_pictures_are_shown() -> None:
    rows = [
        (f"{split}/{folder}/{kind}{number}.jpg", 100 * kind + number, 0.0 if kind == 3 else 40.0, 1 << number)
        for kind, sides in enumerate(
            (
                (("test", "dots"), ("train", "dots")),
                (("train", "AI_SD_dots"), ("train", "dots")),
                (("train", "dots"), ("train", "lines")),
                (("train", "dots"),),
            )
        )
        for number in range(9)
        for split, folder in sides
    ]
    crowd = table(*rows)
    crowd["sha256"] = crowd.path
    cards = [card for section in example_sheet._sections(crowd, 2.0).values() for card in section]
    assert sum(len(card.thumbnails) for card in cards) == 24
