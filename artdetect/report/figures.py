"""The report's charts as PNG bytes, light and dark, wide and narrow: a page without scripts lets the browser choose.

Without pyplot, whose figures are global and not for threads; the same numbers give the same bytes on every machine.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from artdetect.labels import CLASSES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Shape = Literal["wide", "narrow"]
CSS_PX = 96  # matplotlib inches are laid out as CSS pixels / 96 …
SCALE = 2  # … and drawn at double density
MARKED_EPOCHS = 25  # up to so many, each epoch has its dot


@dataclass(frozen=True)
class Theme:
    """The colours of one colour scheme, those of the page's style sheet."""

    ground: str
    ink: str
    quiet: str
    line: str
    right: str
    wrong: str


THEMES = {
    "light": Theme("#ffffff", "#1c1c1e", "#5f5f66", "#d9d7d2", "#2563a8", "#b4531a"),
    "dark": Theme("#1e1f22", "#ececec", "#a3a3aa", "#3a3b40", "#7db2ec", "#e8945c"),
}


def history(rows: Sequence[Mapping[str, float]], best_epoch: int, theme: str, shape: Shape) -> bytes:
    """Loss and accuracy by epoch, each on its own axes, for train and validation; the best epoch is marked.

    `rows` are those of history.csv; "wide" puts the two side by side, "narrow" on top of each other.
    """
    colours = THEMES[theme]
    with _figure((800, 300) if shape == "wide" else (380, 520), colours) as (figure, buffer):
        grid = (1, 2) if shape == "wide" else (2, 1)
        left, right = figure.subplots(*grid).flat
        for axes, name, title in ((left, "loss", "Loss"), (right, "accuracy", "Accuracy")):
            _curves(axes, rows, name, best_epoch, colours)
            axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=colours.ink)
        left.legend(frameon=False, fontsize=9, labelcolor=colours.ink, loc="best")
    return buffer.getvalue()


def _curves(axes: "Axes", rows: Sequence[Mapping[str, float]], name: str, best_epoch: int, colours: Theme) -> None:
    from matplotlib.ticker import MaxNLocator

    epochs = [int(row["epoch"]) for row in rows]
    marker = "o" if len(rows) <= MARKED_EPOCHS else ""
    _quiet_axes(axes, colours)
    axes.grid(axis="y", color=colours.line, linewidth=0.7)
    axes.axvline(best_epoch, color=colours.quiet, linewidth=1, linestyle=(0, (2, 2)))
    for column, label, colour, dashes in (
        (name, "train", colours.quiet, "--"),
        (f"val_{name}", "validation", colours.right, "-"),
    ):
        values = [row[column] for row in rows]
        axes.plot(epochs, values, dashes, marker=marker, markersize=4, linewidth=1.8, color=colour, label=label)
        if label == "validation" and best_epoch in epochs:
            best = values[epochs.index(best_epoch)]
            axes.plot([best_epoch], [best], "o", markersize=8, markeredgewidth=2, color=colour, mfc=colours.ground)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))
    axes.set_xlim(min(epochs) - 0.4, max(epochs) + 0.4)
    axes.set_xlabel("epoch", color=colours.quiet, fontsize=9)
    late = best_epoch > (min(epochs) + max(epochs)) / 2
    axes.annotate(
        f"best: epoch {best_epoch}",
        (best_epoch, 1),
        xycoords=("data", "axes fraction"),
        xytext=(-4 if late else 4, 3),
        textcoords="offset points",
        ha="right" if late else "left",
        va="bottom",
        fontsize=9,
        color=colours.quiet,
        annotation_clip=False,
    )


def confusion(counts: Sequence[Sequence[int]], theme: str) -> bytes:
    """The confusion matrix, rows = truth, columns = verdict, both as in CLASSES: counts, and shares of their row."""
    colours = THEMES[theme]
    with _figure((380, 300), colours) as (figure, buffer):
        axes = figure.subplots()
        _quiet_axes(axes, colours)
        for row, cells in enumerate(counts):
            for column, count in enumerate(cells):
                share = count / sum(cells) if sum(cells) else 0.0
                _cell(axes, column, row, count, share, colours)
        axes.set_xlim(-0.5, len(CLASSES) - 0.5)
        axes.set_ylim(len(CLASSES) - 0.5, -0.5)
        axes.set_xticks(range(len(CLASSES)), [f"called {label}" for label in CLASSES], fontsize=11, color=colours.ink)
        axes.set_yticks(range(len(CLASSES)), [f"is {label}" for label in CLASSES], fontsize=11, color=colours.ink)
        axes.xaxis.tick_top()
        axes.spines[:].set_visible(False)
    return buffer.getvalue()


def _cell(axes: "Axes", column: int, row: int, count: int, share: float, colours: Theme) -> None:
    from matplotlib.patches import Rectangle

    colour = colours.right if row == column else colours.wrong
    strength = 0.10 + 0.40 * share  # pale enough for the ink to stand on any of them
    axes.add_patch(Rectangle((column - 0.48, row - 0.48), 0.96, 0.96, facecolor=colour, alpha=strength, linewidth=0))
    axes.text(column, row - 0.1, f"{count:,}", ha="center", va="center", fontsize=19, color=colours.ink)
    of_row = f"{100 * share:.1f} % of row"
    axes.text(column, row + 0.24, of_row, ha="center", va="center", fontsize=9.5, color=colours.ink)


def _quiet_axes(axes: "Axes", colours: Theme) -> None:
    axes.set_facecolor(colours.ground)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(colours.line)
    axes.tick_params(length=0, labelsize=9, labelcolor=colours.quiet)
    axes.set_axisbelow(True)


@contextmanager
def _figure(size: tuple[int, int], colours: Theme) -> Iterator[tuple["Figure", io.BytesIO]]:
    """An empty figure of `size` CSS pixels, under matplotlib's own defaults; its PNG is in the buffer afterwards."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    buffer = io.BytesIO()
    metadata: dict[str, Any] = {"Software": None}
    with mpl.rc_context():
        mpl.rcdefaults()  # a matplotlibrc of this machine must not show in the page
        inches = (size[0] / CSS_PX, size[1] / CSS_PX)
        room = ConstrainedLayoutEngine(w_pad=0.14, h_pad=0.12, wspace=0.04, hspace=0.02)
        figure = Figure(figsize=inches, dpi=CSS_PX * SCALE, facecolor=colours.ground, layout=room)
        FigureCanvasAgg(figure)
        yield figure, buffer
        figure.savefig(buffer, format="png", dpi=CSS_PX * SCALE, metadata=metadata)
