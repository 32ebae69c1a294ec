"""Checks whether maps explain the model: each measure stands beside controls that know nothing of what it learned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artdetect.explain.explanation import Explanation
from artdetect.explain.method_settings import at_least
from artdetect.explain.methods.artworks import Artwork, as_array
from artdetect.explain.methods.explainer import Explainer, check_image
from artdetect.explain.methods.xrai import XRAI
from artdetect.explain.quality.deletion_insertion import (
    END_STATES,
    correlation,
    deletion_insertion_auc,
    normalised_map,
    pixel_order,
)
from artdetect.explain.quality.parameter_randomisation import randomised_model, rebuilt_for
from artdetect.stats.bootstrap import mean_interval

HOW_TO_READ = (
    "A map explains the model if its deletion is lower and its insertion higher than those of random pixels, of noise "
    "and of the randomised model, by more than chance, and if it hardly correlates with the randomised model's map. "
    "Insertion does not agree with the truth of spliced pictures, and deletion not reliably."
)
EXPLANATION, RANDOM, NOISE, RANDOMISED = ROWS = ("explanation", "random pixels", "XRAI of noise", "randomised model")
AREAS = ("deletion", "insertion", "deletion_margin", "insertion_margin")

Values = dict[str, list[float]]  # of a row: measure -> one per picture, NaN where it has none
Maps = dict[str, tuple[NDArray, NDArray | None]]  # of a picture: row -> heatmap and ranks


@dataclass(frozen=True)
class Quality:
    """The result of `check`.

    Args:
        pictures: How many were checked, N.
        seed: The seed that `check` was given.
        steps: The number of points of a curve that `check` was given.
        config: The explainer's settings.
        completeness_error: The mean over the pictures, in units of the score; None where completeness does not hold.
        mean_abs_score: The mean absolute score, to compare the error with.
        probability: The mean probability of the explained class for the `full` pictures, their `mean colour` and
            their `blurred` versions. Where these are alike, deletion and insertion cannot tell a good map from a bad
            one.
        rows: In the order of `ROWS`, each a dict with

            * `name`;
            * `deletion`, `insertion`, in [0, 1]: value, low and high, the mean over the pictures with its 95 %
              interval, which is None for one picture; the whole is None where no picture has the measure;
            * `deletion_margin`, `insertion_margin`: the same for the logit margin, which still moves where the
              probability is saturated;
            * `correlation`: the same, with the maps of the randomised model; None in that model's own row;
            * `difference`, None in the row of the explanations: their areas minus those of this control on the same
              pictures, each with `better` besides: whether the interval lies on the good side of 0;
            * `left_out`: how many pictures do not have a measure, by measure: flat maps have no correlation.
    """

    pictures: int
    seed: int
    steps: int
    config: dict[str, Any]
    completeness_error: float | None
    mean_abs_score: float
    probability: dict[str, float]
    rows: tuple[dict[str, Any], ...]

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON values; numbers are finite."""
        return asdict(self) | {"rows": list(self.rows)}


