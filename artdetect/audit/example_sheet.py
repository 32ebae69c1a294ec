"""The contact sheet of the worst: near-duplicates side by side and pictures with nothing on them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.pictures.contact_sheet import Card, Thumbnail, render

if TYPE_CHECKING:
    import pandas as pd

MAX_PAIRS = {"split": 4, "label": 4, None: 2}  # two thumbnails each: 20 …
MAX_FLAT = 4  # … and 4 make 24
COMPARED = 200  # groups, and pictures of a group's either side, among which the nearest pairs are looked for
COLUMNS = ["path", "split", "label", "generator", "sha256", "phash", "group"]


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
        render(parts, pictures).save(out)


def _parts(table: "pd.DataFrame", low_contrast: float) -> dict[str, list[Card]]:
    several = table.loc[table.duplicated("group", keep=False), COLUMNS]
    flat = table[table.contrast < low_contrast].sort_values(["contrast", "path"]).head(MAX_FLAT)
    return {
        "The same picture in train and in test": _pairs(several, "split"),
        "The same picture under both labels": _pairs(several, "label"),
        "Other pictures that look alike": _pairs(several, None),
        "Pictures with next to nothing on them": [
            Card(f"contrast {row.contrast:g}", [_thumbnail(row)]) for row in flat.itertuples()
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
        cards.append(((same, distance), Card(note, [_thumbnail(one), _thumbnail(other)])))
    cards.sort(key=lambda card: card[0])
    return [card for _, card in cards[: MAX_PAIRS[column]]]


def _nearest(left: "pd.DataFrame", right: "pd.DataFrame") -> tuple[int, Any, Any]:
    """The smallest distance in bits between two sides of a group, and the two rows."""
    one, other = (list(side.head(COMPARED).itertuples()) for side in (left, right))
    a, b = (np.array([int(row.phash, 16) for row in rows], dtype=np.uint64) for rows in (one, other))
    distances = np.bitwise_count(a[:, None] ^ b).astype(int)
    row, column = np.unravel_index(int(distances.argmin()), distances.shape)
    return int(distances[row, column]), one[row], other[column]


def _thumbnail(row: Any) -> Thumbnail:
    said = f"{row.split} · {row.label}" + (f" · {row.generator}" if row.generator != row.label else "")
    return Thumbnail(row.path, row.sha256, said)
