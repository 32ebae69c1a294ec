"""One read of a file gives all its metadata, and a bad file is a row with a reason."""

import hashlib
import io
import os

import numpy as np
import pytest
from PIL import Image, JpegPresets

from artdetect.index.file_metadata import contrast, file_metadata, jpeg_quality, phash, thumbnail


def drawn(width=96, height=64, seed=0):
    """A smooth, asymmetric picture with a little noise, another for every seed."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 255, (6, 8, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    return Image.fromarray(np.clip(smooth + random.integers(-6, 6, smooth.shape), 0, 255).astype(np.uint8))


@pytest.fixture
def saved(tmp_path):
    """Writes a picture to a file and returns its path."""

    def save(picture, name, **options):
        picture.save(tmp_path / name, **options)
        return tmp_path / name

    return save


def test_the_metadata_of_a_jpeg(saved):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(drawn(), "a.jpg", quality=83, exif=exif)
    row = file_metadata(path)
    assert row["bytes"] == path.stat().st_size
    assert row["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (row["width"], row["height"]) == (64, 96)  # as displayed: orientation 6 is turned by 90 degrees
    assert (row["format"], row["mode"], row["jpeg_quality"]) == ("JPEG", "RGB", 83)
    assert (row["has_exif"], row["animated"], row["ok"], row["error"]) == (True, False, True, None)
    assert len(row["phash"]) == 16


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp"])
def test_sizes_are_as_displayed(saved, orientation, name):
    exif = Image.Exif()
    exif[0x0112] = orientation
    row = file_metadata(saved(drawn(), name, exif=exif))
    assert (row["width"], row["height"]) == ((64, 96) if orientation >= 5 else (96, 64))


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.gif", "a.bmp", "a.tif", "a.avif"])
def test_other_formats_have_no_jpeg_quality(saved, name):
    row = file_metadata(saved(drawn(), name))
    assert row["ok"]
    assert row["format"] == {"tif": "TIFF"}.get(name[2:], name[2:].upper())
    assert row["jpeg_quality"] is None
    assert not row["has_exif"]


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "I;16"])
def test_the_mode_is_the_stored_one(saved, mode):
    picture = drawn().convert("L") if mode == "I;16" else drawn().convert(mode)
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture).astype(np.uint16) * 257)
    assert file_metadata(saved(picture, "a.png"))["mode"] == mode


def test_a_large_jpeg_keeps_its_own_size_and_mode(saved):
    row = file_metadata(saved(drawn(900, 700), "a.jpg"))
    assert (row["width"], row["height"], row["mode"]) == (900, 700, "RGB")


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_animations_are_reported(saved, name):
    frames = [drawn(seed=1), drawn(seed=2)]
    assert file_metadata(saved(frames[0], name, save_all=True, append_images=frames[1:]))["animated"]
    assert not file_metadata(saved(frames[0], f"still-{name}"))["animated"]


def test_a_phones_two_picture_jpeg_is_not_an_animation(saved):
    row = file_metadata(saved(drawn(), "a.mpo", save_all=True, append_images=[drawn(seed=1)], quality=90))
    assert (row["format"], row["animated"], row["jpeg_quality"], row["ok"]) == ("MPO", False, 90, True)


def test_exif_behind_the_pixels_of_a_png_is_detected(saved, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 8
    data = saved(drawn(), "a.png", exif=exif).read_bytes()
    at = data.index(b"eXIf") - 4
    end = at + 12 + int.from_bytes(data[at : at + 4], "big")
    moved = data[:at] + data[end:-12] + data[at:end] + data[-12:]
    (tmp_path / "b.png").write_bytes(moved)
    row = file_metadata(tmp_path / "b.png")
    assert (row["has_exif"], row["width"], row["height"]) == (True, 64, 96)


def test_camera_exif_in_a_tiff_is_detected(saved):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x829A] = 0.5
    exif[0x8769] = 0
    assert file_metadata(saved(drawn(), "a.tif", exif=exif))["has_exif"]


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
@pytest.mark.parametrize("quality", [30, 50, 75, 90, 95, 100])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_jpeg_quality_is_the_one_saved_with(saved, quality, options, mode):
    assert file_metadata(saved(drawn().convert(mode), "a.jpg", quality=quality, **options))["jpeg_quality"] == quality


@pytest.mark.parametrize("quality", range(3, 101))
def test_every_quality_above_two_is_distinguished_from_its_neighbours(saved, quality):
    assert file_metadata(saved(drawn(16, 16), "a.jpg", quality=quality))["jpeg_quality"] == quality


@pytest.mark.parametrize("preset", JpegPresets.presets)
def test_photoshops_own_tables_have_no_ijg_quality(saved, preset):
    assert (
        file_metadata(saved(drawn(), "a.jpg", qtables=JpegPresets.presets[preset]["quantization"]))["jpeg_quality"]
        is None
    )


def test_nearly_standard_tables_are_matched(saved):
    with Image.open(saved(drawn(), "a.jpg", quality=75)) as picture:
        tables = dict(picture.quantization)
    tables[0] = [value + (index % 16 == 0) for index, value in enumerate(tables[0])]
    assert jpeg_quality(tables) == 75
    assert jpeg_quality({0: [16] * 64, 1: [16] * 64}) is None
    assert jpeg_quality({0: [16] * 10}) is None


@pytest.mark.parametrize("progressive", [False, True])
def test_a_truncated_jpeg_is_noticed_at_any_length(saved, tmp_path, progressive):
    # Sides of 256 px and more are decoded at an eighth of the size, but to the end.
    data = saved(drawn(600, 520), "whole.jpg", progressive=progressive).read_bytes()
    path = tmp_path / "cut.jpg"
    for length in {*range(1, len(data), len(data) // 40), *range(len(data) - 40, len(data) - 2)}:
        path.write_bytes(data[:length])
        row = file_metadata(path)
        assert (row["ok"], row["phash"]) == (False, None)
        assert row["error"].startswith(("truncated", "the header", "damaged", "not a picture"))
        assert row["bytes"] == length
        assert row["sha256"] == hashlib.sha256(data[:length]).hexdigest()
    assert row["width"] == 600  # from the header, which is complete


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.gif", "a.bmp", "a.tif", "a.avif"])
def test_other_truncated_pictures_are_noticed(saved, tmp_path, name):
    data = saved(drawn(), name).read_bytes()
    for part in (0.1, 0.5, 0.9):
        (tmp_path / "cut").write_bytes(data[: int(len(data) * part)])
        assert not file_metadata(tmp_path / "cut")["ok"]


@pytest.mark.parametrize(
    ("data", "error"),
    [(b"", "the file is empty"), (b"<html><body>Not found</body></html>", "web page"), (b"text", "not a picture")],
)
def test_bad_files_are_rows_with_a_reason(tmp_path, data, error):
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    row = file_metadata(path)
    assert error in row["error"]
    assert str(tmp_path) not in row["error"]  # the index must not depend on the place of the data
    assert (row["ok"], row["bytes"], row["sha256"]) == (False, len(data), hashlib.sha256(data).hexdigest())


def test_unreadable_files_are_rows_with_a_reason(tmp_path, saved, monkeypatch):
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "nowhere")
    forbidden = saved(drawn(), "forbidden.jpg")
    forbidden.chmod(0)
    for name, error in (
        ("folder.jpg", "not a regular file"),
        ("dangling.jpg", "no such file"),
        ("none.jpg", "no such file"),
    ):
        row = file_metadata(tmp_path / name)
        assert (row["ok"], row["bytes"], row["sha256"]) == (False, None, None)
        assert error in row["error"]
    if os.geteuid() != 0:  # root may read picture_files
        assert "permission denied" in file_metadata(forbidden)["error"]


def test_a_fault_of_the_machine_is_not_blamed_on_the_picture(saved, monkeypatch):
    path = saved(drawn(), "a.jpg")

    def too_many_open_files(self):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(type(path), "read_bytes", too_many_open_files)
    with pytest.raises(OSError, match="Too many open files"):
        file_metadata(path)


def distance(a, b):
    return (int(a, 16) ^ int(b, 16)).bit_count()


def test_phash_is_stable_under_saving_again_and_small_resizes(saved):
    for seed in range(10):
        picture = drawn(300, 200, seed)
        original = file_metadata(saved(picture, "a.png"))["phash"]
        near = [file_metadata(saved(picture, "b.jpg", quality=quality))["phash"] for quality in (40, 75, 95)] + [
            file_metadata(saved(picture.resize(size), "c.jpg"))["phash"]
            for size in ((290, 193), (150, 100), (600, 400))
        ]
        assert max(distance(original, other) for other in near) <= 6


def test_phash_distinguishes_different_pictures():
    hashes = [phash(thumbnail(drawn(seed=seed))) for seed in range(40)]
    distances = [distance(a, b) for index, a in enumerate(hashes) for b in hashes[:index]]
    assert min(distances) > 12
    assert 28 < np.mean(distances) < 36


def test_phash_of_a_flat_picture_is_zero():
    for colour in (0, 77, 255):
        flat = thumbnail(Image.new("RGB", (50, 40), (colour,) * 3))
        assert (phash(flat), contrast(flat)) == ("0" * 16, 0.0)


def test_phash_follows_the_upright_picture(saved):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = drawn().transpose(Image.Transpose.ROTATE_90)
    assert file_metadata(saved(turned, "a.png", exif=exif))["phash"] == file_metadata(saved(drawn(), "b.png"))["phash"]


def test_the_same_bytes_give_the_same_metadata(tmp_path):
    file = io.BytesIO()
    drawn().save(file, "JPEG")
    rows = []
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(file.getvalue()[:-200])
        rows.append(file_metadata(tmp_path / name))
    assert rows[0] == rows[1]