def check(
    explainer: Explainer,
    images: NDArray[np.float32],
    explanations: Sequence[Explanation],
    *,
    seed: int,
    steps: int = 25,
    artworks: Sequence[Artwork | None] | None = None,
) -> Quality:
    """Measure the explanations of a batch beside controls.

    Deletion is the area under the probability of the explained class while pixels are replaced by the mean colour of
    the picture; insertion is that while a strongly blurred picture gets its pixels back. Both take the most important
    pixels first, and the curve runs over the share of pixels (Petsiuk et al. 2018, arXiv 1806.07421). The correlation
    is Spearman's, without its sign, with the map of a model whose weights are shuffled (Adebayo et al. 2018, arXiv
    1810.03292).

    The controls are pixels in random order; for XRAI its regions ranked by noise; and the same method on the model with
    shuffled weights. Probabilities come from `explainer.model` alone, in its batches, one picture at a time.

    Args:
        explainer: The explainer that made `explanations`.
        images: float32 [N, H, W, 3] in [0, 1], as the model takes them.
        explanations: The explanations of these pictures. Heatmaps of another size are resized by area averaging.
        seed: Seed of all that is random; 0 or more.
        steps: Points of a curve with both ends; 2 or more.
        artworks: The artworks that the explanations were made with: XRAI's controls take their regions from them.

    Raises:
        ModelError: The output of the model, or of the model with shuffled weights, is not finite.
        TypeError: The explainer cannot be made again for another model.
        ValueError: N is 0 or not the number of explanations, or another argument is not valid.
    """
    for name, values in (("explanations", explanations), ("artworks", artworks)):
        if not len(images) or (values is not None and len(values) != len(images)):
            raise ValueError(
                f"`{name}` must be one for each picture, of 1 or more. "
                f"Received: {len(values or ())} for {len(images)} pictures"
            )
    at_least("steps", steps, 2)
    for image in images:
        check_image(image, explainer.score.input_shape)
    table: dict[str, Values] = {}
    ends = []
    for number, maps in enumerate(_maps(explainer, images, explanations, seed, artworks)):
        draw, size = np.random.default_rng([seed, 3, number]), images.shape[1:3]
        orders = {name: pixel_order(heatmap, ranks, size, draw) for name, (heatmap, ranks) in maps.items()}
        measures, end_probabilities = deletion_insertion_auc(
            explainer.score, images[number], explanations[number].target, orders, steps
        )
        ends.append(end_probabilities)
        normalised = {name: normalised_map(heatmap, size) for name, (heatmap, _) in maps.items()}
        for name in measures.keys() - {RANDOMISED}:
            measures[name]["correlation"] = correlation(normalised[name], normalised[RANDOMISED])
        for name, row in measures.items():
            for measure, value in row.items():
                table.setdefault(name, {}).setdefault(measure, []).append(value)
    errors = np.array([explanation.completeness_error for explanation in explanations], np.float64)
    scores = np.array([explanation.score for explanation in explanations], np.float64)
    return Quality(
        len(images),
        seed,
        steps,
        explainer.config,
        float(errors.mean()) if np.isfinite(errors).all() else None,
        float(np.abs(scores).mean()),
        {name: float(np.mean([one[name] for one in ends])) for name in END_STATES},
        tuple(_row(name, table, seed) for name in ROWS if name in table),
    )


def _maps(
    explainer: Explainer,
    images: NDArray[np.float32],
    explanations: Sequence[Explanation],
    seed: int,
    artworks: Sequence[Artwork | None] | None,
) -> Iterator[Maps]:
    """For each picture, heatmap and ranks of each row."""
    randomised = rebuilt_for(explainer, randomised_model(explainer.model, seed))
    targets = np.array([explanation.target for explanation in explanations], np.int64)
    controls = randomised.stream(images, targets, artworks)
    for number, (explanation, control) in enumerate(zip(explanations, controls, strict=True)):
        image, draw = images[number], np.random.default_rng([seed, 2, number])
        maps: Maps = {EXPLANATION: (explanation.heatmap, explanation.ranks)}
        maps[RANDOM] = draw.random(image.shape[:2], np.float32), None
        if isinstance(explainer, XRAI):
            noise = draw.standard_normal(image.shape, np.float32)
            artwork = None if artworks is None else as_array(artworks[number])
            maps[NOISE] = explainer.rank_regions(noise, image, artwork)
        maps[RANDOMISED] = control.heatmap, control.ranks
        yield maps


def _row(name: str, table: dict[str, Values], seed: int) -> dict[str, Any]:
    values, explained = table[name], table[EXPLANATION]
    return {
        "name": name,
        **{each: mean_interval(values.get(each, ()), seed, *_bounds(each)) for each in (*AREAS, "correlation")},
        "difference": None
        if name == EXPLANATION
        else {area: _difference(area, explained[area], values[area], seed) for area in AREAS},
        "left_out": {measure: int(np.isnan(each).sum()) for measure, each in values.items()},
    }


def _difference(area: str, values: Sequence[float], controls: Sequence[float], seed: int) -> dict[str, Any] | None:
    bound = _bounds(area)[1]
    difference = mean_interval(np.subtract(values, controls), seed, -bound, bound)
    if difference is None or difference["low"] is None or difference["high"] is None:
        return difference and {**difference, "better": None}
    better = difference["high"] < 0 if area.startswith("deletion") else difference["low"] > 0
    return {**difference, "better": bool(better)}


def _bounds(measure: str) -> tuple[float, float]:
    """The lowest and the highest possible value of a measure."""
    return (-np.inf, np.inf) if measure.endswith("_margin") else (0, 1)
