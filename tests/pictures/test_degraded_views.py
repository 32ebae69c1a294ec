"""A view is made by the picture's content and its number, and by nothing else."""

import hashlib
import inspect

import numpy as np
import pytest

from artdetect.pictures import degraded_views

Pixels = np.ndarray

NUMBERS = range(1, 13)


def picture(seed: int, side: int = 32) -> tuple[Pixels, str]:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    return pixels, hashlib.sha256(pixels.tobytes()).hexdigest()


def test_view_0_is_the_picture_itself() -> None:
    pixels, sha256 = picture(1)
    assert degraded_views.degraded_view(pixels, sha256, 0) is pixels


@pytest.mark.parametrize("side", [32, 224])
def test_every_view_is_a_canonical_picture_of_its_own_and_the_same_again(side: int) -> None:
    pixels, sha256 = picture(1, side)
    before, seen = pixels.copy(), set()
    for number in NUMBERS:
        view = degraded_views.degraded_view(pixels, sha256, number)
        assert (view.dtype, view.shape, view.flags.c_contiguous) == (np.uint8, pixels.shape, True)
        np.testing.assert_array_equal(degraded_views.degraded_view(pixels.copy(), sha256, number), view)
        seen.add(view.tobytes())
    np.testing.assert_array_equal(pixels, before)
    assert len(seen) == len(NUMBERS)


def test_a_view_is_drawn_anew_for_other_content_and_knows_of_nothing_else() -> None:
    """Above all not of the label: what was done to a picture must not tell the classes apart."""
    pixels, sha256 = picture(1)
    assert list(inspect.signature(degraded_views.degraded_view).parameters) == ["pixels", "sha256", "number"]
    _, other = picture(2)
    differ = [
        (degraded_views.degraded_view(pixels, sha256, n) != degraded_views.degraded_view(pixels, other, n)).any()
        for n in NUMBERS
    ]
    assert all(differ)


def test_one_to_three_steps_each_as_often_in_any_order_and_half_are_mirrored(monkeypatch: pytest.MonkeyPatch) -> None:
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
    pixels, _ = picture(1, 8)
    for n in range(600):
        taken.append([])
        mirrored += bool((degraded_views.degraded_view(pixels, f"{n // 2:064x}", 1 + n % 2) != pixels).any())
    counts = np.bincount(np.concatenate(taken).astype(int), minlength=steps)
    assert counts == pytest.approx(np.full(steps, 600 * 2 / steps), abs=50)  # over four standard deviations
    assert np.bincount([len(chain) for chain in taken])[1:] == pytest.approx([200] * 3, abs=50)
    assert all(len(set(chain)) == len(chain) for chain in taken)
    firsts = np.bincount([chain[0] for chain in taken], minlength=steps)
    assert firsts == pytest.approx(np.full(steps, 100), abs=40)
    assert mirrored == pytest.approx(300, abs=50)


@pytest.mark.parametrize("step", degraded_views.DEGRADATIONS)
def test_every_step_draws_what_it_does_and_takes_pictures_as_small_as_the_config_allows(
    step: "degraded_views.Step",
) -> None:
    pixels, _ = picture(1, 10)
    made = [step(pixels, np.random.default_rng(seed)) for seed in range(30)]
    assert {(made.dtype, made.shape) for made in made} == {(np.dtype(np.uint8), pixels.shape)}
    assert len({made.tobytes() for made in made}) > 12
