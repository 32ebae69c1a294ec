"""What every chart of the report is drawn on: the page's colours, light and dark, and an empty figure in CSS pixels.

Without pyplot, whose figures are global and not for threads; the same numbers give the same bytes on every machine.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Shape = Literal["wide", "narrow"]
CSS_PX = 96  # matplotlib inches are laid out as CSS pixels / 96 …
SCALE = 2  # … and drawn at double density


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


def style_axes(axes: "Axes", colours: Theme) -> None:
    """Axes that step back behind what is drawn in them."""
    axes.set_facecolor(colours.ground)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(colours.line)
    axes.tick_params(length=0, labelsize=9, labelcolor=colours.quiet)
    axes.set_axisbelow(True)


@contextmanager
def figure(size: tuple[int, int], colours: Theme) -> Iterator[tuple["Figure", io.BytesIO]]:
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
        drawn = Figure(figsize=inches, dpi=CSS_PX * SCALE, facecolor=colours.ground, layout=room)
        FigureCanvasAgg(drawn)
        yield drawn, buffer
        drawn.savefig(buffer, format="png", dpi=CSS_PX * SCALE, metadata=metadata)
