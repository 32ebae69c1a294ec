"""What a data set says of itself."""

from pathlib import Path

import pytest

from artdetect.pictures import notice
from artdetect.pictures.notice import DEMONSTRATION, Notice


def test_the_text_has_paragraphs_of_one_line_each(tmp_path: Path) -> None:
    (tmp_path / "notice.txt").write_text("Painted by\n  hand.\n\n\n\nNo rights\tgranted.\n")
    read = notice.read(tmp_path / "notice.txt")
    assert read.paragraphs == ["Painted by hand.", "No rights granted."]
    assert not read.demonstration


@pytest.mark.parametrize("place", ["{mark}\n\nDrawn.", "Drawn.\n\n{mark}", "Painted.\n\n{mark}\n\nDrawn."])
def test_the_mark_counts_wherever_it_stands_and_is_no_part_of_the_text(place: str, tmp_path: Path) -> None:
    """Several data sets' notices are one file, and the drawn one may be any of them."""
    (tmp_path / "notice.txt").write_text(place.format(mark=DEMONSTRATION.upper() + " "))
    read = notice.read(tmp_path / "notice.txt")
    assert read.demonstration
    assert DEMONSTRATION.lower() not in read.text.lower()
    assert "Drawn." in read.paragraphs


def test_a_sentence_about_demonstrations_is_no_mark(tmp_path: Path) -> None:
    (tmp_path / "notice.txt").write_text(f"Not marked {DEMONSTRATION}, this is real art.")
    assert not notice.read(tmp_path / "notice.txt").demonstration


def test_no_file_is_no_notice_and_odd_bytes_are_no_error(tmp_path: Path) -> None:
    assert notice.read(tmp_path / "absent") == Notice("", False)
    (tmp_path / "odd").write_bytes(b"\xff by hand")
    assert notice.read(tmp_path / "odd").text.endswith("by hand")
