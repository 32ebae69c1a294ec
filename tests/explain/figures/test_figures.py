"""The figures: nothing shifted, nothing overstated."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from artdetect.explain import figures
from artdetect.explain.explanation import Explanation
from artdetect.explain.figures import PANEL, SHEET, common_range, overlay, panels, sheet, split_panels
from artdetect.explain.figures.colour_scale import PER, ColourScale
from artdetect.explain.figures.overlay import Style, fit_size, heat, resized, spotlight
from artdetect.pictures.palette import CYAN


def explanation(heatmap, ranks=None, target=0, **config):
    return Explanation(np.asarray(heatmap, np.float32), ranks, target, 1.0, 0.0, config)


@pytest.fixture
def blocks():
    """Four regions on 8 x 8: the best covers 1/8, the next 1/4, then 1/8 and the half below."""
    ranks = np.full((8, 8), 4, np.int32)
    ranks[:4, :2], ranks[:4, 2:6], ranks[:4, 6:] = 1, 2, 3
    return explanation((np.float32([0, 0.9, 0.4, 0.1, -0.2]) / PER)[ranks], ranks, method="xrai")


@pytest.fixture
def artwork():
    rng = np.random.default_rng(3)
    return Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).resize((300, 300), Image.Resampling.NEAREST)


@pytest.fixture
def written(monkeypatch):
    """The texts that a figure shows, in the order of drawing."""
    texts, write = [], Style.write

    def record(self, draw, x, y, text, align="l"):
        texts.append(text.replace("\N{NO-BREAK SPACE}", " "))
        return write(self, draw, x, y, text, align)

    monkeypatch.setattr(Style, "write", record)
    return texts


def columns(path, width=PANEL, height=PANEL):
    """The three panels of a written figure, each [height, width, 3]."""
    with Image.open(path) as image:
        pixels = np.asarray(image)
    bottom, cell = len(pixels) - figures._FOOT, pixels.shape[1] // 3
    lefts = [number * cell + cell // 2 - width // 2 for number in range(3)]
    return [pixels[bottom - height : bottom, left : left + width] for left in lefts]


@pytest.mark.parametrize(("row", "column"), [(0, 0), (31, 31), (3, 28), (16, 15)])
@pytest.mark.parametrize("smooth", [True, False])
def test_a_resized_pixel_keeps_its_place(row, column, smooth):
    small = np.zeros((32, 32), np.float32)
    small[row, column] = 1
    large = resized(small, (256, 256), smooth=smooth)
    mirrored = resized(small[::-1, ::-1], (256, 256), smooth=smooth)
    np.testing.assert_allclose(mirrored, large[::-1, ::-1], atol=1e-6)
    peak = np.argwhere(large == large.max())
    assert (peak.min(0) >= [8 * row, 8 * column]).all()
    assert (peak.max(0) < [8 * row + 8, 8 * column + 8]).all()
    if not smooth:
        np.testing.assert_array_equal(resized(large, (32, 32), smooth=smooth), small)


@pytest.mark.parametrize(("width", "height"), [(700, 500), (400, 900), (333, 333), (1000, 10), (3, 2)])
def test_regions_at_the_panels_size_are_drawn_pixel_for_pixel(tmp_path, width, height):
    size = fit_size(width, height, PANEL)
    rng = np.random.default_rng(width)
    ranks = np.full(size[::-1], 2, np.int32)
    ranks[: size[1] // 3 + 1, : size[0] // 4] = 1
    picture = rng.integers(100, 256, (*size[::-1], 3), np.uint8)
    panels(Image.fromarray(picture), explanation(-ranks, ranks), "AI", tmp_path / "a.png")
    shown, heated, lit = columns(tmp_path / "a.png", *size)
    np.testing.assert_array_equal(shown, picture)
    top = ranks == 1 if (ranks == 1).mean() >= 0.25 else np.ones_like(ranks, bool)
    np.testing.assert_array_equal((lit == picture).all(-1), top)
    orange = heated[..., 0].astype(int) - heated[..., 2] > 40  # as is inferno's bright end
    np.testing.assert_array_equal(orange, ranks == 1)


def test_the_overlay_lies_on_the_evidence_where_the_map_is_coarse(tmp_path):
    picture = np.full((256, 256, 3), 200, np.uint8)
    ranks = np.full((32, 32), 2, np.int32)
    ranks[0:16, 14:32] = 1  # at two edges, where a wrong grid shifts most
    for given in (ranks, None):
        panels(Image.fromarray(picture), explanation(ranks == 1, given), "AI", tmp_path / "a.png")
        _, heatmap, top = columns(tmp_path / "a.png")
        times = PANEL // 32
        bright = np.argwhere((top == 200).all(-1))
        assert bright.min(0).tolist() == [0, 14 * times]
        assert bright.max(0).tolist() == [16 * times - 1, PANEL - 1]
        assert (top[-1, 0] == 50).all()  # dimmed to a quarter, not black
        red = heatmap[100, :, 0].astype(int)
        half = np.argmax(red > (red.min() + red.max()) / 2)
        assert abs(half - 14 * times) <= (0 if given is not None else times / 2)


def test_a_map_without_regions_is_smooth_and_one_with_regions_is_crisp(tmp_path, blocks):
    plain = Image.new("RGB", (64, 64), (90, 90, 90))
    colours = []
    for found in (blocks, replace(blocks, ranks=None)):
        panels(plain, found, "AI", tmp_path / "a.png")
        colours.append(len(np.unique(columns(tmp_path / "a.png")[1].reshape(-1, 3), axis=0)))
    assert colours[0] == 4
    assert colours[1] > 50


def test_a_map_finer_than_the_panel_is_averaged():
    fine = np.zeros((1024, 1024), np.float32)
    fine[::2] = 1
    np.testing.assert_array_equal(resized(fine, (512, 512), smooth=False), np.full((512, 512), 0.5))


def test_the_real_share_the_verdict_and_the_range_are_printed(tmp_path, blocks, artwork, written):
    panels(artwork, blocks, "AI 93.0%\n(is human)", tmp_path / "a.png")
    assert written[:6] == [
        "AI 93.0%",
        "(is human)",
        "Evidence for “AI”",
        "XRAI heatmap",
        "Top regions",
        "38% of the area",
    ]
    assert written[6:] == ["−0.2", "0.9", "0", "logit per 1,000 px"]


def test_a_map_of_another_method_or_score_does_not_speak_of_regions_or_logits(tmp_path, artwork, written):
    ramp = explanation(np.repeat([1, 2], 32).reshape(8, 8), method="gradcam")
    panels(artwork, ramp, "AI", tmp_path / "a.png")
    assert {"Grad-CAM heatmap", "Top pixels", "50% of the area", "1", "2", "without a unit"} <= set(written)
    assert "0" not in written
    panels(artwork, replace(ramp, config={"target": "probability"}), "AI", tmp_path / "a.png")
    assert {"heatmap", "1,000", "2,000", "probability per 1,000 px"} <= set(written)


def test_a_map_that_speaks_against_the_class_everywhere_is_labelled_so(tmp_path, blocks, artwork, written):
    panels(artwork, replace(blocks, heatmap=blocks.heatmap - 1), "AI", tmp_path / "a.png")
    assert {"All against “AI”", "Least against", "38% of the area"} <= set(written)


def ends(found, scale=None):
    colours = ColourScale.make(found, scale)
    return colours.span.replace("\N{NO-BREAK SPACE}", " ")


def test_a_clipped_range_says_so():
    values = np.zeros(10_000, np.float32)
    values[:50] = 0.25 / PER
    values[-2:] = [7, -3]
    values[-152:-2] = -0.5 / PER
    assert ends(explanation(values.reshape(100, 100))) == "≤ −0.5 … ≥ 0.25"


@pytest.mark.parametrize(
    ("low", "high", "printed"),
    [(-1234.5, 99.94, "−1,234 … 100"), (1.2e-9, 3.456e7, "1.2e−9 … 3.5e7"), (0, 0.0123, "0 … 0.012")],
)
def test_numbers_are_short(low, high, printed):
    assert ends(explanation(np.float64([[low, high]] * 8) / PER), (low / PER, high / PER)).replace("≤ ", "") == printed


def test_one_small_region_on_a_plain_map_is_not_lost_to_the_percentiles():
    values = np.zeros((100, 100), np.float32)
    values[0, 0] = 2 / PER
    assert ends(explanation(values)) == "0 … 2"


def test_a_flat_map_is_not_stretched(tmp_path, artwork, written):
    flat = explanation(np.zeros((8, 8)), np.ones((8, 8), np.int32))
    for scale in (None, common_range([flat, flat])):
        panels(artwork, flat, "Unsure, p = 0.50", tmp_path / "a.png", scale=scale)
        original, heatmap, top = columns(tmp_path / "a.png")
        assert (np.ptp(heatmap.astype(int), axis=-1) == 0).all()
        np.testing.assert_array_equal(top, original)
        assert {"0 everywhere", "No region stands out", "for “AI”", "No top regions"} <= set(written)


def test_in_a_common_range_the_same_value_has_the_same_colour(tmp_path, blocks):
    weak = replace(blocks, heatmap=blocks.heatmap / 10)
    scale = common_range(iter([weak, blocks]))
    np.testing.assert_allclose(scale, np.float32([-0.2, 0.9]) / PER)
    plain = Image.new("RGB", (8, 8), (90, 90, 90))
    maps = []
    for found, given in ((blocks, None), (blocks, scale), (weak, scale), (weak, None)):
        panels(plain, found, "AI", tmp_path / "a.png", scale=given)
        maps.append(columns(tmp_path / "a.png")[1])
    np.testing.assert_array_equal(maps[0], maps[1])
    np.testing.assert_array_equal(maps[0], maps[3])
    assert maps[2].max() < maps[1].max() - 50
    assert ends(weak, scale) == "−0.2 … 0.9"
    assert ends(blocks, (0, 0.5 / PER)) == "≤ 0 … ≥ 0.5"


@pytest.mark.parametrize("scale", [(1, 0), (0, 0), (0, np.nan), (-np.inf, 0)])
def test_a_scale_that_is_no_range_is_refused(tmp_path, blocks, artwork, scale):
    with pytest.raises(ValueError, match="scale"):
        panels(artwork, blocks, "AI", tmp_path / "a.png", scale=scale)
    with pytest.raises(ValueError, match="one explanation or more"):
        common_range([])


def test_opacity_grows_with_the_value_and_the_picture_shows_through_the_highest():
    grey = np.zeros((64, 64, 3), np.uint8)
    grey[::2] = 255  # stripes: what is left of their contrast is the transparency
    level = np.broadcast_to(np.linspace(0, 1, 64), (64, 64))
    shown = heat(grey, level).astype(int)
    contrast = np.abs(shown[31] - shown[30]).sum(-1)
    assert (np.diff(contrast) <= 3).all()
    assert contrast[-1] < 0.25 * contrast[0]
    assert contrast[-1] > 30
    assert (np.ptp(shown[:, 0], axis=-1) == 0).all()  # the lowest is grey


def test_a_low_value_on_white_is_darker_than_a_high_value_on_black():
    for dark, light in ((0, 1), (0.3, 0.95)):
        low = heat(np.full((1, 1, 3), 255, np.uint8), np.full((1, 1), float(dark)))
        high = heat(np.zeros((1, 1, 3), np.uint8), np.full((1, 1), float(light)))
        assert low.mean() < high.mean()


@pytest.mark.parametrize("line", [1, 2])
def test_the_contour_is_thin_and_hides_nothing_of_the_regions(line):
    picture = np.full((64, 64, 3), 120, np.uint8)
    inside = np.zeros((64, 64), bool)
    inside[16:48, 16:48] = True
    shown = spotlight(picture, inside, line)
    assert (shown[inside] == 120).all()
    contour = (shown == CYAN).all(-1)
    assert contour[16 - line : 16, 16:48].all()
    assert contour.sum() == (32 + 2 * line) ** 2 - 32**2
    assert (picture == 120).all()


def test_a_note_stands_below_the_artwork_and_changes_nothing_else(tmp_path, blocks, artwork, written):
    panels(artwork, blocks, "AI", tmp_path / "a.png")
    written.clear()
    note = "These pictures are drawn. " + "No person painted them. " * 40
    panels(artwork, blocks, "AI", tmp_path / "b.png", note=note)
    assert " ".join(written).count("These pictures are drawn.") == 1
    with Image.open(tmp_path / "a.png") as image, Image.open(tmp_path / "b.png") as noted:
        assert image.size == noted.size
        changed = np.argwhere(np.asarray(image) != np.asarray(noted))
        assert changed[:, 0].min() >= image.height - figures._FOOT
        assert changed[:, 1].max() < image.width // 3


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_artworks_of_any_mode_are_drawn(tmp_path, blocks, artwork, mode):
    panels(artwork.convert(mode), blocks, "AI", tmp_path / "a.png")
    assert columns(tmp_path / "a.png")[0].shape == (PANEL, PANEL, 3)


def test_the_same_input_gives_the_same_bytes(tmp_path, blocks, artwork, monkeypatch):
    def draw(name):
        panels(artwork, blocks, "AI $x_$", tmp_path / f"{name}.png")
        sheet([(artwork, blocks, "AI $x_$")] * 3, tmp_path / f"{name}-sheet.png", title="A title")

    draw("a")
    monkeypatch.setattr("time.time", lambda: 2e9)
    draw("b")
    for kind in ("", "-sheet"):
        assert (tmp_path / f"a{kind}.png").read_bytes() == (tmp_path / f"b{kind}.png").read_bytes()
        with Image.open(tmp_path / f"a{kind}.png") as image:
            assert not image.info


def test_a_long_title_is_wrapped_and_lengthens_the_figure_only_upwards(tmp_path, blocks, artwork, written):
    panels(artwork, blocks, "AI", tmp_path / "a.png")
    original = columns(tmp_path / "a.png")[0]
    written.clear()
    panels(artwork, blocks, "a verdict that is much longer than one panel is wide", tmp_path / "b.png")
    np.testing.assert_array_equal(columns(tmp_path / "b.png")[0], original)
    assert " ".join(written[:3]).startswith("a verdict that is much longer than one panel is wide")
    with Image.open(tmp_path / "a.png") as short, Image.open(tmp_path / "b.png") as long:
        assert (long.width, long.height > short.height) == (short.width, True)


@pytest.mark.parametrize("text", ["", "one", "two words", "x" * 99, "a " + "long" * 20 + " b\n\nand another line"])
def test_wrapped_text_fits_and_loses_nothing(text):
    style = Style(20)
    lines = style.wrapped(text, 130)
    assert all(style.width(line) <= 130 for line in lines)
    assert "".join(lines).replace(" ", "") == "".join(text.split())


def test_the_parts_of_a_figure_are_the_figure(tmp_path, blocks, artwork):
    panels(artwork, blocks, "AI", tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        figure = image.copy()
    again, left = Image.new("RGB", figure.size, "white"), 0
    for strip in split_panels(figure):
        again.paste(strip, (left, 0))
        left += strip.width
    np.testing.assert_array_equal(np.asarray(again), np.asarray(figure))


def test_an_artwork_of_other_proportions_is_refused_but_rounding_is_not(tmp_path, blocks):
    with pytest.raises(ValueError, match="300 x 200"):
        panels(Image.new("RGB", (300, 200)), blocks, "AI", tmp_path / "a.png")
    odd = explanation(np.eye(365, 512))  # of 700 x 500, which is 365.7 x 512
    panels(Image.new("RGB", (700, 500)), odd, "AI", tmp_path / "a.png")


@pytest.mark.parametrize("count", [1, 2, 5, 24])
def test_a_sheet_of_any_number_shows_each_with_its_caption_share_and_range(tmp_path, artwork, blocks, written, count):
    wide = explanation(np.repeat([0, 11], 6).reshape(3, 4) / PER, target=1)
    some = [(artwork, blocks), (Image.new("RGB", (40, 30), "white"), wide)]
    entries = [(*some[number % 2], f"verdict {number}\n(is AI)") for number in range(count)]
    sheet(iter(entries), tmp_path / "a.png", title="Some pictures")
    assert [text for text in written if text.startswith("verdict")] == [f"verdict {number}" for number in range(count)]
    assert written.count("(is AI)") == count
    assert written.count("for “AI”: −0.2 … 0.9") == written.count("38% of the area") == (count + 1) // 2
    assert written.count("for “human”: 0 … 11") == count // 2
    assert {"Some pictures", "low", "high", "logit per 1,000 px"} <= set(written)
    with Image.open(tmp_path / "a.png") as image:
        assert image.width == SHEET if count > 1 else image.width < SHEET


def test_a_sheet_of_one_range_prints_it_once(tmp_path, artwork, blocks, written):
    entries = [(artwork, replace(blocks, heatmap=blocks.heatmap * factor), "AI") for factor in (1, 2)]
    sheet(entries, tmp_path / "a.png", scale=(-0.2 / PER, 0.9 / PER))
    assert [written.count(text) for text in ("≤ −0.2", "≥ 0.9", "for “AI”")] == [1, 1, 2]
    assert not any("…" in text for text in written)
    assert any("the same range" in text for text in written)


def test_pictures_of_a_sheet_are_drawn_pixel_for_pixel(tmp_path, artwork, blocks):
    sheet([(artwork, blocks, "AI")], tmp_path / "a.png", columns=1)
    with Image.open(tmp_path / "a.png") as image:
        pixels = np.asarray(image).astype(int)
    wide = (SHEET - 2 * figures._GAP - 2 * figures._INSIDE - 2 * figures._BETWEEN - 2) // 3
    small = np.asarray(artwork.resize((min(PANEL, wide),) * 2, Image.Resampling.LANCZOS)).astype(int)
    left = figures._GAP + figures._INSIDE + 1
    strip = pixels[:, left : left + len(small)]
    assert any((strip[top : top + len(small)] == small).all() for top in range(len(strip) - len(small)))


def test_a_sheet_of_nothing_or_of_impossible_columns_is_refused(tmp_path, artwork, blocks):
    with pytest.raises(ValueError, match="one entry or more"):
        sheet([], tmp_path / "a.png")
    for count in (0, 4):
        with pytest.raises(ValueError, match="columns"):
            sheet([(artwork, blocks, "AI")], tmp_path / "a.png", columns=count)
    assert not (tmp_path / "a.png").exists()


def test_the_entries_of_a_sheet_are_taken_one_after_the_other(tmp_path, blocks, monkeypatch):
    events, spotlit = [], overlay.spotlight

    def entries():
        for _ in range(3):
            events.append("read")
            yield Image.new("RGB", (8, 8)), blocks, "AI"

    monkeypatch.setattr(
        overlay, "spotlight", lambda *given, **named: events.append("spotlight") or spotlit(*given, **named)
    )
    sheet(entries(), tmp_path / "a.png")
    assert events == ["read", "spotlight"] * 3


def test_importing_the_modules_is_light_and_pyplot_is_never_imported(tmp_path):
    program = (
        "import sys\n"
        "from artdetect.explain import explanation, figures, model_score, selection\n"
        "from artdetect.explain.methods import make, xrai\n"
        "heavy = {'tensorflow', 'keras', 'saliency', 'matplotlib', 'pandas', 'prefect'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "import numpy as np\n"
        "from pathlib import Path\n"
        "from PIL import Image\n"
        "found = explanation.Explanation(np.eye(4, dtype=np.float32), None, 0, 1.0, None, {})\n"
        "figures.panels(Image.new('RGB', (8, 8)), found, 'AI', Path(sys.argv[1]))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "a.png")], check=True)
