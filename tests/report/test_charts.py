"""The charts: one for each set of numbers, at the size that the page gives them, light and dark."""

import io

import pytest
from PIL import Image

from artdetect.report import chart_theme, charts, context

from .conftest import Folders, estimate


def size(png: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(png)) as image:
        return image.width // chart_theme.SCALE, image.height // chart_theme.SCALE


def test_there_is_a_chart_for_each_set_of_numbers(full_folders: Folders) -> None:
    values = context.gather(full_folders)
    assert set(charts.draw(values)) == {"confusion", "reliability", "coverage", "robustness"}
    assert set(charts.draw(values | {"confidence": None, "robustness": None})) == {"confusion"}


def test_a_narrow_chart_fits_a_phone_and_dark_differs_from_light(full_folders: Folders) -> None:
    images = charts.draw(context.gather(full_folders))
    assert size(images["robustness"]["light", "narrow"])[0] == 380
    assert size(images["robustness"]["light", "wide"])[0] == 800
    for variants in images.values():
        assert variants["light", "wide"] != variants["dark", "wide"]


def test_each_condition_adds_a_row() -> None:
    rows = [{"name": name, "accuracy": estimate(0.9)} for name in ("blur", "noise", "JPEG 50")]
    heights = [size(charts.robustness(rows[:count], 0.95, "light", "narrow"))[1] for count in (1, 3)]
    assert heights[1] - heights[0] == 2 * charts.ROW_HEIGHT


@pytest.mark.parametrize("operating_point", [None, (0.9, 1.0)])
def test_a_single_picture_can_be_drawn(operating_point: tuple[float, float] | None) -> None:
    points = [{"coverage": 1.0, "accuracy": 1.0, "low": 0.2, "high": 1.0}]
    bins = [{"low": 0.0, "high": 1 / 15, "pictures": 1, "mean_p": 0.01, "share_ai": 0.0}]
    assert size(charts.coverage(points, operating_point, "light", "wide")) == (380, 380)
    assert size(charts.reliability(bins, (0.5, 0.5), "dark", "wide")) == (380, 380)
