"""explain: chosen test pictures, by rule, with the check of their maps."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.core import paths
from artdetect.core.progress import Count
from artdetect.explain.config import ExplainConfig
from artdetect.explain.explained_pictures import (
    PACKAGES,
    ExplainedPicture,
    artwork,
    draw,
    explain,
    inputs,
    replacing,
    shown,
    title,
)

if TYPE_CHECKING:
    from artdetect.explain.explanation import Explanation
    from artdetect.explain.methods.explainer import Explainer
    from artdetect.model.detector import Detector

__all__ = ["ExplainConfig", "run"]

SEED = 129
MEASURED = ("score", "completeness_error", "top_share")  # in units of the score, the same, share of the area
SHEET = 24  # pictures on a contact sheet


def run(
    config: ExplainConfig,
    train_folder: Path,
    evaluate_folder: Path,
    pictures: Path,
    out: Path,
    progress: Count | None = None,
) -> None:
    """Write, for each chosen test picture, `<name>.png` (three panels) and `<name>.npz`, and `explanations.parquet`.

    The table has the chosen rows of the predictions with rule, name, the explained score, the completeness error and
    the real share of the top regions. Beside it `sheet.png`, the first on one sheet, and `quality.json`, the check.
    `pictures` is the data set's root.
    """
    import pandas as pd

    from artdetect.explain import explanation as explanations
    from artdetect.explain import figures
    from artdetect.explain.selection import select
    from artdetect.model.detector import Detector
    from artdetect.pictures.labels import CLASSES

    detector = Detector.load(train_folder)
    explainer = config.explainer(detector)
    predictions = pd.read_parquet(evaluate_folder / "predictions.parquet")
    chosen = select(predictions, config.per_rule, detector.rule.threshold)
    chosen["name"] = [
        f"{number:02d}-{row.label}-{row.rule.replace(' ', '-')}" for number, row in enumerate(chosen.itertuples(), 1)
    ]
    subjects = [
        ExplainedPicture(
            paths.picture(pictures, row.path),
            row.sha256,
            row.name,
            title(row.verdict, row.called, row.p_ai, row.label),
            CLASSES.index(row.called),
        )
        for row in chosen.itertuples(index=False)
    ]
    numbers = []
    for subject, one in zip(subjects, explain(detector, explainer, config, subjects), strict=True):
        if isinstance(one, Exception):
            raise one
        draw(detector, subject, one, out)
        numbers.append(measured(one))
        if progress:
            progress(len(numbers), len(subjects))

    def found(number: int) -> Explanation:
        return explanations.load(out / f"{subjects[number].name}.npz")

    scale = None
    if config.common_scale and subjects:
        scale = figures.common_range(map(found, range(len(subjects))))
        for number, subject in enumerate(subjects):
            draw(detector, subject, found(number), out, scale)
    table = chosen.assign(**pd.DataFrame(numbers, columns=MEASURED, dtype="float64"))
    table.to_parquet(out / "explanations.parquet", index=False)
    sheet(detector, subjects, found, out / "sheet.png", scale)
    answer = cached_quality_check(detector, explainer, config, subjects, found)
    (out / "quality.json").write_text(json.dumps(answer, indent=1))


def measured(one: Explanation) -> dict[str, float | None]:
    """What a table says of an explanation: `MEASURED`."""
    return dict(zip(MEASURED, (one.score, one.completeness_error, float(one.top_mask().mean())), strict=True))


def sheet(
    detector: Detector,
    subjects: Sequence[ExplainedPicture],
    found: Callable[[int], Explanation],
    path: Path,
    scale: tuple[float, float] | None = None,
) -> None:
    """A contact sheet of the first explained pictures, if there are any; `found` gives the explanation by number."""
    from artdetect.explain import figures

    entries = (
        (shown(detector, subject), found(number), subject.title) for number, subject in enumerate(subjects[:SHEET])
    )
    if subjects:
        with replacing(path) as temporary:
            figures.sheet(entries, temporary, scale=scale)


def cached_quality_check(
    detector: Detector,
    explainer: Explainer,
    config: ExplainConfig,
    subjects: Sequence[ExplainedPicture],
    found: Callable[[int], Explanation],
) -> dict[str, Any] | None:
    """What `quality.check` says of up to `config.quality` of the explained pictures, drawn by lot; None if of none.

    Kept in data/cache, since it costs more than the explanations themselves.
    """
    import numpy as np

    from artdetect.core import digests, json_cache
    from artdetect.explain import quality
    from artdetect.explain.explanation import Explanations

    lot = _lot(subjects, config.quality)
    if not lot:
        return None
    some = [subjects[number] for number in lot]
    recipe = {
        "model": detector.digest,
        "explainer": explainer.config,
        "pictures": [[subject.sha256, subject.target] for subject in some],
        "code": [digests.code_digests(name) for name in ("artdetect.explain.quality", type(explainer).__module__)],
        "packages": digests.versions(PACKAGES),
        "seed": SEED,
    }

    def check() -> dict[str, Any]:
        batch = Explanations([found(number) for number in lot], explainer.config)
        pictures = np.stack(list(inputs(detector, some)))
        artworks = [artwork(detector, config, subject) for subject in some]
        found_out = quality.check(explainer, pictures, batch, seed=SEED, artworks=artworks)
        return found_out.as_dict() | {"read_me": quality.HOW_TO_READ}

    return json_cache.cached_json("quality", recipe, check)


def _lot(subjects: Sequence[ExplainedPicture], size: int) -> list[int]:
    """The numbers of `size` subjects of different content, drawn by lot: a few more subjects hardly change it."""
    from artdetect.core import digests

    numbers = {subject.sha256: number for number, subject in reversed([*enumerate(subjects)])}
    return sorted(
        numbers[sha256] for sha256 in sorted(numbers, key=lambda one: digests.value_digest([SEED, one]))[:size]
    )
