"""Checks maps against ground truth: does the map of the pasted class find the region that was pasted?

`artdetect.pictures.splices` makes the pictures, `metrics` compares map and region. It takes any explainer and any
model. A map is right here if it finds what the *model* could use: the pasted part is of the other class as a whole, so
its texture everywhere speaks for that class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from artdetect.core import digests, json_cache
from artdetect.explain.localisation import metrics
from artdetect.explain.quality import deletion_insertion
from artdetect.pictures import content_draw, images
from artdetect.pictures.labels import CLASSES
from artdetect.pictures.splices import EDGES, SHAPES, SIZES, Splice, draw, shortage, spliced
from artdetect.stats.bootstrap import mean_interval

if TYPE_CHECKING:
    from pathlib import Path

    from artdetect.explain.explanation import Explanation
    from artdetect.explain.methods.explainer import Explainer
    from artdetect.pictures.images import Geometry

HOW_TO_READ = (
    "A map finds the pasted regions if its AUC lies clearly above 0.5, above that of noise, and above that of its "
    "controls, in which a part of the same class was pasted and nothing is to be found."
)
FEW = 5  # one in so many splices is explained by a method that takes many passes
CURVES = 8  # splices whose true region is removed and added
CURVE_STEPS = 13
PACKAGES = ("keras", "numba", "numpy", "onnxruntime", "pillow", "scikit-image", "scipy", "tensorflow")
_DIRECTIONS = ("AI in human", "human in AI")  # by the class of the donor
_CODE = ("artdetect.explain.localisation", "artdetect.pictures.splices")

Pixels = Callable[[str], NDArray[np.uint8]]  # sha256 -> canonical picture, uint8 [S, S, 3]
Row = dict[str, Any]
Stream = Callable[[Iterable[NDArray[np.float32]], Iterable[int]], "Iterable[Explanation]"]


def pixels_of(geometry: Geometry, files: Mapping[str, Path]) -> Pixels:
    """A function that gives canonical pictures, from the pixel cache where they are in it.

    Args:
        geometry: How pictures become canonical.
        files: sha256 -> file.
    """
    from artdetect.pictures.pixel_cache import PixelCache

    cache = PixelCache(geometry)
    return lambda sha256: cache.load(sha256, files[sha256])


def check(
    model: str,
    explainers: Mapping[str, Explainer],
    parents: tuple[Sequence[str], Sequence[str]],
    pixels: Pixels,
    *,
    count: int,
    seed: int,
) -> dict[str, Any]:
    """Measure how well the maps of some methods find pasted regions, beside noise and beside controls.

    The results are cached in data/cache by model, method, splices and code.

    Args:
        model: The digest of the model that all explainers were made for.
        explainers: Name -> explainer. The first one's maps are also compared with the true region by deletion and
            insertion.
        parents: The contents to make splices of, AI and human, see `artdetect.pictures.splices.parents`.
        pixels: Gives their pictures.
        count: The most splices; methods of many passes get one in `FEW`, and no controls.
        seed: The seed.

    Returns:
        JSON values: `reason`, why nothing could be checked, or None; `splices`, how many; `parents`, how many of each
        class; `seed`; `chance`, the metrics of a map that knows nothing; `rows`, one for each method, see `summary`,
        with `measured_by`, the settings of the method and a digest of the code, and `pasted`, each splice and its AUC;
        `curves`, of the first method, see `_curves`, or None; `read_me`.
    """
    available = {name: len(set(contents)) for name, contents in zip(CLASSES, parents, strict=True)}
    splices = draw(*parents, count, seed)
    found: dict[str, Any] = {
        "reason": shortage(*(available[name] for name in CLASSES)),
        "splices": len(splices) // 2,
        "parents": available,
        "seed": seed,
        "chance": None,
        "rows": [],
        "curves": None,
        "read_me": HOW_TO_READ,
    }
    if not splices:
        return found
    for name, explainer in explainers.items():
        chosen = splices if explainer.settings.one_pass else splices[::2][: max(2, len(splices) // 2 // FEW)]
        values = measured(model, explainer, chosen, pixels)
        found["rows"].append(
            {
                "method": name,
                "label": explainer.settings.label,
                **summary(chosen, values, seed),
                "measured_by": {"settings": explainer.config, "code": digests.value_digest(_code(explainer))},
                "pasted": [
                    {**asdict(splice), "auc": row["auc"]}
                    for splice, row in zip(chosen, values, strict=True)
                    if not splice.control
                ],
            }
        )
    area = float(np.mean([splice.mask(64).mean() for splice in splices[::2]]))
    found["chance"] = metrics.expected_by_chance(area)
    found["curves"] = _cached_curves(model, next(iter(explainers.values())), splices, pixels, seed)
    return found


def measured(model: str, explainer: Explainer, splices: Sequence[Splice], pixels: Pixels) -> list[Row]:
    """How well each splice's region is found, cached.

    Args:
        model: The digest of the model.
        explainer: The method, made for that model.
        splices: The splices, of which the maps of `target` are measured.
        pixels: As for `check`.

    Returns:
        For each splice `area`, the share of the picture that was pasted; `metrics.METRICS` of the map; and `noise`, the
        same of `metrics.uninformed`.
    """

    def compute() -> list[Row]:
        return [score(*found) for found in explained(explainer.stream, splices, pixels)]

    return json_cache.cached_json("localisation", _recipe(model, explainer, splices), compute)


def explained(
    stream: Stream, splices: Sequence[Splice], pixels: Pixels
) -> Iterator[tuple[Splice, NDArray[np.bool_], Explanation]]:
    """Each splice with its region and the explanation of its target.

    Args:
        stream: `Explainer.stream`, or what takes pictures and targets as it does.
        splices: The splices.
        pixels: As for `check`.
    """
    masks: list[NDArray[np.bool_]] = []  # of the pictures that were read ahead

    def pictures() -> Iterator[NDArray[np.float32]]:
        for splice in splices:
            picture, mask = spliced(splice, pixels(splice.base), pixels(splice.donor))
            masks.append(mask)
            yield images.to_input(picture)

    for splice, explanation in zip(splices, stream(pictures(), (one.target for one in splices)), strict=True):
        yield splice, masks.pop(0), explanation


def score(splice: Splice, mask: NDArray[np.bool_], explanation: Explanation) -> Row:
    """How well a map finds the region of a splice, see `measured`."""
    noise = metrics.uninformed(explanation, _noise_draw(splice))
    maps = (deletion_insertion.normalised_map(values, mask.shape) for values in (explanation.heatmap, noise))
    own, other = (metrics.measures(heatmap, mask) for heatmap in maps)
    return {"area": float(mask.mean()), **own, "noise": other}


def summary(splices: Sequence[Splice], values: Sequence[Row], seed: int) -> dict[str, Any]:
    """The means of a method's results.

    Args:
        splices: The splices, each with its control after it, as `splices.draw` returns them, or without.
        values: The results of `measured` for them.
        seed: Seed of the bootstrap over pictures.

    Returns:
        `splices`, N; `auc`, `pointing` and `iou`, each with value, low and high; `noise` and `controls`, which have the
        same three; `above_noise` and `above_controls`, the paired difference of the AUC; and `groups`, each with `by`
        (size, edge, region or direction), `name`, `splices` and the three. What has no value is None.
    """
    given = list(zip(splices, values, strict=True))
    pasted = [splice for splice in splices if not splice.control]
    rows, controls = ([row for splice, row in given if splice.control is control] for control in (False, True))
    names: dict[str, list[str]] = {
        "size": [next(name for _, end, name in SIZES if row["area"] < end) for row in rows],
        "edge": [splice.edge for splice in pasted],
        "region": [splice.shape for splice in pasted],
        "direction": [_DIRECTIONS[splice.target] for splice in pasted],
    }
    order: dict[str, list[str]] = {
        "size": [name for *_, name in SIZES],
        "edge": [*EDGES],
        "region": [*SHAPES],
        "direction": [*_DIRECTIONS],
    }
    groups = []
    for by, each in names.items():
        for name in sorted(set(each), key=order[by].index):
            members = [row for row, group in zip(rows, each, strict=True) if group == name]
            groups.append({"by": by, "name": name, "splices": len(members), **_means(members, seed)})
    return {
        "splices": len(rows),
        **_means(rows, seed),
        "noise": _means([row["noise"] for row in rows], seed),
        "controls": _means(controls, seed),
        "above_noise": _difference(rows, [row["noise"] for row in rows], seed),
        "above_controls": _difference(rows, controls, seed) if controls else None,
        "groups": groups,
    }


def _means(rows: Sequence[Row], seed: int) -> dict[str, Any]:
    return {name: mean_interval([row[name] for row in rows], seed) for name in metrics.METRICS}


def _difference(rows: Sequence[Row], others: Sequence[Row], seed: int) -> dict[str, float | None] | None:
    return mean_interval([row["auc"] - other["auc"] for row, other in zip(rows, others, strict=True)], seed, -1, 1)


def _cached_curves(
    model: str, explainer: Explainer, splices: Sequence[Splice], pixels: Pixels, seed: int
) -> dict[str, Any]:
    chosen = splices[: 2 * CURVES : 2]
    recipe = _recipe(model, explainer, chosen) | {"steps": CURVE_STEPS}
    return json_cache.cached_json("localisation-curves", recipe, lambda: _curves(explainer, chosen, pixels, seed))


def _curves(explainer: Explainer, splices: Sequence[Splice], pixels: Pixels, seed: int) -> dict[str, Any]:
    """Deletion and insertion of the true region beside the map and noise: what these two say of the truth itself.

    Returns:
        `splices`, N; and `rows`, each with `name` and `deletion_margin` and `insertion_margin`, see
        `deletion_insertion_auc`, with their intervals.
    """
    rows: dict[str, list[dict[str, float]]] = {}
    for splice, mask, explanation in explained(explainer.stream, splices, pixels):
        picture = images.to_input(spliced(splice, pixels(splice.base), pixels(splice.donor))[0])
        draw = _noise_draw(splice)
        maps = {
            "explanation": (explanation.heatmap, explanation.ranks),
            "true region": (mask.astype(np.float32), None),
            "noise": (metrics.uninformed(explanation, draw), None),
        }
        orders = {name: deletion_insertion.pixel_order(*heatmap, mask.shape, draw) for name, heatmap in maps.items()}
        areas, _ = deletion_insertion.deletion_insertion_auc(
            explainer.score, picture, splice.target, orders, CURVE_STEPS
        )
        for name, values in areas.items():
            rows.setdefault(name, []).append(values)
    measures = ("deletion_margin", "insertion_margin")
    return {
        "splices": len(splices),
        "rows": [
            {"name": name}
            | {measure: mean_interval([one[measure] for one in each], seed, -np.inf, np.inf) for measure in measures}
            for name, each in rows.items()
        ],
    }


def _noise_draw(splice: Splice) -> np.random.Generator:
    return content_draw.generator(f"localisation noise {splice.seed} {splice.control}", splice.base)


def _recipe(model: str, explainer: Explainer, splices: Sequence[Splice]) -> dict[str, Any]:
    """What the results on some splices depend on."""
    return {
        "model": model,
        "explainer": explainer.config,
        "splices": [asdict(splice) for splice in splices],
        "pixels": images.CACHE_VERSION,
        "code": _code(explainer),
        "packages": digests.versions(PACKAGES),
    }


def _code(explainer: Explainer) -> list[dict[str, str]]:
    return [digests.code_digests(name) for name in (*_CODE, type(explainer).__module__)]
