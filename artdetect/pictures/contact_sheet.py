"""A contact sheet: thumbnails on cards under headings, for people to judge.

A count can be believed or not; two pictures beside each other can be seen.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.core import paths
from artdetect.pictures import images

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

SIDE = 256  # px of a thumbnail's square
ACROSS = 4  # thumbnails in a row
GAP, PAD = 20, 14  # px between cards, and within them around a thumbnail
WIDTH = ACROSS * (SIDE + 2 * PAD) + (ACROSS + 1) * GAP
HEADING, NOTE, CAPTION = 26, 17, 17  # px, type sizes
LINE = 24  # px from one line of a caption to the next
GROUND, CARD, INK, QUIET, EDGE = "#f4f2ee", "#ffffff", "#1c1c1e", "#5f5f66", "#d9d7d2"


@dataclass(frozen=True)
class Thumbnail:
    """A picture of the data set: its path from the set's root, its content's sha256, and a few words below it."""

    path: str
    sha256: str
    said: str


@dataclass(frozen=True)
class Card:
    """One or two pictures that belong together, and a few words on top."""

    note: str
    rows: list[Thumbnail]

    @property
    def width(self) -> int:
        """In px, without the gaps around it."""
        return len(self.rows) * (SIDE + 2 * PAD) + (len(self.rows) - 1) * GAP


def render(parts: dict[str, list[Card]], pictures: Path) -> "Image":
    """The sheet: cards below their headings, at least one in all. `pictures` is the folder that paths start from.

    Raises:
        PictureError: a picture can no longer be read.
        DataError: its content is another than its sha256 says.
    """
    from PIL import Image, ImageDraw

    places = list(_laid_out(parts))
    height = max(bottom for *_, bottom in places) + GAP
    sheet = Image.new("RGB", (WIDTH, height), GROUND)
    draw = ImageDraw.Draw(sheet)
    for what, x, y, bottom in places:
        if isinstance(what, str):
            draw.text((x, y), what, INK, _font(HEADING))
            continue
        draw.rounded_rectangle((x, y, x + what.width - 1, bottom), 8, CARD, EDGE)
        draw.text((x + PAD, y + PAD), what.note, QUIET, _font(NOTE))
        for number, row in enumerate(what.rows):
            left, top = x + PAD + number * (SIDE + 2 * PAD + GAP), y + PAD + LINE + 6
            _thumbnail(sheet, draw, images.artwork(paths.picture(pictures, row.path), SIDE, row.sha256), left, top)
            for line, (text, colour) in enumerate(((row.said, INK), (row.path.partition("/")[2], QUIET))):
                place = (left, top + SIDE + 8 + line * LINE)
                draw.text(place, _fitted(draw, text, SIDE), colour, _font(CAPTION))
    return sheet


def _laid_out(parts: dict[str, list[Card]]) -> "Iterator[tuple[str | Card, int, int, int]]":
    """Headings and cards with their left, top and bottom, in px; a row takes as many cards as fit."""
    card_height = PAD + LINE + 6 + SIDE + 8 + 2 * LINE + PAD
    y = GAP
    for title, cards in parts.items():
        yield title, GAP, y, y + HEADING + 12
        y += HEADING + 22
        x = GAP
        for card in cards:
            if x + card.width > WIDTH - GAP:
                x, y = GAP, y + card_height + GAP
            yield card, x, y, y + card_height
            x += card.width + GAP
        y += card_height + 2 * GAP


def _thumbnail(sheet: "Image", draw: "ImageDraw", picture: "Image", left: int, top: int) -> None:
    draw.rectangle((left, top, left + SIDE - 1, top + SIDE - 1), GROUND)
    x, y = left + (SIDE - picture.width) // 2, top + (SIDE - picture.height) // 2
    sheet.paste(picture, (x, y))
    draw.rectangle((x, y, x + picture.width - 1, y + picture.height - 1), outline=EDGE)  # white on white is seen too


def _fitted(draw: "ImageDraw", text: str, width: int) -> str:
    """The text in one line of at most `width` px, its middle left out where it is too long."""
    text = "".join(character if character.isprintable() else "?" for character in text)
    kept = text
    while draw.textlength(kept, _font(CAPTION)) > width:
        text = text[: len(text) // 2 - 1] + text[len(text) // 2 + 1 :]
        kept = f"{text[: len(text) // 2]}…{text[len(text) // 2 :]}"
    return kept


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)
