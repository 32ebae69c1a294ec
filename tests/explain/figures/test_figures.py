"""The figures: nothing shifted, nothing overstated, and legible on a phone."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from artdetect.explain import figures
from artdetect.explain.explanation import Explanation
from artdetect.explain.figures import LEGIBLE, NARROW, WIDTH, Entry, common_reach, overlay, panels, sheet
from artdetect.explain.figures.colour_scale import PER, ColourScale
from artdetect.explain.figures.overlay import Style, fit_size, heat, outline, resized, resized_regions, spotlight
from artdetect.explain.regions.compact import with_regions
from artdetect.pictures.palette import FOR_AI, FOR_HUMAN

PANEL = figures._PANEL


def explanation(heatmap, ranks=None, target=0, p_ai=None, **config):
    given = Explanation(np.asarray(heatmap, np.float32), ranks, target, 1.0, 0.0, config, p_ai=p_ai)
    return with_regions(given, 1 / 8, smooth=False)


@pytest.fixture
def blocks():
    """Three regions on 8 x 8: the upper left speaks for AI, the right half weakly for human, the rest says nothing."""
    ranks = np.full((8, 8), 3, np.int32)
    ranks[:4, :4], ranks[:, 4:] = 1, 2
    return explanation((np.float32([0, 0.9, -0.4, 0]) / PER)[ranks], ranks, method="xrai")


@pytest.fixture
def artwork():
    rng = np.random.default_rng(3)
    return Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).resize((300, 300), Image.Resampling.NEAREST)


@pytest.fixture
def written(monkeypatch):
    """The texts that a figure shows and their styles, in the order of drawing."""
    texts, write = [], Style.write

    def record(self, draw, x, y, text, align="l"):
        texts.append((text.replace("\N{NO-BREAK SPACE}", " "), self))
        return write(self, draw, x, y, text, align)

    monkeypatch.setattr(Style, "write", record)
    return texts


def read(written):
    """What a figure says, as one text."""
    return " ".join(text for text, _ in written)


def drawn(tmp_path, found, artwork=None, title="AI", **options):
    """The pixels of a figure."""
    side = Image.new("RGB", found.heatmap.shape[::-1], (90, 90, 90))
    panels(Entry(artwork or side, found, title), tmp_path / "a.png", **options)
    with Image.open(tmp_path / "a.png") as image:
        return np.asarray(image)


def found_in(pixels, picture):
    """The (top, left) corners at which `picture` stands in `pixels`."""
    height, width = picture.shape[:2]
    starts = np.argwhere((pixels[: len(pixels) - height + 1, : pixels.shape[1] - width + 1] == picture[0, 0]).all(-1))
    return [(y, x) for y, x in starts if np.array_equal(pixels[y : y + height, x : x + width], picture)]


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
def test_artwork_and_map_stand_side_by_side_pixel_for_pixel(tmp_path, width, height):
    size = fit_size(width, height, PANEL)
    rng = np.random.default_rng(width)
    ranks = np.full(size[::-1], 2, np.int32)
    ranks[: size[1] // 3 + 1, : size[0] // 4] = 1
    picture = rng.integers(100, 256, (*size[::-1], 3), np.uint8)
    found = explanation(ranks == 1, ranks)
    pixels = drawn(tmp_path, found, Image.fromarray(picture))
    (top, left), *_ = found_in(pixels, picture)
    heated = pixels[top : top + size[1], left + PANEL + figures._GAP :][:, : size[0]].astype(int)
    np.testing.assert_array_equal(heated[..., 0] - heated[..., 2] > 40, ranks == 1)  # orange
    assert (np.ptp(heated[ranks == 2], axis=-1) == 0).all()


def test_regions_lie_on_the_evidence_where_the_map_is_coarse(tmp_path):
    inside = np.zeros((32, 32), bool)
    inside[0:16, 14:32] = True  # at two edges, where a wrong grid shifts most
    found = explanation(inside, inside.astype(np.int32))
    shown = resized_regions(found.region_map, (256, 256))
    exact = inside.repeat(8, 0).repeat(8, 1)
    ys, xs = np.nonzero((shown == 1) != exact)
    assert len(ys) < 0.005 * exact.size  # the corner is rounded
    assert np.abs(np.stack([ys - 128, xs - 112])).min(0).max() <= 8


def test_a_map_without_regions_is_smooth_and_one_with_regions_is_crisp(tmp_path, blocks):
    colours = []
    for found in (blocks, replace(blocks, ranks=None)):
        shown = figures._Panels.make(Entry(Image.new("RGB", (64, 64), (90, 90, 90)), found, ""), PANEL, None)
        colours.append(len(np.unique(shown.heat.reshape(-1, 3), axis=0)))
    assert colours[0] == 3
    assert colours[1] > 50


def test_a_map_finer_than_the_panel_is_averaged():
    fine = np.zeros((1024, 1024), np.float32)
    fine[::2] = 1
    np.testing.assert_array_equal(resized(fine, (512, 512), smooth=False), np.full((512, 512), 0.5))


def test_zero_has_no_colour_and_equal_evidence_for_both_classes_is_equally_strong():
    picture = np.random.default_rng(1).integers(0, 256, (16, 64, 3), np.uint8)
    shown = heat(picture, np.zeros((16, 64))).astype(int)
    assert (np.ptp(shown, axis=-1) == 0).all()  # grey
    grey = np.asarray(Image.fromarray(picture).convert("L")).astype(int)
    assert np.corrcoef(shown[..., 0].ravel(), grey.ravel())[0, 1] > 0.99  # the picture shows through
    plain = np.full((1, 1, 3), 128, np.uint8)
    for level in (0.25, 0.5, 1):
        moved = []
        for sign, colour in ((1, FOR_AI), (-1, FOR_HUMAN)):
            tint = heat(plain, np.full((1, 1), sign * level)).astype(float)[0, 0]
            zero = heat(plain, np.zeros((1, 1))).astype(float)[0, 0]
            direction = np.array(colour) - zero
            moved.append(np.dot(tint - zero, direction) / np.dot(direction, direction))
        assert moved[0] == pytest.approx(moved[1], abs=0.01)
        assert 0 < moved[0] < 0.85


def test_the_picture_shows_through_the_strongest_colour():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[::2] = 255  # what is left of their contrast is the transparency
    level = np.broadcast_to(np.linspace(-1, 1, 65), (64, 65))
    shown = heat(np.pad(stripes, ((0, 0), (0, 1), (0, 0)), mode="edge"), level).astype(int)
    contrast = np.abs(shown[31] - shown[30]).sum(-1)
    assert (np.diff(contrast[32:]) <= 3).all()
    assert contrast[[0, -1]].min() > 30
    np.testing.assert_allclose(contrast, contrast[::-1], atol=4)


def test_the_same_value_has_the_same_colour_in_all_pictures_of_a_batch(blocks):
    weak = replace(blocks, heatmap=blocks.heatmap / 10)
    reach = common_reach(iter([weak, blocks]))
    assert reach == pytest.approx(0.9 / PER)
    plain = np.full((8, 8, 3), 90, np.uint8)

    def heated(found, scale):
        return ColourScale.make(found, scale).heat(plain, found.heatmap)

    np.testing.assert_array_equal(heated(blocks, None), heated(blocks, reach))
    np.testing.assert_array_equal(heated(blocks, None), heated(weak, None))
    tenth = ColourScale.make(weak, reach)
    np.testing.assert_array_equal(tenth.heat(plain, blocks.heatmap), heated(blocks, reach))
    assert np.ptp(heated(weak, reach).astype(int), axis=-1).max() < 0.35 * np.ptp(heated(blocks, reach), axis=-1).max()


def test_the_map_of_the_other_class_looks_the_same_since_colours_belong_to_classes(tmp_path, blocks):
    other = explanation(-blocks.heatmap, blocks.ranks, target=1, method="xrai")
    np.testing.assert_array_equal(drawn(tmp_path, blocks), drawn(tmp_path, other))


def test_probabilities_have_one_scale_for_every_picture_and_what_says_nothing_has_no_colour(tmp_path, written):
    p_ai = np.full((8, 8), np.nan, np.float32)
    p_ai[:, :4] = 0.9
    found = explanation(np.ones((8, 8)), p_ai=p_ai)
    assert common_reach([found]) == 1
    assert [region.p_ai for region in found.regions] == [pytest.approx(0.9, abs=0.02)]
    shown = figures._Panels.make(Entry(Image.new("RGB", (8, 8), (90, 90, 90)), found, ""), PANEL, None)
    assert np.ptp(shown.heat[:, -PANEL // 3 :].astype(int), axis=-1).max() == 0
    drawn(tmp_path, found)
    texts = {text for text, _ in written}
    assert {"speaks for human", "says nothing", "speaks for AI", "p(AI) 0%", "50%", "100%"} <= texts
    assert "p(AI) 90%" in texts
    assert "50% of the picture" in texts


def test_name_verdict_sentence_method_scale_and_regions_are_printed(tmp_path, blocks, artwork, written):
    panels(Entry(artwork, blocks, "AI 93.0%\n(is human)", "a picture.jpg"), tmp_path / "a.png")
    assert [text for text, _ in written] == [
        "a picture.jpg",
        "AI 93.0%",
        "(is human)",
        "The right side speaks for human; the upper left speaks for AI;",
        "the rest says little.",
        "XRAI: what each place speaks for",
        "speaks for human", "says nothing", "speaks for AI",
        "−0.9", "0", "0.9",
        "log-odds per 1,000 pixels",
        "speaks for AI", "25% of the picture",
        "speaks for human", "50% of the picture",
    ]  # fmt: skip


def test_on_a_phone_no_text_is_smaller_than_is_legible(tmp_path, blocks, artwork, written):
    entry = Entry(artwork, blocks, "unsure: unlike the training art, AI 93.0%\n(is human)", "long-name-" * 9 + "7.jpg")
    panels(entry, tmp_path / "a.png", note="Drawn. " * 99)
    sheet([entry] * 3, tmp_path / "sheet.png", title="Some pictures")
    for name in ("a.png", "sheet.png"):
        with Image.open(tmp_path / name) as image:
            assert image.width == WIDTH
    assert min(style.size for _, style in written) * NARROW / WIDTH >= LEGIBLE
    assert figures._BADGE.size * NARROW / WIDTH >= LEGIBLE
    assert all(style.width(text) <= WIDTH - 2 * figures._PAD for text, style in written)


def test_file_names_stand_on_the_sheet_and_in_a_long_one_only_the_middle_is_missing(tmp_path, blocks, artwork, written):
    names = [f"{'long ' * 12}{number}.jpg" for number in range(3)] + ["short.png"]
    sheet([Entry(artwork, blocks, "AI", name) for name in names], tmp_path / "a.png")
    shown = [text for text, _ in written if text.endswith((".jpg", ".png"))]
    assert [text[-5:] for text in shown] == ["0.jpg", "1.jpg", "2.jpg", "t.png"]
    assert all(text.startswith("long long") and "…" in text for text in shown[:3])
    assert shown[3] == "short.png"


def test_a_map_of_another_method_or_score_does_not_speak_of_log_odds_or_classes(tmp_path, artwork, written):
    ramp = explanation(np.repeat([0, 2], 32).reshape(8, 8), method="gradcam")
    pixels = drawn(tmp_path, ramp, artwork)
    texts = {text for text, _ in written}
    assert {"does not matter", "matters most", "0", "2", "without a unit", "Grad-CAM: where it matters"} <= texts
    assert "The lower part matters most for the verdict; the rest matters" in texts
    colourful = pixels[np.ptp(pixels.astype(int), axis=-1) > 60]
    assert not (np.abs(colourful - np.array(FOR_AI)).sum(-1) < 30).any()
    written.clear()
    drawn(tmp_path, replace(ramp, config={"target": "probability"}))
    assert "probability per 1,000 pixels" in {text for text, _ in written}


def ends(found, scale=None):
    return ColourScale.make(found, scale).span.replace("\N{NO-BREAK SPACE}", " ")


def test_a_clipped_range_says_so():
    values = np.zeros(10_000, np.float32)
    values[:100] = 0.25 / PER
    values[-2:] = [7, -3]
    assert ends(explanation(values.reshape(100, 100))) == "≤ −0.25 … ≥ 0.25"


@pytest.mark.parametrize(
    ("reach", "printed"), [(1234.5, "−1,234 … 1,234"), (1.2e-9, "−1.2e−9 … 1.2e−9"), (0.0123, "−0.012 … 0.012")]
)
def test_numbers_are_short(reach, printed):
    assert ends(explanation(np.float64([[-reach, reach]] * 8) / PER), reach / PER).replace("≥ ", "") == printed


def test_one_small_region_on_a_plain_map_is_not_lost_to_the_percentiles():
    values = np.zeros((100, 100), np.float32)
    values[0, 0] = 2 / PER
    assert ends(explanation(values)) == "−2 … 2"


def test_a_map_of_zeros_has_no_colour_and_no_regions(tmp_path, artwork, written):
    flat = explanation(np.zeros((8, 8)), np.ones((8, 8), np.int32))
    for scale in (None, common_reach([flat, flat]), 0.5):
        shown = figures._Panels.make(Entry(artwork, flat, ""), PANEL, scale)
        assert (np.ptp(shown.heat.astype(int), axis=-1) == 0).all()
        drawn(tmp_path, flat, artwork, scale=scale)
    assert "No part stands out." in read(written)


@pytest.mark.parametrize("scale", [-1, 0, np.nan, np.inf])
def test_a_scale_that_is_no_range_is_refused(tmp_path, blocks, artwork, scale):
    with pytest.raises(ValueError, match="scale"):
        panels(Entry(artwork, blocks, "AI"), tmp_path / "a.png", scale=scale)
    with pytest.raises(ValueError, match="one explanation or more"):
        common_reach([])


@pytest.mark.parametrize("line", [1, 3])
def test_the_contour_has_the_colour_of_its_class_and_hides_nothing_of_the_regions(line):
    picture = np.full((64, 64, 3), 120, np.uint8)
    region_map = np.zeros((64, 64), np.int8)
    region_map[16:48, 8:28], region_map[16:48, 36:56] = 1, 2
    colours = [FOR_AI, FOR_HUMAN]
    shown = spotlight(picture, region_map, colours, line)
    assert (shown[region_map > 0] == 120).all()
    assert (shown[:4] == 40).all()  # dimmed, not black
    assert (shown[16 - line : 16, 8:28] == FOR_AI).all()
    assert (shown[16 - line : 16, 36:56] == FOR_HUMAN).all()
    assert (shown[16 - 2 * line : 16 - line, 8:28] == 255).all()
    kept = outline(picture, region_map, colours, line)
    np.testing.assert_array_equal(kept[(shown != 40).all(-1)], shown[(shown != 40).all(-1)])
    assert (picture == 120).all()


def test_the_number_of_a_region_lies_within_it():
    ring = np.zeros((40, 60), bool)
    ring[4:36, 4:56] = True
    ring[12:28, 12:48] = False
    column, row = overlay.deepest(ring)
    assert ring[row - 3 : row + 4, column - 3 : column + 4].all()
    radius = overlay.badge_radius(figures._BADGE)
    assert figures._within((2, 399), (500, 400)) == [radius, 400 - radius]
    assert figures._within((250, 200), (500, 400)) == [250, 200]


def test_a_note_stands_at_the_foot_and_changes_nothing_else(tmp_path, blocks, artwork, written):
    plain = drawn(tmp_path, blocks, artwork)
    written.clear()
    noted = drawn(tmp_path, blocks, artwork, note="These pictures are drawn. " + "No person painted them. " * 40)
    assert read(written).count("These pictures are drawn.") == 1
    above = len(plain) - figures._PAD
    np.testing.assert_array_equal(noted[:above], plain[:above])
    assert len(noted) - len(plain) == 3 * figures._TEXT.line


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_artworks_of_any_mode_are_drawn(tmp_path, blocks, artwork, mode):
    assert drawn(tmp_path, blocks, artwork.convert(mode)).shape[1:] == (WIDTH, 3)


def test_the_same_input_gives_the_same_bytes(tmp_path, blocks, artwork, monkeypatch):
    def draw(name):
        entry = Entry(artwork, blocks, "AI $x_$", "a.jpg")
        panels(entry, tmp_path / f"{name}.png")
        sheet([entry] * 3, tmp_path / f"{name}-sheet.png", title="A title")

    draw("a")
    monkeypatch.setattr("time.time", lambda: 2e9)
    draw("b")
    for kind in ("", "-sheet"):
        assert (tmp_path / f"a{kind}.png").read_bytes() == (tmp_path / f"b{kind}.png").read_bytes()
        with Image.open(tmp_path / f"a{kind}.png") as image:
            assert not image.info


@pytest.mark.parametrize("text", ["", "one", "two words", "x" * 99, "a " + "long" * 20 + " b\n\nand another line"])
def test_wrapped_text_fits_and_loses_nothing(text):
    style = Style(20)
    lines = style.wrapped(text, 130)
    assert all(style.width(line) <= 130 for line in lines)
    assert "".join(lines).replace(" ", "") == "".join(text.split())


def test_an_artwork_of_other_proportions_is_refused_but_rounding_is_not(tmp_path, blocks):
    with pytest.raises(ValueError, match="300 x 200"):
        drawn(tmp_path, blocks, Image.new("RGB", (300, 200)))
    odd = explanation(np.eye(365, 512))  # of 700 x 500, which is 365.7 x 512
    drawn(tmp_path, odd, Image.new("RGB", (700, 500)))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_sheet_of_any_number_shows_each_with_its_sentence_and_its_own_scale(
    tmp_path, artwork, blocks, written, count
):
    wide = explanation(np.repeat([0, 11], 6).reshape(3, 4) / PER, target=1)
    some = [(artwork, blocks), (Image.new("RGB", (40, 30), "white"), wide)]
    sheet(
        (Entry(*some[number % 2], f"verdict {number}\n(is AI)") for number in range(count)),
        tmp_path / "a.png",
        title="Some pictures",
    )
    texts = [text for text, _ in written]
    assert [text for text in texts if text.startswith("verdict")] == [f"verdict {number}" for number in range(count)]
    assert texts.count("(is AI)") == count
    assert texts.count("−0.9 … 0.9") == (count + 1) // 2
    assert texts.count("−11 … 11") == count // 2
    assert read(written).count("speaks for AI; the rest says little.") == (count + 1) // 2
    assert {"Some pictures", "speaks for human", "speaks for AI"} <= set(texts)


def test_a_sheet_of_one_scale_prints_it_once(tmp_path, artwork, blocks, written):
    entries = [Entry(artwork, replace(blocks, heatmap=blocks.heatmap * factor), "AI") for factor in (1, 2)]
    sheet(entries, tmp_path / "a.png", scale=0.9 / PER)
    texts = [text for text, _ in written]
    assert [texts.count(text) for text in ("−0.9", "≥ 0.9")] == [1, 1]
    assert not any("…" in text for text in texts)
    assert "All maps have the same scale." in read(written)


def test_a_sheet_of_several_methods_prints_no_unit_that_holds_for_one_alone(tmp_path, artwork, blocks, written):
    other = replace(blocks, config={"method": "smoothgrad"})
    sheet([Entry(artwork, blocks, "XRAI"), Entry(artwork, other, "SmoothGrad")], tmp_path / "a.png")
    assert not {"log-odds per 1,000 pixels", "without a unit"} & {text for text, _ in written}
    written.clear()
    sheet([Entry(artwork, blocks, "XRAI")] * 2, tmp_path / "a.png")
    assert "log-odds per 1,000 pixels" in {text for text, _ in written}


def test_a_sheet_of_nothing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="one entry or more"):
        sheet([], tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()


def test_the_entries_of_a_sheet_are_taken_one_after_the_other(tmp_path, blocks, monkeypatch):
    events, outlined = [], overlay.outline

    def entries():
        for _ in range(3):
            events.append("read")
            yield Entry(Image.new("RGB", (8, 8)), blocks, "AI")

    monkeypatch.setattr(overlay, "outline", lambda *given, **named: events.append("drawn") or outlined(*given, **named))
    sheet(entries(), tmp_path / "a.png")
    assert events == ["read", "drawn"] * 3


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
        "figures.panels(figures.Entry(Image.new('RGB', (8, 8)), found, 'AI'), Path(sys.argv[1]))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "a.png")], check=True)
