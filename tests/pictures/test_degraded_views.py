"""A view depends on the content of the picture and its number, and on nothing else."""

import hashlib
import inspect

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from artdetect.pictures import degradations, degraded_views

Pixels = np.ndarray

NUMBERS = range(1, 13)


def picture(seed: int, side: int = 32) -> tuple[Pixels, str]:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    return pixels, hashlib.sha256(pixels.tobytes()).hexdigest()


def test_view_0_is_the_picture_itself() -> None:
    pixels, sha256 = picture(1)
    assert degraded_views.degraded_view(pixels, sha256, 0) is pixels


@pytest.mark.parametrize("side", [32, 224])
def test_every_view_is_canonical_different_and_reproducible(side: int) -> None:
    pixels, sha256 = picture(1, side)
    before, distinct = pixels.copy(), set()
    for number in NUMBERS:
        view = degraded_views.degraded_view(pixels, sha256, number)
        assert (view.dtype, view.shape, view.flags.c_contiguous) == (np.uint8, pixels.shape, True)
        np.testing.assert_array_equal(degraded_views.degraded_view(pixels.copy(), sha256, number), view)
        distinct.add(view.tobytes())
    np.testing.assert_array_equal(pixels, before)
    assert len(distinct) == len(NUMBERS)


def test_a_view_depends_on_content_and_number_only() -> None:
    """Above all not on the label: traces of degradation must not distinguish the classes."""
    pixels, sha256 = picture(1)
    assert list(inspect.signature(degraded_views.degraded_view).parameters) == ["pixels", "sha256", "number"]
    _, other = picture(2)
    differ = [
        (degraded_views.degraded_view(pixels, sha256, n) != degraded_views.degraded_view(pixels, other, n)).any()
        for n in NUMBERS
    ]
    assert all(differ)


def test_views_take_one_to_three_steps_uniformly_and_half_are_mirrored(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[list[int]] = []
    mirrored = 0

    def recorder(number: int) -> "degraded_views.Step":
        def step(pixels: Pixels, rng: np.random.Generator) -> Pixels:
            rng.random()
            taken[-1].append(number)
            return pixels

        return step

    steps = len(degraded_views.DEGRADATIONS)
    monkeypatch.setattr(degraded_views, "DEGRADATIONS", tuple(map(recorder, range(steps))))
    uploads: list[int] = []
    monkeypatch.setattr(degraded_views, "_upload", lambda pixels, rng: uploads.append(len(taken)) or pixels)
    pixels, _ = picture(1, 8)
    for n in range(600):
        taken.append([])
        mirrored += bool((degraded_views.degraded_view(pixels, f"{n // 2:064x}", 1 + n % 2) != pixels).any())
    counts = np.bincount(np.concatenate(taken).astype(int), minlength=steps)
    assert counts == pytest.approx(np.full(steps, 600 * 2 / steps), abs=50)  # more than four standard deviations
    assert np.bincount([len(chain) for chain in taken])[1:] == pytest.approx([200] * 3, abs=50)
    assert all(len(set(chain)) == len(chain) for chain in taken)
    firsts = np.bincount([chain[0] for chain in taken], minlength=steps)
    assert firsts == pytest.approx(np.full(steps, 100), abs=40)
    assert mirrored == pytest.approx(300, abs=50)
    assert set(uploads) == set(range(1, 601))  # every view is saved, and three in ten twice
    assert len(uploads) - 600 == pytest.approx(180, abs=50)


def test_the_history_of_a_file_does_not_show_in_its_views() -> None:
    """A class whose files were all saved as poor JPEGs: the edges of their blocks give it away, but in no view."""

    def edges(pixels: Pixels) -> float:
        steps = np.abs(np.diff(pixels.astype(float), axis=1)).mean(axis=(0, 2))
        return float(steps[7::8].mean() / steps.mean())

    rng = np.random.default_rng(0)
    clean, views = [], []
    for number in range(120):
        small = Image.fromarray(rng.integers(0, 256, (14, 14, 3), np.uint8))
        pixels = np.asarray(small.resize((112, 112), Image.Resampling.BICUBIC))
        if number % 2:
            pixels = degradations.save(pixels, "JPEG", 40)
        clean.append(edges(pixels))
        views.append(edges(degraded_views.degraded_view(pixels, f"{number:064x}", 1)))
    poor = np.arange(120) % 2
    assert roc_auc_score(poor, clean) > 0.95
    assert 0.35 < roc_auc_score(poor, views) < 0.65


@pytest.mark.parametrize("step", degraded_views.DEGRADATIONS)
def test_every_step_is_random_and_accepts_the_smallest_allowed_pictures(
    step: "degraded_views.Step",
) -> None:
    pixels, _ = picture(1, 10)
    results = [step(pixels, np.random.default_rng(seed)) for seed in range(30)]
    assert {(result.dtype, result.shape) for result in results} == {(np.dtype(np.uint8), pixels.shape)}
    assert len({result.tobytes() for result in results}) > 12
