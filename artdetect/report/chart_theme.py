"""The common look of the report's charts: colours, light and dark, and an empty figure in CSS pixels.

pyplot is not used: its figures are global and not thread-safe. The same numbers give the same bytes on every machine.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from artdetect.pictures.palette import DARK, LIGHT, Palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Shape = Literal["wide", "narrow"]
THEMES = {"light": LIGHT, "dark": DARK}
CSS_PX = 96  # per matplotlib inch
SCALE = 2  # image pixels per CSS pixel


def style_axes(axes: "Axes", palette: Palette) -> None:
    """Make the axes less prominent than the data."""
    axes.set_facecolor(palette.card)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(palette.line)
    axes.tick_params(length=0, labelsize=9, labelcolor=palette.muted)
    axes.set_axisbelow(True)


@contextmanager
def figure(size: tuple[int, int], palette: Palette) -> Iterator[tuple["Figure", io.BytesIO]]:
    """An empty figure of `size` CSS pixels, in matplotlib's default style; the buffer holds its PNG afterwards."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    buffer = io.BytesIO()
    metadata: dict[str, Any] = {"Software": None}
    with mpl.rc_context():
        mpl.rcdefaults()  # ignore a matplotlibrc of this machine
        inches = (size[0] / CSS_PX, size[1] / CSS_PX)
        layout = ConstrainedLayoutEngine(w_pad=0.14, h_pad=0.12, wspace=0.04, hspace=0.02)
        chart = Figure(figsize=inches, dpi=CSS_PX * SCALE, facecolor=palette.card, layout=layout)
        FigureCanvasAgg(chart)
        yield chart, buffer
        chart.savefig(buffer, format="png", dpi=CSS_PX * SCALE, metadata=metadata)
