"""The figure of a picture: nothing shifted, and legible on a phone."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from artdetect.explain import figures
from artdetect.explain.figures import LEGIBLE, NARROW, WIDTH, Entry, overlay, panels, sheet
from artdetect.explain.figures.overlay import Style, fit_size, resized, resized_regions

from .conftest import PANEL, drawn, explanation, found_in, read


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


def test_what_stands_out_of_a_mixed_picture_has_a_frame_on_the_map(tmp_path, blocks):
    entry = Entry(Image.new("RGB", (64, 64), (90, 90, 90)), blocks, "mixed", frame=(0.25, 0.5, 0.75, 1.0))
    plain, framed = (
        np.asarray(figures._Panels.make(one, PANEL, None).map()).astype(int)
        for one in (replace(entry, frame=None), entry)
    )
    rows, columns = np.nonzero(np.abs(framed - plain).sum(axis=2))
    assert (columns.min(), columns.max(), rows.min()) == (PANEL // 4, 3 * PANEL // 4, PANEL // 2)
    inside = slice(PANEL // 2 + 8, PANEL - 8), slice(PANEL // 4 + 8, 3 * PANEL // 4 - 8)
    np.testing.assert_array_equal(framed[inside], plain[inside])
    panels(entry, tmp_path / "framed.png")
    sheet([entry], tmp_path / "framed-sheet.png")
    panels(replace(entry, frame=None), tmp_path / "plain.png")
    sheet([replace(entry, frame=None)], tmp_path / "plain-sheet.png")
    for kind in ("", "-sheet"):
        assert (tmp_path / f"framed{kind}.png").read_bytes() != (tmp_path / f"plain{kind}.png").read_bytes()


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
