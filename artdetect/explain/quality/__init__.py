"""Whether explanations explain: each measure beside controls that know nothing of what the model has learnt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artdetect.explain.explanation import Explanations
from artdetect.explain.methods.explainer import Artwork, Explainer, Segments, as_array, at_least, check_image
from artdetect.explain.methods.xrai import XRAI
from artdetect.explain.quality.deletion_insertion import (
    END_STATES,
    correlation,
    deletion_insertion_auc,
    normalised_map,
    pixel_order,
)
from artdetect.explain.quality.parameter_randomisation import randomised_model, rebuilt_for
from artdetect.stats import bootstrap
from artdetect.stats.confidence_intervals import CONFIDENCE

HOW_TO_READ = (
    "A map explains the model if its deletion is lower and its insertion higher than those of random pixels, of noise "
    "and of the randomised model, by more than chance, and if it hardly correlates with the randomised model's map."
)
EXPLANATION, RANDOM, NOISE, RANDOMISED = ROWS = ("explanation", "random pixels", "XRAI of noise", "randomised model")
AREAS = ("deletion", "insertion", "deletion_margin", "insertion_margin", "aic", "sic")
RESAMPLES = 2000

Values = dict[str, list[float]]  # of a row: measure -> one a picture, NaN where it has none
Maps = dict[str, tuple[NDArray, NDArray | None]]  # of a picture: row -> heatmap and ranks


@dataclass(frozen=True)
class Quality:
    """What `check` found.

    Args:
        pictures, seed, steps: N, and what was asked for.
        config: The explainer's.
        completeness_error: The mean over the pictures, in units of the score; None where the method promises none.
        mean_abs_score: The mean size of the explained score, to hold the error against.
        probability: The explained class's, the mean over the pictures, of them in `full`, as their `mean colour` and
            `blurred`. Where these are alike, deletion and insertion cannot tell a good map from a bad one.
        rows: In the order of `ROWS`, each a dict with

            * `name`;
            * `deletion`, `insertion`, `aic`, `sic`, in [0, 1]: value, low and high, the mean over the pictures with its
              95 % interval, None for one picture; the whole is None where it was not taken;
            * `deletion_margin`, `insertion_margin`, the same of the logit margin, where the probability is saturated;
            * `correlation`, the same, with the randomised model's maps; None in their own row;
            * `difference`, None in the explanations' own row: by how much their areas exceed those of this control on
              the same pictures, each with `better` besides: whether the interval lies on the good side of 0;
            * `left_out`: how many pictures have no such measure: flat maps have no correlation, and pictures that tell
              no more than their blurred self have no aic and sic.
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
        """JSON values; numbers are finite."""
        return asdict(self) | {"rows": list(self.rows)}


def check(
    explainer: Explainer,
    images: NDArray[np.float32],
    explanations: Explanations,
    *,
    seed: int,
    steps: int = 25,
    information: bool = False,
    artworks: Sequence[Artwork] | None = None,
    segments: Sequence[Segments] | None = None,
) -> Quality:
    """Measures the explanations of a batch beside controls.

    Deletion is the area under the explained class's probability while pixels are replaced by the picture's mean colour,
    insertion that while a strongly blurred picture gets its pixels back, both the most important pixels first and over
    the share of pixels (Petsiuk et al. 2018, arXiv 1806.07421). The correlation is Spearman's, without its sign, with
    the map of a model whose weights are shuffled (Adebayo et al. 2018, arXiv 1810.03292). AIC and SIC: `information`.

    The controls: pixels in random order; for XRAI its regions ranked by noise; and the same method on the model with
    shuffled weights. `explainer.model` alone is asked for probabilities, in its batches; one picture is worked on at a
    time.

    Args:
        explainer: What made `explanations`.
        images: float32 [N, H, W, 3] in [0, 1], as the model takes them.
        explanations: Of these pictures. Heatmaps of another size are brought to the pictures' by area averaging.
        seed: Of all that is random; 0 or more.
        steps: Points of a curve with both ends; 2 or more.
        information: Whether to take AIC and SIC too, which cost about a third as much again.
        artworks, segments: What the explanations were made with: XRAI's controls get their regions from them.

    Raises:
        ModelError: The model's output is not finite, or that of the model with shuffled weights.
        TypeError: The explainer cannot be made again for another model.
        ValueError: N is 0 or not the number of explanations, or another argument is not what it must be.
    """
    for name, given in (("explanations", explanations), ("artworks", artworks), ("segments", segments)):
        if not len(images) or (given is not None and len(given) != len(images)):
            raise ValueError(
                f"`{name}` must be one for each picture, of 1 or more. "
                f"Received: {len(given or ())} for {len(images)} pictures"
            )
    at_least("steps", steps, 2)
    for image in images:
        check_image(image, explainer.score.input_shape)
    table: dict[str, Values] = {}
    ends = []
    for number, maps in enumerate(_maps(explainer, images, explanations, seed, artworks, segments)):
        draw, size = np.random.default_rng([seed, 3, number]), images.shape[1:3]
        orders = {name: pixel_order(heatmap, ranks, size, draw) for name, (heatmap, ranks) in maps.items()}
        found, of_ends = deletion_insertion_auc(
            explainer.score, images[number], explanations[number].target, orders, steps, information
        )
        ends.append(of_ends)
        heights = {name: normalised_map(heatmap, size) for name, (heatmap, _) in maps.items()}
        for name in found.keys() - {RANDOMISED}:
            found[name]["correlation"] = correlation(heights[name], heights[RANDOMISED])
        for name, row in found.items():
            for measure, value in row.items():
                table.setdefault(name, {}).setdefault(measure, []).append(value)
    errors = explanations.completeness_error
    return Quality(
        len(images),
        seed,
        steps,
        explainer.config,
        float(errors.mean()) if np.isfinite(errors).all() else None,
        float(np.abs(explanations.scores).mean()),
        {name: float(np.mean([one[name] for one in ends])) for name in END_STATES},
        tuple(_row(name, table, seed) for name in ROWS if name in table),
    )


