"""What sums up explained pictures: numbers for a table, a contact sheet, and the check of the maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.core.atomic import replacing
from artdetect.explain.explained_pictures import PACKAGES, ExplainedPicture, artwork, entry, inputs

if TYPE_CHECKING:
    import pandas as pd

    from artdetect.explain.config import ExplainConfig
    from artdetect.explain.explanation import Explanation
    from artdetect.explain.methods.explainer import Explainer
    from artdetect.model.detector import Detector

SEED = 129
MEASURES = {  # columns of a table of explanations: two in units of the score, the area of the regions, a sentence
    "score": "float64",
    "completeness_error": "float64",
    "top_share": "float64",
    "caption": "string",
}
SHEET_PICTURES = 24


def measures(explanation: Explanation) -> dict[str, float | str | None]:
    """What a table says of an explanation: `MEASURES`."""
    from artdetect.explain.figures import caption

    top_share = sum(region.area for region in explanation.regions)
    values = explanation.score, explanation.completeness_error, top_share, caption(explanation)
    return dict(zip(MEASURES, values, strict=True))


def write_sheet(
    detector: Detector,
    pictures: Sequence[ExplainedPicture],
    load: Callable[[int], Explanation],
    path: Path,
    scale: float | None = None,
) -> None:
    """Write a contact sheet of the first explained pictures, if there are any.

    Args:
        detector: The detector whose verdicts are explained.
        pictures: The explained pictures.
        load: Gives the explanation of a picture by its number in `pictures`.
        path: The PNG to write.
        scale: As in `figures.sheet`.
    """
    from artdetect.explain import figures

    entries = (entry(detector, picture, load(number)) for number, picture in enumerate(pictures[:SHEET_PICTURES]))
    if pictures:
        with replacing(path) as temporary:
            figures.sheet(entries, temporary, scale=scale)


def cached_quality_check(
    detector: Detector,
    explainer: Explainer,
    config: ExplainConfig,
    pictures: Sequence[ExplainedPicture],
    load: Callable[[int], Explanation],
) -> dict[str, Any] | None:
    """Check the maps of up to `config.quality_pictures` of the explained pictures, drawn at random.

    The result is cached in data/cache, because the check costs more than the explanations.

    Args:
        detector: The detector whose verdicts are explained.
        explainer: The explainer that made the explanations.
        config: The settings.
        pictures: The explained pictures.
        load: Gives the explanation of a picture by its number in `pictures`.

    Returns:
        `Quality.as_dict()` and how to read it; `measured_by`, the settings of the method and a digest of the code; and
        `sample`, sha256 and explained class of each picture. None where no picture is checked.
    """
    import numpy as np

    from artdetect.core import digests, json_cache
    from artdetect.explain import quality

    numbers = _sample(pictures, config.quality_pictures)
    if not numbers:
        return None
    sample = [pictures[number] for number in numbers]
    recipe = {
        "model": detector.digest,
        "explainer": explainer.config,
        "pictures": [[picture.sha256, picture.target] for picture in sample],
        "code": [digests.code_digests(name) for name in ("artdetect.explain.quality", type(explainer).__module__)],
        "packages": digests.versions(PACKAGES),
        "seed": SEED,
    }

    def check() -> dict[str, Any]:
        explanations = [load(number) for number in numbers]
        images = np.stack(list(inputs(detector, sample)))
        artworks = [artwork(detector, explainer, config, picture) for picture in sample]
        result = quality.check(explainer, images, explanations, seed=SEED, artworks=artworks)
        return result.as_dict() | {"read_me": quality.HOW_TO_READ}

    return json_cache.cached_json("quality", recipe, check) | {
        "measured_by": {"settings": explainer.config, "code": digests.value_digest(recipe["code"])},
        "sample": recipe["pictures"],
    }


def localisation_check(
    detector: Detector,
    explainers: Mapping[str, Explainer],
    config: ExplainConfig,
    predictions: pd.DataFrame,
    files: Mapping[str, Path],
) -> dict[str, Any] | None:
    """Check with spliced test pictures whether the maps find a region of the other class.

    Args:
        detector: The detector that all explainers were made for.
        explainers: Name -> explainer, the chosen method first.
        config: The settings.
        predictions: The predictions of the test pictures.
        files: sha256 -> file of each test picture.

    Returns:
        The result of `localisation.check`; None where `config.localisation` is 0.
    """
    from artdetect.explain import localisation
    from artdetect.pictures.splices import parents

    if not config.localisation:
        return None
    pixels = localisation.pixels_of(detector.geometry, files)
    return localisation.check(
        detector.digest, explainers, parents(predictions), pixels, count=config.localisation, seed=SEED
    )


def _sample(pictures: Sequence[ExplainedPicture], size: int) -> list[int]:
    """The numbers of `size` pictures of different content, drawn by content: a few more pictures hardly change it."""
    from artdetect.core import digests

    numbers = {picture.sha256: number for number, picture in reversed([*enumerate(pictures)])}
    order = sorted(numbers, key=lambda sha256: digests.value_digest([SEED, sha256]))
    return sorted(numbers[sha256] for sha256 in order[:size])
