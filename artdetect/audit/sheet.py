"""The contact sheet of the worst: near-duplicates side by side and pictures with nothing on them, for people to judge.

A count can be believed or not; two pictures beside each other can be seen.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect import images

if TYPE_CHECKING:
    import pandas as pd
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

SIDE = 256  # px of a thumbnail's square
ACROSS = 4  # thumbnails in a row
GAP, PAD = 20, 14  # px between cards, and within them around a thumbnail
WIDTH = ACROSS * (SIDE + 2 * PAD) + (ACROSS + 1) * GAP
HEADING, NOTE, CAPTION = 26, 17, 17  # px, type sizes
LINE = 24  # px from one line of a caption to the next
MOST_PAIRS = {"split": 4, "label": 4, None: 2}  # two thumbnails each: 20 …
MOST_FLAT = 4  # … and 4 make 24
COMPARED = 200  # groups, and pictures of a group's either side, among which the nearest pairs are looked for
COLUMNS = ["path", "split", "label", "generator", "sha256", "phash", "group"]
GROUND, CARD, INK, QUIET, EDGE = "#f4f2ee", "#ffffff", "#1c1c1e", "#5f5f66", "#d9d7d2"


@dataclass(frozen=True)
class Card:
    """One or two pictures that belong together: rows of the table, and a few words on top."""

    note: str
    rows: "list[Any]"

    @property
    def width(self) -> int:
        """In px, without the gaps around it."""
        return len(self.rows) * (SIDE + 2 * PAD) + (len(self.rows) - 1) * GAP


def write(table: "pd.DataFrame", low_contrast: float, pictures: Path, out: Path) -> None:
    """Write the sheet to `out` as PNG, with up to 24 thumbnails; nothing where there is nothing to show.

    Args:
        table: readable pictures of an index, sorted by path, with a column group.
        pictures: the folder that its paths start from.

    Raises:
        PictureError: a picture can no longer be read.
        DataError: its content is another than the table says.
    """
    parts = {title: cards for title, cards in _parts(table, low_contrast).items() if cards}
    if parts:
        _drawn(parts, pictures).save(out)


def _parts(table: "pd.DataFrame", low_contrast: float) -> dict[str, list[Card]]:
    several = table.loc[table.duplicated("group", keep=False), COLUMNS]
    flat = table[table.contrast < low_contrast].sort_values(["contrast", "path"]).head(MOST_FLAT)
    return {
        "The same picture in train and in test": _pairs(several, "split"),
        "The same picture under both labels": _pairs(several, "label"),
        "Other pictures that look alike": _pairs(several, None),
        "Pictures with next to nothing on them": [
            Card(f"contrast {row.contrast:g}", [row]) for row in flat.itertuples()
        ],
    }


def _pairs(several: "pd.DataFrame", column: str | None) -> list[Card]:
    """The nearest pair of each group across `column`, those that only look alike first, then by path.

    Without a column: groups that stand on one side only, and then only pairs that differ.
    """
    sides = several.groupby("group")[["split", "label"]].nunique()
    chosen = sides[column] > 1 if column else sides.max(axis=1) == 1
    cards = []
    if column is None:
        several = several.drop_duplicates(["group", "sha256"])
        chosen &= several.group.value_counts().reindex(sides.index) > 1
    for _, rows in several[several.group.isin(sides.index[chosen][:COMPARED])].groupby("group"):
        first = rows[column] == rows[column].iloc[0] if column else np.arange(len(rows)) == 0
        distance, one, other = _nearest(rows[first], rows[~first])
        same = one.sha256 == other.sha256
        note = "same content" if same else f"looks alike, {distance or 'none'} of 64 bits differ"
        cards.append(((same, distance), Card(note, [one, other])))
    cards.sort(key=lambda card: card[0])
    return [card for _, card in cards[: MOST_PAIRS[column]]]


def _nearest(left: "pd.DataFrame", right: "pd.DataFrame") -> tuple[int, Any, Any]:
    """The smallest distance in bits between two sides of a group, and the two rows."""
    one, other = (list(side.head(COMPARED).itertuples()) for side in (left, right))
    a, b = (np.array([int(row.phash, 16) for row in rows], dtype=np.uint64) for rows in (one, other))
    distances = np.bitwise_count(a[:, None] ^ b).astype(int)
    row, column = np.unravel_index(int(distances.argmin()), distances.shape)
    return int(distances[row, column]), one[row], other[column]


def _drawn(parts: dict[str, list[Card]], pictures: Path) -> "Image":
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
            _thumbnail(sheet, draw, images.artwork(pictures / row.path, SIDE, row.sha256), left, top)
            said = f"{row.split} · {row.label}" + (f" · {row.generator}" if row.generator != row.label else "")
            for line, (text, colour) in enumerate(((said, INK), (row.path.partition("/")[2], QUIET))):
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