def _maps(
    explainer: Explainer,
    images: NDArray[np.float32],
    explanations: Explanations,
    seed: int,
    artworks: Sequence[Artwork] | None,
    segments: Sequence[Segments] | None,
) -> Iterator[Maps]:
    """For each picture, heatmap and ranks of each row."""
    unlearnt = rebuilt_for(explainer, randomised_model(explainer.model, seed))
    others = unlearnt.stream(images, explanations.targets, artworks, segments)
    for number, (explanation, other) in enumerate(zip(explanations, others, strict=True)):
        image, draw = images[number], np.random.default_rng([seed, 2, number])
        maps: Maps = {EXPLANATION: (explanation.heatmap, explanation.ranks)}
        maps[RANDOM] = draw.random(image.shape[:2], np.float32), None
        if isinstance(explainer, XRAI):
            noise = draw.standard_normal(image.shape, np.float32)
            artwork = None if artworks is None else as_array(artworks[number])
            maps[NOISE] = explainer.ranked(noise, image, artwork, None if segments is None else segments[number])
        maps[RANDOMISED] = other.heatmap, other.ranks
        yield maps


def mean_interval(
    values: Sequence[float] | NDArray, seed: int, least: float = 0, most: float = 1
) -> dict[str, float | None] | None:
    """The mean of values in [`least`, `most`] with its 95 % interval, which one value has not; None where all are NaN.

    The wider of the percentile bootstrap's and Student's: the first is too narrow for a handful of pictures.
    """
    from scipy.special import stdtrit

    finite = np.array(values)[np.isfinite(values)]
    if len(finite) < 2:
        return {"value": float(finite[0]), "low": None, "high": None} if len(finite) else None
    drawn = bootstrap.intervals(
        lambda counts: {"mean": counts @ finite / len(finite)}, np.zeros(len(finite), bool), RESAMPLES, seed
    )["mean"]
    reach = stdtrit(len(finite) - 1, (1 + CONFIDENCE) / 2) * finite.std(ddof=1) / np.sqrt(len(finite))
    low, high = min(drawn["low"], finite.mean() - reach), max(drawn["high"], finite.mean() + reach)
    return {"value": float(finite.mean()), "low": float(max(low, least)), "high": float(min(high, most))}


def _row(name: str, table: dict[str, Values], seed: int) -> dict[str, Any]:
    values, explained = table[name], table[EXPLANATION]
    return {
        "name": name,
        **{each: mean_interval(values.get(each, ()), seed, *_bounds(each)) for each in (*AREAS, "correlation")},
        "difference": None
        if name == EXPLANATION
        else {area: _difference(area, explained[area], values[area], seed) for area in AREAS if area in values},
        "left_out": {measure: int(np.isnan(each).sum()) for measure, each in values.items()},
    }


def _difference(area: str, values: Sequence[float], controls: Sequence[float], seed: int) -> dict[str, Any] | None:
    found = mean_interval(np.subtract(values, controls), seed, -_bounds(area)[1], _bounds(area)[1])
    if found is None or found["low"] is None or found["high"] is None:
        return found and {**found, "better": None}
    return {**found, "better": bool(found["high"] < 0 if area.startswith("deletion") else found["low"] > 0)}


def _bounds(measure: str) -> tuple[float, float]:
    """Between what values of a measure lie."""
    return (-np.inf, np.inf) if measure.endswith("_margin") else (0, 1)


def markdown(found: dict[str, Any]) -> list[str]:
    """The lines of a table of `Quality.as_dict()`, with the sentence how to read it."""
    heads = [
        "map",
        "deletion (low)",
        "insertion (high)",
        "correlation (low)",
        "explanation less it: deletion",
        "insertion",
    ]
    lines = [HOW_TO_READ, "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in found["rows"]:
        values = [row[name] for name in ("deletion_margin", "insertion_margin", "correlation")]
        values += [(row["difference"] or {}).get(name) for name in ("deletion_margin", "insertion_margin")]
        lines.append(f"| {' | '.join([row['name'], *map(_cell, values)])} |")
    return lines


def _cell(value: dict[str, float | None] | None) -> str:
    if value is None:
        return "–"
    interval = "" if value["low"] is None else f" ({value['low']:.2f} to {value['high']:.2f})"
    return f"{value['value']:.2f}{interval}".replace("-", "−")
