"""The audit's contact sheet: near-duplicates side by side, and pictures that are almost one colour."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.pictures.contact_sheet import Card, Thumbnail, render

if TYPE_CHECKING:
    import pandas as pd

MAX_PAIRS = {"split": 4, "label": 4, None: 2}  # two thumbnails each: 20 …
MAX_FLAT = 4  # … plus 4 makes 24
MAX_COMPARED = 200  # groups, and pictures on each side of a group, that are searched for the nearest pair
COLUMNS = ["path", "split", "label", "generator", "sha256", "phash", "group"]


def write(table: "pd.DataFrame", low_contrast: float, pictures: Path, out: Path) -> None:
    """Write the sheet as a PNG with up to 24 thumbnails; write nothing if there is nothing to show.

    Args:
        table: readable pictures of an index, sorted by path, with a column group.
        low_contrast: a picture with less contrast than this counts as one colour.
        pictures: root folder of the data set.
        out: the PNG file.

    Raises:
        PictureError: a picture can no longer be read.
        DataError: the content of a picture does not match the table.
    """
    sections = {heading: cards for heading, cards in _sections(table, low_contrast).items() if cards}
    if sections:
        render(sections, pictures).save(out)


def _sections(table: "pd.DataFrame", low_contrast: float) -> dict[str, list[Card]]:
    duplicates = table.loc[table.duplicated("group", keep=False), COLUMNS]
    flat = table[table.contrast < low_contrast].sort_values(["contrast", "path"]).head(MAX_FLAT)
    return {
        "The same picture in train and test": _pairs(duplicates, "split"),
        "The same picture under both labels": _pairs(duplicates, "label"),
        "Other near-duplicates": _pairs(duplicates, None),
        "Pictures with almost no content": [
            Card(f"contrast {row.contrast:g}", [_thumbnail(row)]) for row in flat.itertuples()
        ],
    }


def _pairs(duplicates: "pd.DataFrame", column: str | None) -> list[Card]:
    """The nearest pair of each group across `column`: near-duplicates before exact copies, then by path.

    Without a column: groups that lie in one split under one label, and only pairs whose contents differ.
    """
    sides = duplicates.groupby("group")[["split", "label"]].nunique()
    selected = sides[column] > 1 if column else sides.max(axis=1) == 1
    cards = []
    if column is None:
        duplicates = duplicates.drop_duplicates(["group", "sha256"])
        selected &= duplicates.group.value_counts().reindex(sides.index) > 1
    groups = sides.index[selected][:MAX_COMPARED]
    for _, rows in duplicates[duplicates.group.isin(groups)].groupby("group"):
        is_left = rows[column] == rows[column].iloc[0] if column else np.arange(len(rows)) == 0
        distance, left, right = _nearest(rows[is_left], rows[~is_left])
        identical = left.sha256 == right.sha256
        note = "identical content" if identical else f"near-duplicate: {distance} of 64 hash bits differ"
        cards.append(((identical, distance), Card(note, [_thumbnail(left), _thumbnail(right)])))
    cards.sort(key=lambda card: card[0])
    return [card for _, card in cards[: MAX_PAIRS[column]]]


def _nearest(left: "pd.DataFrame", right: "pd.DataFrame") -> tuple[int, Any, Any]:
    """The smallest distance in bits between two sides of a group, and the row on each side."""
    left_rows, right_rows = (list(side.head(MAX_COMPARED).itertuples()) for side in (left, right))
    a, b = (np.array([int(row.phash, 16) for row in rows], dtype=np.uint64) for rows in (left_rows, right_rows))
    distances = np.bitwise_count(a[:, None] ^ b).astype(int)
    row, column = np.unravel_index(int(distances.argmin()), distances.shape)
    return int(distances[row, column]), left_rows[row], right_rows[column]


def _thumbnail(row: Any) -> Thumbnail:
    caption = f"{row.split} · {row.label}" + (f" · {row.generator}" if row.generator != row.label else "")
    return Thumbnail(row.path, row.sha256, caption)
