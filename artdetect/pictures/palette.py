"""The colours of contact sheets, figures, charts and the report page, as "#rrggbb"."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Palette:
    """One colour scheme. The report's style sheet uses the same names, as in `var(--warn-line)`.

    Attributes:
        ground: the page.
        card: cards and charts on the page.
        ink: text.
        muted: secondary text.
        line: hairlines and borders.
        soft: the empty part of a bar.
        accent: links, and what is right.
        bar: the filled part of a bar.
        warn: what is wrong.
        warn_ground: background of a warning.
        warn_line: border of a warning.
    """

    ground: str
    card: str
    ink: str
    muted: str
    line: str
    soft: str
    accent: str
    bar: str
    warn: str
    warn_ground: str
    warn_line: str


LIGHT = Palette(
    ground="#faf9f7", card="#ffffff", ink="#1c1c1e", muted="#5f5f66", line="#d9d7d2", soft="#efede9",
    accent="#2563a8", bar="#9dbfe3", warn="#b4531a", warn_ground="#fdf3e7", warn_line="#e0b07a",
)  # fmt: skip
DARK = Palette(
    ground="#151618", card="#1e1f22", ink="#ececec", muted="#a3a3aa", line="#3a3b40", soft="#26272b",
    accent="#7db2ec", bar="#35608f", warn="#e8945c", warn_ground="#2b2118", warn_line="#7a5228",
)  # fmt: skip

# Contact sheets and figures are light in both schemes; PAPER is the ground of a sheet.
PAPER = "#f4f2ee"
CARD, INK, MUTED, LINE = LIGHT.card, LIGHT.ink, LIGHT.muted, LIGHT.line
# Maps: PuOr and BrBG of ColorBrewer, whose ends people with any colour vision tell apart.
FOR_AI, FOR_HUMAN, FOR_EITHER = (230, 97, 1), (94, 60, 153), (1, 102, 94)
