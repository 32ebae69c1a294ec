"""The three panels: nothing shifted, nothing overstated."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from artdetect.explain import figures
from artdetect.explain.arrays import Explanation
from artdetect.explain.figures import PANEL, enlarged, heat, panels, range_text, spotlight, top_mask


def explanation(attributions, ranks=None, target=0):
    return Explanation(np.asarray(attributions, np.float32), ranks, target, {})


@pytest.fixture
def blocks():
    """Four regions on 8 x 8: the best covers 1/8, the next 1/4, then 1/8 and the half below."""
    ranks = np.full((8, 8), 4, np.int32)
    ranks[:4, :2], ranks[:4, 2:6], ranks[:4, 6:] = 1, 2, 3
    return explanation(np.float32([0, 0.9, 0.4, 0.1, -0.2])[ranks], ranks)


@pytest.fixture
def artwork():
    rng = np.random.default_rng(3)
    return Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).resize((300, 300), Image.Resampling.NEAREST)


@pytest.fixture
def written(monkeypatch):
    """The texts that a figure shows, in the order of drawing."""
    from matplotlib.figure import Figure

    texts, draw = [], Figure.text

    def noted(self, x, y, text, **style):
        texts.append(text)
        return draw(self, x, y, text, **style)

    monkeypatch.setattr(Figure, "text", noted)
    return texts


def columns(path):
    """The three panels of a written figure, each [PANEL, PANEL, 3]."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    bottom = len(pixels) - figures._FOOT
    lefts = [figures._EDGE + number * (PANEL + figures._GAP) for number in range(3)]
    return [pixels[bottom - PANEL : bottom, left : left + PANEL] for left in lefts]


@pytest.mark.parametrize(("row", "column"), [(0, 0), (31, 31), (3, 28), (16, 15)])
def test_an_enlarged_pixel_keeps_its_place(row, column):
    small = np.zeros((32, 32), np.float32)
    small[row, column] = 1
    for smooth in (True, False):
        large = enlarged(small if smooth else small > 0, (256, 256), smooth=smooth)
        mirrored = enlarged((small if smooth else small > 0)[::-1, ::-1], (256, 256), smooth=smooth)
        np.testing.assert_allclose(mirrored, large[::-1, ::-1], atol=1e-6)
        peak = np.argwhere(large == large.max())
        assert (peak.min(0) >= [8 * row, 8 * column]).all()
        assert (peak.max(0) < [8 * row + 8, 8 * column + 8]).all()
    inner = slice(8, -8)
    if 1 < row < 30:
        large = enlarged(small, (256, 256), smooth=True)[inner, inner]
        place = (np.indices(large.shape) * large).sum((1, 2)) / large.sum() + 8
        np.testing.assert_allclose(place, [8 * row + 3.5, 8 * column + 3.5], atol=0.01)


def test_an_enlarged_ramp_does_not_shift_where_scipys_zoom_shifts_by_three_pixels():
    from scipy.ndimage import zoom

    places = np.broadcast_to(np.arange(32, dtype=np.float32) * 8 + 3.5, (32, 32))  # where each value belongs, of 256
    inside = slice(4, -4)  # beyond the outermost centres there is nothing to interpolate
    ours = enlarged(places, (256, 256), smooth=True)[100]
    np.testing.assert_allclose(ours[inside], np.arange(256)[inside], atol=0.01)
    assert np.abs(zoom(places, 8, order=1)[100][inside] - np.arange(256)[inside]).max() > 3


def test_the_overlay_lies_on_the_evidence_in_the_written_figure(tmp_path):
    picture = np.full((256, 256, 3), 200, np.uint8)
    ranks = np.full((32, 32), 2, np.int32)
    ranks[0:16, 14:32] = 1  # at two edges, where a wrong grid shifts most
    found = explanation(np.where(ranks == 1, 1.0, 0.0), ranks)
    panels(Image.fromarray(picture), found, "AI", tmp_path / "a.png")
    _, heatmap, top = columns(tmp_path / "a.png")
    times = PANEL // 32
    bright = np.argwhere((top == 200).all(-1))
    assert bright.min(0).tolist() == [0, 14 * times]
    assert bright.max(0).tolist() == [16 * times - 1, PANEL - 1]
    assert (top[-1, 0] == 50).all()  # dimmed to a quarter, not black
    half = heatmap[100, :, 2].astype(int)  # inferno's bright end has little blue over light grey
    edge = np.argmax(np.abs(np.diff(half[times : 15 * times]))) + times
    assert abs(edge - 14 * times) <= times / 2


def test_the_artwork_is_shown_pixel_for_pixel(tmp_path, blocks, artwork):
    artwork = artwork.resize((PANEL, PANEL))
    panels(artwork, blocks, "AI", tmp_path / "a.png")
    np.testing.assert_array_equal(columns(tmp_path / "a.png")[0], np.asarray(artwork))


