"""A contact sheet: thumbnails on cards, under headings, so that people can check a finding by eye."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.core import paths
from artdetect.pictures import images
from artdetect.pictures.palette import CARD, INK, LINE, MUTED, PAPER

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

SIDE = 256  # px: side of the square that holds a thumbnail
COLUMNS = 4  # thumbnails in a row
GAP, PAD = 20, 14  # px: between cards, and around a thumbnail within its card
WIDTH = COLUMNS * (SIDE + 2 * PAD) + (COLUMNS + 1) * GAP
HEADING, NOTE, CAPTION = 26, 17, 17  # px: font sizes
LINE_HEIGHT = 24  # px: from one line of a caption to the next


@dataclass(frozen=True)
class Thumbnail:
    """A picture of the data set.

    Attributes:
        path: relative to the data set's root.
        sha256: the digest of the file's content.
        caption: one line, printed below the picture.
    """

    path: str
    sha256: str
    caption: str


@dataclass(frozen=True)
class Card:
    """One or two pictures that belong together, under a note of one line."""

    note: str
    thumbnails: list[Thumbnail]

    @property
    def width(self) -> int:
        """The card's width in px, without the gaps around it."""
        return len(self.thumbnails) * (SIDE + 2 * PAD) + (len(self.thumbnails) - 1) * GAP


def render(sections: dict[str, list[Card]], pictures: Path) -> "Image":
    """Draw the sheet.

    Args:
        sections: heading -> its cards; at least one card in total.
        pictures: root folder of the data set.

    Raises:
        PictureError: a picture can no longer be read.
        DataError: the content of a picture does not match its sha256.
    """
    from PIL import Image, ImageDraw

    elements = list(_layout(sections))
    height = max(bottom for *_, bottom in elements) + GAP
    sheet = Image.new("RGB", (WIDTH, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    for element, x, y, bottom in elements:
        if isinstance(element, str):
            draw.text((x, y), element, INK, _font(HEADING))
            continue
        draw.rounded_rectangle((x, y, x + element.width - 1, bottom), 8, CARD, LINE)
        draw.text((x + PAD, y + PAD), element.note, MUTED, _font(NOTE))
        for column, thumbnail in enumerate(element.thumbnails):
            left, top = x + PAD + column * (SIDE + 2 * PAD + GAP), y + PAD + LINE_HEIGHT + 6
            picture = images.artwork(paths.picture(pictures, thumbnail.path), SIDE, thumbnail.sha256)
            _paste(sheet, draw, picture, left, top)
            name = thumbnail.path.partition("/")[2]
            for line, (text, colour) in enumerate(((thumbnail.caption, INK), (name, MUTED))):
                position = (left, top + SIDE + 8 + line * LINE_HEIGHT)
                draw.text(position, _shorten(draw, text, SIDE), colour, _font(CAPTION))
    return sheet


def _layout(sections: dict[str, list[Card]]) -> "Iterator[tuple[str | Card, int, int, int]]":
    """Headings and cards with their left, top and bottom in px. A row holds as many cards as fit."""
    card_height = PAD + LINE_HEIGHT + 6 + SIDE + 8 + 2 * LINE_HEIGHT + PAD
    y = GAP
    for heading, cards in sections.items():
        yield heading, GAP, y, y + HEADING + 12
        y += HEADING + 22
        x = GAP
        for card in cards:
            if x + card.width > WIDTH - GAP:
                x, y = GAP, y + card_height + GAP
            yield card, x, y, y + card_height
            x += card.width + GAP
        y += card_height + 2 * GAP


def _paste(sheet: "Image", draw: "ImageDraw", picture: "Image", left: int, top: int) -> None:
    """Put a picture into the middle of its square."""
    draw.rectangle((left, top, left + SIDE - 1, top + SIDE - 1), PAPER)
    x, y = left + (SIDE - picture.width) // 2, top + (SIDE - picture.height) // 2
    sheet.paste(picture, (x, y))
    draw.rectangle((x, y, x + picture.width - 1, y + picture.height - 1), outline=LINE)  # else white is lost on white


def _shorten(draw: "ImageDraw", text: str, width: int) -> str:
    """The text on one line of at most `width` px; the middle of a longer text is left out."""
    text = "".join(character if character.isprintable() else "?" for character in text)
    short = text
    while draw.textlength(short, _font(CAPTION)) > width:
        text = text[: len(text) // 2 - 1] + text[len(text) // 2 + 1 :]
        short = f"{text[: len(text) // 2]}…{text[len(text) // 2 :]}"
    return short


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)
