"""The report's charts as PNG bytes: light and dark, wide and narrow, so that the browser can choose without scripts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from artdetect.pictures.labels import CLASSES
from artdetect.pictures.palette import Palette
from artdetect.report.chart_theme import THEMES, Shape, figure, style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Charts = dict[str, dict[tuple[str, Shape], bytes]]  # name -> (theme, shape) -> PNG
MAX_MARKED_EPOCHS = 25  # up to this many epochs, each has a dot
MIN_PER_BIN = 10  # a bin with fewer pictures is drawn hollow
ROW_HEIGHT = 25  # CSS px from one condition to the next


@dataclass(frozen=True)
class Second:
    """What the charts draw of a second model, see `beside.gather`."""

    name: str
    metrics: Mapping[str, Any]
    robustness: Mapping[str, Any] | None

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> "Second | None":
        """That of the result of `beside.gather`; None if no second model stands beside."""
        return None if found["why_not"] else cls(found["name"], found["metrics"], found["robustness"])


def draw(values: Mapping[str, Any]) -> Charts:
    """Draw every chart that `values` has numbers for.

    Args:
        values: the result of `context.gather`.
    """
    training, confidence, degraded = (values[name] for name in ("training", "confidence", "robustness"))
    second = Second.of(values["beside"])
    wide: tuple[Shape, ...] = ("wide",)
    charts: dict[str, tuple[Callable[[str, Shape], bytes], tuple[Shape, ...]]] = {
        "confusion": (partial(confusion, values["metrics"]["confusion"], second=second), wide)
    }
    if training and training["history"]:
        charts["history"] = (partial(history, training["history"], training["best_epoch"]), ("wide", "narrow"))
    if confidence:
        charts["reliability"] = (partial(reliability, confidence["bins"], confidence["band"], second=second), wide)
        points, operating_point = confidence["risk_coverage"], confidence["operating_point"]
        charts["coverage"] = (partial(coverage, points, operating_point, second=second), wide)
    if degraded:
        chart = partial(robustness, degraded["rows"], degraded["clean"]["value"], second=second)
        charts["robustness"] = (chart, ("wide", "narrow"))
    return {
        name: {(theme, shape): chart(theme, shape) for theme in THEMES for shape in shapes}
        for name, (chart, shapes) in charts.items()
    }


def history(rows: Sequence[Mapping[str, float]], best_epoch: int, theme: str, shape: Shape) -> bytes:
    """Loss and accuracy by epoch, for train and validation, with the best epoch marked.

    Args:
        rows: the rows of history.csv.
        best_epoch: the epoch whose weights were selected.
        theme: a key of `THEMES`.
        shape: "wide" puts the two plots side by side, "narrow" one above the other.
    """
    palette = THEMES[theme]
    with figure((800, 300) if shape == "wide" else (380, 520), palette) as (chart, buffer):
        grid = (1, 2) if shape == "wide" else (2, 1)
        left, right = chart.subplots(*grid).flat
        for axes, name, title in ((left, "loss", "Loss"), (right, "accuracy", "Accuracy")):
            _curves(axes, rows, name, best_epoch, palette)
            axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=palette.ink)
        left.legend(frameon=False, fontsize=9, labelcolor=palette.ink, loc="best")
    return buffer.getvalue()


def _curves(axes: "Axes", rows: Sequence[Mapping[str, float]], name: str, best_epoch: int, palette: Palette) -> None:
    from matplotlib.ticker import MaxNLocator

    epochs = [int(row["epoch"]) for row in rows]
    marker = "o" if len(rows) <= MAX_MARKED_EPOCHS else ""
    style_axes(axes, palette)
    axes.grid(axis="y", color=palette.line, linewidth=0.7)
    axes.axvline(best_epoch, color=palette.muted, linewidth=1, linestyle=(0, (2, 2)))
    for column, label, colour, dashes in (
        (name, "train", palette.muted, "--"),
        (f"val_{name}", "validation", palette.accent, "-"),
    ):
        values = [row[column] for row in rows]
        axes.plot(epochs, values, dashes, marker=marker, markersize=4, linewidth=1.8, color=colour, label=label)
        if label == "validation" and best_epoch in epochs:
            best = values[epochs.index(best_epoch)]
            axes.plot([best_epoch], [best], "o", markersize=8, markeredgewidth=2, color=colour, mfc=palette.card)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))
    axes.set_xlim(min(epochs) - 0.4, max(epochs) + 0.4)
    axes.set_xlabel("epoch", color=palette.muted, fontsize=9)
    label_left = best_epoch > (min(epochs) + max(epochs)) / 2
    axes.annotate(
        f"best: epoch {best_epoch}",
        (best_epoch, 1),
        xycoords=("data", "axes fraction"),
        xytext=(-4 if label_left else 4, 3),
        textcoords="offset points",
        ha="right" if label_left else "left",
        va="bottom",
        fontsize=9,
        color=palette.muted,
        annotation_clip=False,
    )


def confusion(counts: Sequence[Sequence[int]], theme: str, shape: Shape, second: Second | None = None) -> bytes:
    """The confusion matrix: rows are true classes, columns predicted ones, in the order of CLASSES.

    Args:
        counts: the numbers of pictures, one row per true class.
        theme: a key of `THEMES`.
        shape: ignored; there is one shape.
        second: the model whose counts stand below, if there is one.
    """
    palette = THEMES[theme]
    with figure((380, 300), palette) as (chart, buffer):
        axes = chart.subplots()
        style_axes(axes, palette)
        for row, cells in enumerate(counts):
            for column, count in enumerate(cells):
                share = count / sum(cells) if sum(cells) else 0.0
                _cell(axes, column, row, count, share, palette)
                if second:
                    note = f"{second.name}: {second.metrics['confusion'][row][column]:,}"
                    axes.text(column, row + 0.38, note, ha="center", va="center", fontsize=9, color=palette.muted)
        axes.set_xlim(-0.5, len(CLASSES) - 0.5)
        axes.set_ylim(len(CLASSES) - 0.5, -0.5)
        style: dict[str, Any] = {"fontsize": 11, "color": palette.ink}
        axes.set_xticks(range(len(CLASSES)), [f"predicted {label}" for label in CLASSES], **style)
        axes.set_yticks(range(len(CLASSES)), [f"is {label}" for label in CLASSES], **style)
        axes.xaxis.tick_top()
        axes.spines[:].set_visible(False)
    return buffer.getvalue()


def _cell(axes: "Axes", column: int, row: int, count: int, share: float, palette: Palette) -> None:
    from matplotlib.patches import Rectangle

    colour = palette.accent if row == column else palette.warn
    alpha = 0.10 + 0.40 * share  # pale enough for the text to be legible
    axes.add_patch(Rectangle((column - 0.48, row - 0.48), 0.96, 0.96, facecolor=colour, alpha=alpha, linewidth=0))
    axes.text(column, row - 0.14, f"{count:,}", ha="center", va="center", fontsize=19, color=palette.ink)
    note = f"{100 * share:.1f} % of row"
    axes.text(column, row + 0.18, note, ha="center", va="center", fontsize=9.5, color=palette.ink)


def reliability(
    bins: Sequence[Mapping[str, float]],
    band: tuple[float, float],
    theme: str,
    shape: Shape,
    second: Second | None = None,
) -> bytes:
    """The reliability diagram: the share of AI pictures by p(AI), and the number of pictures below.

    Args:
        bins: the bins of p(AI), with low, high, pictures, mean_p and share_ai.
        band: the p(AI) between which the model is unsure; it is shaded.
        theme: a key of `THEMES`.
        shape: ignored; there is one shape.
        second: the model whose bins are drawn, too, if there is one.
    """
    palette = THEMES[theme]
    with figure((380, 380), palette) as (chart, buffer):
        upper, lower = chart.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        for axes in (upper, lower):
            style_axes(axes, palette)
            axes.axvspan(*band, color=palette.line, alpha=0.45, linewidth=0)
        upper.set_title("Reliability diagram", loc="left", fontsize=11, fontweight="bold", color=palette.ink)
        upper.plot([0, 1], [0, 1], "--", linewidth=1, color=palette.muted, label="perfect calibration")
        full, sparse = ([row for row in bins if (row["pictures"] >= MIN_PER_BIN) is wanted] for wanted in (True, False))
        for face, label, selected in (
            (palette.accent, f"{MIN_PER_BIN} pictures or more", full),
            (palette.card, f"fewer than {MIN_PER_BIN}", sparse),
        ):
            mean_p, share_ai = ([row[name] for row in selected] for name in ("mean_p", "share_ai"))
            upper.plot(mean_p, share_ai, "o", markersize=6, mfc=face, color=palette.accent, label=label)
        if second and (theirs := second.metrics.get("calibration")):
            mean_p, share_ai = ([row[name] for row in theirs["bins"]] for name in ("mean_p", "share_ai"))
            upper.plot(mean_p, share_ai, "D", markersize=4, mfc="none", color=palette.muted, label=second.name)
        upper.legend(frameon=False, fontsize=9, labelcolor=palette.ink, loc="upper left")
        upper.set_ylabel("share of AI pictures", color=palette.muted, fontsize=9)
        upper.yaxis.set_major_formatter(_percent)
        upper.set_yticks([0, 0.25, 0.5, 0.75, 1])
        upper.set_ylim(-0.04, 1.55 if second else 1.42)  # leaves room for the legend
        starts, ends, pictures = ([row[name] for row in bins] for name in ("low", "high", "pictures"))
        widths = [end - start for start, end in zip(starts, ends, strict=True)]
        lower.bar(starts, pictures, widths, align="edge", color=palette.accent, edgecolor=palette.card, linewidth=1)
        lower.set_ylabel("pictures", color=palette.muted, fontsize=9)
        lower.set_xlabel("p(AI)", color=palette.muted, fontsize=9)
        lower.set_xlim(-0.02, 1.02)
        if band[1] - band[0] > 0.25:  # else there is no room for the word
            lower.text(sum(band) / 2, 0.95, "unsure", ha="center", va="top", fontsize=9, color=palette.muted,
                       transform=lower.get_xaxis_transform())  # fmt: skip
    return buffer.getvalue()


def coverage(
    points: Sequence[Mapping[str, float]],
    operating_point: tuple[float, float] | None,
    theme: str,
    shape: Shape,
    second: Second | None = None,
) -> bytes:
    """The risk-coverage curve: the accuracy on the most confident share of the pictures, with its interval.

    Args:
        points: the points of the curve, with coverage, accuracy, low and high.
        operating_point: coverage and accuracy of the decision rule; None if it decides on nothing.
        theme: a key of `THEMES`.
        shape: ignored; there is one shape.
        second: the model whose curve is drawn, too, if there is one.
    """
    palette = THEMES[theme]
    with figure((380, 380), palette) as (chart, buffer):
        axes = chart.subplots()
        style_axes(axes, palette)
        axes.set_title("Risk–coverage curve", loc="left", fontsize=11, fontweight="bold", color=palette.ink)
        x, y, low, high = ([point[name] for point in points] for name in ("coverage", "accuracy", "low", "high"))
        axes.fill_between(x, low, high, color=palette.accent, alpha=0.18, linewidth=0, label="95 % interval")
        axes.plot(x, y, linewidth=1.8, color=palette.accent, label="accuracy of the most confident")
        lowest = min(low)
        if second and (theirs := second.metrics.get("risk_coverage")):
            values = [point["accuracy"] for point in theirs]
            lowest = min(lowest, *values)
            shares = [point["coverage"] for point in theirs]
            axes.plot(shares, values, "--", linewidth=1.4, color=palette.muted, label=second.name)
        if operating_point:
            axes.plot(*operating_point, "o", markersize=8, markeredgewidth=2, color=palette.warn, mfc=palette.card,
                      linestyle="", label="all but unsure")  # fmt: skip
        axes.grid(axis="y", color=palette.line, linewidth=0.7)
        axes.xaxis.set_major_formatter(_percent)
        axes.yaxis.set_major_formatter(_percent)
        axes.set_xlim(0, 1.02)
        axes.set_ylim(bottom=lowest - (0.5 if second else 0.4) * (1 - lowest))  # leaves room for the legend
        axes.set_xlabel("coverage: share of the pictures, most confident first", color=palette.muted, fontsize=9)
        axes.legend(frameon=False, fontsize=9, labelcolor=palette.ink, loc="lower left")
    return buffer.getvalue()


def robustness(
    rows: Sequence[Mapping[str, Any]], clean: float, theme: str, shape: Shape, second: Second | None = None
) -> bytes:
    """The accuracy under each condition, with its interval, and a line at the accuracy on the original pictures.

    Args:
        rows: one per condition, with name and accuracy.
        clean: the accuracy on the original pictures.
        theme: a key of `THEMES`.
        shape: "wide" or "narrow".
        second: the model whose accuracies are drawn, too, if there is one.
    """
    from matplotlib.ticker import MaxNLocator

    palette = THEMES[theme]
    size = (800 if shape == "wide" else 380, ROW_HEIGHT * len(rows) + 90)
    with figure(size, palette) as (chart, buffer):
        axes = chart.subplots()
        style_axes(axes, palette)
        axes.axvline(clean, color=palette.muted, linewidth=1, linestyle=(0, (2, 2)))
        axes.annotate(
            "original", (clean, 1), xycoords=("data", "axes fraction"), xytext=(0, 3), textcoords="offset points",
            ha="center", va="bottom", fontsize=9, color=palette.muted, annotation_clip=False,
        )  # fmt: skip
        theirs = second.robustness if second else None
        for y, row in enumerate(rows):
            accuracy = row["accuracy"]
            colour = palette.warn if accuracy["high"] < clean else palette.accent
            axes.plot([accuracy["low"], accuracy["high"]], [y, y], linewidth=1.2, color=colour)
            axes.plot(accuracy["value"], y, "o", markersize=7, color=colour)
            if theirs and (found := theirs.get(row["name"])):
                axes.plot(found["accuracy"]["value"], y, "D", markersize=5, mfc="none", color=palette.muted)
        axes.grid(axis="x", color=palette.line, linewidth=0.7)
        axes.set_yticks(range(len(rows)), [row["name"] for row in rows], fontsize=10, color=palette.ink)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5 if shape == "narrow" else 8))
        axes.xaxis.set_major_formatter(_percent)
        axes.set_xlabel("accuracy, with its 95 % interval", color=palette.muted, fontsize=9)
    return buffer.getvalue()


def _percent(share: float, _: float) -> str:
    """The label of a tick: no needless digits, as in 90.0 %, and nothing below 0."""
    return f"{100 * share:.3g} %" if share >= 0 else ""
