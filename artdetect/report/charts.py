"""The report's charts as PNG bytes, light and dark, wide and narrow: a page without scripts lets the browser choose."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from artdetect.pictures.labels import CLASSES
from artdetect.report.chart_theme import THEMES, Shape, Theme, figure, style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Charts = dict[str, dict[tuple[str, Shape], bytes]]
MARKED_EPOCHS = 25  # up to so many, each epoch has its dot
FEW = 10  # pictures in a bin: fewer say next to nothing
LINE = 25  # CSS px from one condition to the next


def draw(found: Mapping[str, Any]) -> Charts:
    """Every chart for which there are numbers, by name, theme and shape; `found` is of `facts.gather`."""
    metrics, training, sure, wear = (found[name] for name in ("metrics", "training", "sure", "wear"))
    wide: tuple[Shape, ...] = ("wide",)
    charts: dict[str, tuple[Callable[[str, Shape], bytes], tuple[Shape, ...]]] = {
        "confusion": (partial(confusion, metrics["confusion"]), wide)
    }
    if training["history"]:
        charts["history"] = (partial(history, training["history"], training["best_epoch"]), ("wide", "narrow"))
    if sure:
        charts["reliability"] = (partial(reliability, sure["bins"], sure["band"]), wide)
        charts["coverage"] = (partial(coverage, sure["coverage"], sure["decided"]), wide)
    if wear:
        charts["robustness"] = (partial(robustness, wear["rows"], wear["clean"]["value"]), ("wide", "narrow"))
    return {
        name: {(theme, shape): chart(theme, shape) for theme in THEMES for shape in shapes}
        for name, (chart, shapes) in charts.items()
    }


def history(rows: Sequence[Mapping[str, float]], best_epoch: int, theme: str, shape: Shape) -> bytes:
    """Loss and accuracy by epoch, each on its own axes, for train and validation; the best epoch is marked.

    `rows` are those of history.csv; "wide" puts the two side by side, "narrow" on top of each other.
    """
    colours = THEMES[theme]
    with figure((800, 300) if shape == "wide" else (380, 520), colours) as (drawn, buffer):
        grid = (1, 2) if shape == "wide" else (2, 1)
        left, right = drawn.subplots(*grid).flat
        for axes, name, title in ((left, "loss", "Loss"), (right, "accuracy", "Accuracy")):
            _curves(axes, rows, name, best_epoch, colours)
            axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=colours.ink)
        left.legend(frameon=False, fontsize=9, labelcolor=colours.ink, loc="best")
    return buffer.getvalue()


def _curves(axes: "Axes", rows: Sequence[Mapping[str, float]], name: str, best_epoch: int, colours: Theme) -> None:
    from matplotlib.ticker import MaxNLocator

    epochs = [int(row["epoch"]) for row in rows]
    marker = "o" if len(rows) <= MARKED_EPOCHS else ""
    style_axes(axes, colours)
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


def confusion(counts: Sequence[Sequence[int]], theme: str, shape: Shape) -> bytes:
    """The confusion matrix, rows = truth, columns = what was called, as in CLASSES: counts, and shares of a row."""
    colours = THEMES[theme]
    with figure((380, 300), colours) as (drawn, buffer):
        axes = drawn.subplots()
        style_axes(axes, colours)
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


def reliability(bins: Sequence[Mapping[str, float]], band: tuple[float, float], theme: str, shape: Shape) -> bytes:
    """The share of AI pictures over p(AI), with the number of pictures below; between `band` the model is unsure."""
    colours = THEMES[theme]
    with figure((380, 380), colours) as (drawn, buffer):
        upper, lower = drawn.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        for axes in (upper, lower):
            style_axes(axes, colours)
            axes.axvspan(*band, color=colours.line, alpha=0.45, linewidth=0)
        upper.set_title("Does p(AI) mean what it says?", loc="left", fontsize=11, fontweight="bold", color=colours.ink)
        upper.plot([0, 1], [0, 1], "--", linewidth=1, color=colours.quiet, label="as it should be")
        for face, label, chosen in (
            (colours.right, f"{FEW} pictures or more", [row for row in bins if row["pictures"] >= FEW]),
            (colours.ground, f"fewer than {FEW}", [row for row in bins if row["pictures"] < FEW]),
        ):
            said, is_ai = ([row[name] for row in chosen] for name in ("mean_p", "share_ai"))
            upper.plot(said, is_ai, "o", markersize=6, mfc=face, color=colours.right, label=label)
        upper.legend(frameon=False, fontsize=9, labelcolor=colours.ink, loc="upper left")
        upper.set_ylabel("is AI", color=colours.quiet, fontsize=9)
        upper.yaxis.set_major_formatter(_percent)
        upper.set_yticks([0, 0.25, 0.5, 0.75, 1])
        upper.set_ylim(-0.04, 1.42)  # above: room for the legend
        starts, ends, pictures = ([row[name] for row in bins] for name in ("low", "high", "pictures"))
        widths = [end - start for start, end in zip(starts, ends, strict=True)]
        lower.bar(starts, pictures, widths, align="edge", color=colours.right, edgecolor=colours.ground, linewidth=1)
        lower.set_ylabel("pictures", color=colours.quiet, fontsize=9)
        lower.set_xlabel("p(AI)", color=colours.quiet, fontsize=9)
        lower.set_xlim(-0.02, 1.02)
        if band[1] - band[0] > 0.25:  # else the word is wider
            lower.text(sum(band) / 2, 0.95, "unsure", ha="center", va="top", fontsize=9, color=colours.quiet,
                       transform=lower.get_xaxis_transform())  # fmt: skip
    return buffer.getvalue()


def coverage(
    points: Sequence[Mapping[str, float]], decided: tuple[float, float] | None, theme: str, shape: Shape
) -> bytes:
    """The accuracy of the surest share of the pictures, with its interval; `decided` is where the rule stops."""
    colours = THEMES[theme]
    with figure((380, 380), colours) as (drawn, buffer):
        axes = drawn.subplots()
        style_axes(axes, colours)
        axes.set_title("The surer, the righter?", loc="left", fontsize=11, fontweight="bold", color=colours.ink)
        x, y, low, high = ([point[name] for point in points] for name in ("coverage", "accuracy", "low", "high"))
        axes.fill_between(x, low, high, color=colours.right, alpha=0.18, linewidth=0, label="95 % interval")
        axes.plot(x, y, linewidth=1.8, color=colours.right, label="accuracy of the surest")
        if decided:
            axes.plot(*decided, "o", markersize=8, markeredgewidth=2, color=colours.wrong, mfc=colours.ground,
                      linestyle="", label="verdicts given")  # fmt: skip
        axes.grid(axis="y", color=colours.line, linewidth=0.7)
        axes.xaxis.set_major_formatter(_percent)
        axes.yaxis.set_major_formatter(_percent)
        axes.set_xlim(0, 1.02)
        axes.set_ylim(bottom=min(low) - 0.4 * (1 - min(low)))  # below: room for the legend
        axes.set_xlabel("share of the pictures, the surest first", color=colours.quiet, fontsize=9)
        axes.legend(frameon=False, fontsize=9, labelcolor=colours.ink, loc="lower left")
    return buffer.getvalue()


def robustness(rows: Sequence[Mapping[str, Any]], clean: float, theme: str, shape: Shape) -> bytes:
    """The accuracy under each condition as a dot with its interval, and a line at that of the untouched pictures."""
    from matplotlib.ticker import MaxNLocator

    colours = THEMES[theme]
    size = (800 if shape == "wide" else 380, LINE * len(rows) + 90)
    with figure(size, colours) as (drawn, buffer):
        axes = drawn.subplots()
        style_axes(axes, colours)
        axes.axvline(clean, color=colours.quiet, linewidth=1, linestyle=(0, (2, 2)))
        axes.annotate(
            "untouched", (clean, 1), xycoords=("data", "axes fraction"), xytext=(0, 3), textcoords="offset points",
            ha="center", va="bottom", fontsize=9, color=colours.quiet, annotation_clip=False,
        )  # fmt: skip
        for place, row in enumerate(rows):
            accuracy = row["accuracy"]
            colour = colours.wrong if accuracy["high"] < clean else colours.right
            axes.plot([accuracy["low"], accuracy["high"]], [place, place], linewidth=1.2, color=colour)
            axes.plot(accuracy["value"], place, "o", markersize=7, color=colour)
        axes.grid(axis="x", color=colours.line, linewidth=0.7)
        axes.set_yticks(range(len(rows)), [row["name"] for row in rows], fontsize=10, color=colours.ink)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5 if shape == "narrow" else 8))
        axes.xaxis.set_major_formatter(_percent)
        axes.set_xlabel("accuracy, with its 95 % interval", color=colours.quiet, fontsize=9)
    return buffer.getvalue()


def _percent(share: float, _: float) -> str:
    """A tick's label: matplotlib's own writes 90.0 % where another tick is 92.5 %, and below 0 there is no share."""
    return f"{100 * share:.3g} %" if share >= 0 else ""