def test_top_regions_are_whole_and_cover_at_least_the_fraction(blocks):
    assert top_mask(blocks, 0.1).mean() == 0.125
    assert top_mask(blocks, 0.125).mean() == 0.125
    assert top_mask(blocks).mean() == 0.375
    assert top_mask(blocks, 1).all()
    for fraction in (0, 1.01):
        with pytest.raises(ValueError, match="fraction"):
            top_mask(blocks, fraction)


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.int32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(1, 5)), st.floats(0.01, 1)
)
def test_top_regions_of_any_map_are_as_few_as_will_do(ranks, fraction):
    mask = top_mask(explanation(-ranks, ranks), fraction)
    assert mask.mean() >= fraction - 1e-9
    assert all(len(np.unique(mask[ranks == rank])) == 1 for rank in np.unique(ranks))
    assert (mask & (ranks != ranks[mask].max())).mean() < fraction
    np.testing.assert_array_equal(mask, top_mask(explanation(-ranks), fraction))


def test_the_real_share_the_verdict_and_the_range_are_printed(tmp_path, blocks, artwork, written):
    panels(artwork, blocks, "AI, p = 0.93", tmp_path / "a.png")
    assert "AI, p = 0.93" in written
    assert any("38% of the area" in text for text in written)
    assert any("“AI”" in text for text in written)
    assert {"−0.2", "0.9"} <= set(written)


def test_a_clipped_range_says_so():
    values = np.zeros(10_000, np.float32)
    values[:50] = 0.25
    values[-2:] = [7, -3]
    values[-152:-2] = -0.5
    assert range_text(explanation(values.reshape(100, 100))) == ("≤ −0.5", "logit/px", "≥ 0.25")
    assert range_text(explanation(np.float32([[1e-7, 2e6]])))[0].startswith("≤ ")


def test_one_small_region_on_a_plain_map_is_not_lost_to_the_percentiles():
    values = np.zeros((100, 100), np.float32)
    values[0, 0] = 2
    assert range_text(explanation(values)) == ("0", "logit/px", "2")


def test_a_flat_map_is_not_stretched(tmp_path, artwork, written):
    panels(artwork, explanation(np.zeros((8, 8))), "Unsure, p = 0.50", tmp_path / "a.png")
    original, heatmap, top = columns(tmp_path / "a.png")
    assert (np.ptp(heatmap.astype(int), axis=-1) == 0).all()
    np.testing.assert_array_equal(top, original)
    assert "0 everywhere" in written
    assert any("No region stands out" in text for text in written)


def test_opacity_grows_with_the_value():
    grey = np.zeros((64, 64, 3), np.uint8)
    grey[::2] = 255  # stripes: what is left of their contrast is the transparency
    ramp = explanation(np.broadcast_to(np.linspace(-1, 1, 64), (64, 64)))
    shown = heat(grey, ramp).astype(int)
    contrast = np.abs(shown[31] - shown[30]).sum(-1)
    assert contrast[0] == 3 * 255
    assert (np.diff(contrast) <= 3).all()
    assert contrast[-1] < 0.25 * 3 * 255


def test_the_contour_is_thin_and_hides_nothing_of_the_regions():
    picture = np.full((64, 64, 3), 120, np.uint8)
    mask = np.zeros((8, 8), bool)
    mask[2:6, 2:6] = True
    shown = spotlight(picture, mask)
    assert (shown[16:48, 16:48] == 120).all()
    line = (shown == figures._CYAN).all(-1)
    assert line[14:16, 14:50].all()
    assert line.sum() == 36 * 36 - 32 * 32


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_artworks_of_any_mode_are_drawn(tmp_path, blocks, artwork, mode):
    panels(artwork.convert(mode), blocks, "AI", tmp_path / "a.png")
    assert columns(tmp_path / "a.png")[0].shape == (PANEL, PANEL, 3)


def test_the_same_input_gives_the_same_bytes(tmp_path, blocks, artwork, monkeypatch):
    panels(artwork, blocks, "AI $x_$", tmp_path / "a.png")
    monkeypatch.setattr("time.time", lambda: 2e9)
    panels(artwork, blocks, "AI $x_$", tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as image:
        assert "Software" not in image.info


def test_a_long_title_is_wrapped_and_lengthens_the_figure_only_upwards(tmp_path, blocks, artwork, written):
    panels(artwork, blocks, "a verdict that is much longer than one panel is wide", tmp_path / "a.png")
    assert written[0].count("\n") >= 2
    with Image.open(tmp_path / "a.png") as image:
        assert image.width == 3 * PANEL + 2 * figures._GAP + 2 * figures._EDGE


def test_an_artwork_of_other_proportions_is_refused(tmp_path, blocks):
    with pytest.raises(ValueError, match="300 x 200"):
        panels(Image.new("RGB", (300, 200)), blocks, "AI", tmp_path / "a.png")


def test_importing_the_modules_is_light_and_pyplot_is_never_imported(tmp_path):
    program = (
        "import sys\n"
        "from artdetect.explain import arrays, choose, figures, model_access, xrai\n"
        "heavy = {'tensorflow', 'keras', 'saliency', 'matplotlib', 'pandas', 'prefect'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "import numpy as np\n"
        "from pathlib import Path\n"
        "from PIL import Image\n"
        "found = arrays.Explanation(np.eye(4, dtype=np.float32), None, 0, {})\n"
        "figures.panels(Image.new('RGB', (8, 8)), found, 'AI', Path(sys.argv[1]))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "a.png")], check=True)
