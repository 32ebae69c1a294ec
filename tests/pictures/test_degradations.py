"""Each degradation has its effect, and none with neutral parameters."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from artdetect.pictures import degradations

Pixels = np.ndarray
IDENTITIES: dict[str, Callable[[Pixels], Pixels]] = {
    "saved as PNG": lambda x: degradations.save(x, "PNG"),
    "rescaled by 1": lambda x: degradations.rescale(x, 1.0, "box", "lanczos"),
    "noise of 0": lambda x: degradations.noise(x, 0.0, np.random.default_rng(1)),
    "cropped to the whole": lambda x: degradations.crop(x, 1.0, 0.3, 0.9),
    "cropped to the whole at its own scale": lambda x: degradations.crop_native(x, 1.0, 0.3, 0.9),
    "unchanged colours": lambda x: degradations.colour(x, 1, 1, 1),
}
CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    "JPEG": lambda x: degradations.save(x, "JPEG", 30),
    "WebP": lambda x: degradations.save(x, "WEBP", 30),
    "rescaled": lambda x: degradations.rescale(x, 0.25, "lanczos", "nearest"),
    "blurred": lambda x: degradations.blur(x, 1.0),
    "noisy": lambda x: degradations.noise(x, 0.05, np.random.default_rng(1)),
    "cropped": lambda x: degradations.crop(x, 0.6, 1.0, 0.0),
    "cropped at its own scale": lambda x: degradations.crop_native(x, 0.25, 0.5, 0.5),
    "recoloured": lambda x: degradations.colour(x, 0.7, 1.3, 0.8),
    "grey": lambda x: degradations.colour(x, 1, 1, 0),
}


@pytest.fixture(scope="module")
def picture() -> Pixels:
    """Smooth colours with some grain."""
    rng = np.random.default_rng(4)
    colours = Image.fromarray(rng.integers(40, 216, (6, 6, 3), np.uint8)).resize((64, 64), Image.Resampling.BICUBIC)
    return (np.asarray(colours) + rng.integers(-8, 9, (64, 64, 3))).clip(0, 255).astype(np.uint8)


def distance(one: Pixels, other: Pixels) -> float:
    """The root mean square difference."""
    return float(np.sqrt(np.square(one.astype(float) - other).mean()))


@pytest.mark.parametrize("side", [32, 64])
@pytest.mark.parametrize("name", [*IDENTITIES, *CHANGES])
def test_pixels_stay_canonical_and_the_input_is_unchanged(name: str, side: int, picture: Pixels) -> None:
    given = np.ascontiguousarray(picture[:side, :side][:, ::-1])[:, ::-1]  # a mirrored view of an array
    before = given.copy()
    found = (IDENTITIES | CHANGES)[name](given)
    assert (found.dtype, found.shape) == (np.uint8, (side, side, 3))
    np.testing.assert_array_equal(given, before)
    assert (distance(found, given) == 0) == (name in IDENTITIES)


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
def test_a_lower_quality_is_further_away(format: str, picture: Pixels) -> None:
    errors = [distance(degradations.save(picture, format, quality), picture) for quality in (10, 30, 60, 95)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 2 * errors[-1]


@pytest.mark.parametrize("filter", degradations.FILTERS)
def test_a_smaller_scale_is_further_away_with_any_filter(filter: str, picture: Pixels) -> None:
    errors = [distance(degradations.rescale(picture, factor, filter, filter), picture) for factor in (0.25, 0.5, 0.9)]
    assert errors == sorted(errors, reverse=True)


def test_a_wider_blur_leaves_less_grain(picture: Pixels) -> None:
    grain = [np.diff(degradations.blur(picture, sigma).astype(float), axis=1).std() for sigma in (0.3, 1.0, 2.0)]
    assert grain == sorted(grain, reverse=True)


def test_noise_has_the_given_deviation_and_is_independent() -> None:
    grey = np.full((128, 128, 3), 128, np.uint8)
    added = degradations.noise(grey, 0.05, np.random.default_rng(2)).astype(float) - 128
    assert added.mean() == pytest.approx(0, abs=0.2)
    assert added.std() == pytest.approx(0.05 * 255, rel=0.02)
    assert np.abs(np.corrcoef(added.reshape(-1, 3).T) - np.eye(3)).max() < 0.03
    assert abs(np.corrcoef(added[:, 1:].ravel(), added[:, :-1].ravel())[0, 1]) < 0.03


def test_noise_does_not_wrap_around() -> None:
    white = np.full((64, 64, 3), 255, np.uint8)
    assert degradations.noise(white, 0.05, np.random.default_rng(3)).min() > 150


@pytest.mark.parametrize(("left", "top"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_a_crop_is_at_the_given_position(left: int, top: int) -> None:
    quarters = np.zeros((64, 64, 3), np.uint8)
    quarters[32 * top : 32 * top + 32, 32 * left : 32 * left + 32] = 200
    for cut in (degradations.crop, degradations.crop_native):
        assert (cut(quarters, 0.5, left, top) == 200).all()


@pytest.mark.parametrize("share", [0.1, 0.4, 0.77, 0.9])
def test_a_native_crop_is_the_window_mirrored_at_its_edges(share: float) -> None:
    places = np.indices((64, 64), np.uint8)
    numbered = np.stack([*places, places[0]], axis=-1)  # every pixel holds its position
    found = degradations.crop_native(numbered, share, 0.5, 1.0)
    rows, columns = (np.unique(found[..., axis]) for axis in (0, 1))
    window = max(8, round(64 * share))
    np.testing.assert_array_equal(rows, np.arange(64 - window, 64))
    assert len(columns) == window
    assert (np.abs(np.diff(found[..., 0].astype(int), axis=0)) <= 1).all()
    assert (np.abs(np.diff(found[..., 1].astype(int), axis=1)) <= 1).all()


def test_zero_saturation_gives_grey_of_the_same_brightness(picture: Pixels) -> None:
    grey = degradations.colour(picture, 1, 1, 0)
    assert (np.ptp(grey.astype(int), axis=-1) == 0).all()
    np.testing.assert_array_equal(grey[..., 0], np.asarray(Image.fromarray(picture).convert("L")))


def test_colour_factors_change_brightness_contrast_and_saturation(picture: Pixels) -> None:
    assert degradations.colour(picture, 0.7, 1, 1).mean() == pytest.approx(0.7 * picture.mean(), abs=1)
    assert degradations.colour(picture, 1, 1.3, 1).std() > picture.std() > degradations.colour(picture, 1, 0.7, 1).std()
    spread = [
        np.ptp(degradations.colour(picture, 1, 1, factor).astype(int), axis=-1).mean() for factor in (0.7, 1, 1.3)
    ]
    assert spread == sorted(spread)
