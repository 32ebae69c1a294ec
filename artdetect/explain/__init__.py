"""explain: which regions of a picture speak for its verdict, for chosen test pictures.

* `method_settings`: the list of methods; `methods`: how each works, behind one call. They use `model_score` and, for
  XRAI, `regions`.
* `explanation`: the result and its file; `map_values`: what it says at each place; `map_words`: that in words;
  `pointing`: its regions; `figures`: draws it.
* `evidence_map` and `evidence_figures`: the same for the evidence alone, in the base install.
* `quality`: whether the maps explain the model. `localisation`: whether they find a region that was pasted.
* `explained_pictures` and `summary`: pictures in files, explained once. `selection`: which test pictures the stage
  explains. `batch_job` with `result_shards`: folders with any number of pictures.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from artdetect.artifacts import file_names, leakage
from artdetect.core import paths
from artdetect.core.atomic import replacing

if TYPE_CHECKING:
    from artdetect.core.progress import Count
    from artdetect.explain.config import ExplainConfig
    from artdetect.explain.explained_pictures import ExplainedPicture
    from artdetect.explain.explanation import Explanation
    from artdetect.explain.methods.explainer import Explainer
    from artdetect.model.detector import Detector


def run(
    config: ExplainConfig,
    train_folder: Path,
    evaluate_folder: Path,
    pictures: Path,
    out: Path,
    progress: Count | None = None,
) -> None:
    """Explain chosen test pictures.

    Args:
        config: Section `explain`.
        train_folder: The artifact with the model.
        evaluate_folder: The artifact with its predictions.
        pictures: The root of the data set.
        out: The folder to write to.
        progress: Called with the numbers of maps that are there and that there will be.

    Writes:
        <name>.png, <name>.npz: the figure and the arrays of each chosen picture.
        <method>/<name>.png, <method>/<name>.npz: the same by each method of `config.beside`.
        explanations.parquet: the chosen rows of the predictions with rule and name, and `summary.MEASURES`.
        sheet.png: the first pictures on one sheet, if there are any.
        quality.json: the check of the maps, or null.
        localisation.json: whether the maps of all methods find pasted regions, see `localisation.check`, or null.
    """
    import pandas as pd

    from artdetect.explain import summary
    from artdetect.explain.explained_pictures import ExplainedPicture, title
    from artdetect.explain.selection import select
    from artdetect.model.decision import in_words
    from artdetect.model.detector import Detector

    detector = Detector.load(train_folder)
    explainers = config.explainers(detector)
    predictions = leakage.judged(pd.read_parquet(evaluate_folder / file_names.PREDICTIONS))
    rows = select(predictions, config.pictures_per_group, detector.rule.threshold)
    rows["name"] = [
        f"{number:02d}-{row.label}-{row.rule.replace(' ', '-')}" for number, row in enumerate(rows.itertuples(), 1)
    ]
    chosen = [
        ExplainedPicture(
            paths.picture(pictures, row.path),
            row.sha256,
            row.name,
            title(
                in_words(row.verdict, row.reason), row.predicted, row.p_ai, row.label, getattr(row, "native_crops", 0)
            ),
            config.class_to_explain(row.predicted),
        )
        for row in rows.itertuples(index=False)
    ]
    total = len(chosen) * len(explainers)
    measures = []
    for number, (method, explainer) in enumerate(explainers.items()):
        count = partial(_count_on, progress, number * len(chosen), total) if progress else None
        folder = out if method == config.method else out / method
        measures.append(_explain(detector, explainer, config, chosen, folder, count))
    table = rows.assign(**pd.DataFrame(measures[0], columns=list(summary.MEASURES)).astype(summary.MEASURES))
    table.to_parquet(out / file_names.EXPLANATIONS, index=False)
    files = {row.sha256: paths.picture(pictures, row.path) for row in predictions.itertuples()}
    found = summary.localisation_check(detector, explainers, config, predictions, files)
    (out / file_names.LOCALISATION).write_text(json.dumps(found, indent=1))


def _count_on(progress: Count, before: int, total: int, done: int) -> None:
    progress(before + done, total)


def _explain(
    detector: Detector,
    explainer: Explainer,
    config: ExplainConfig,
    pictures: Sequence[ExplainedPicture],
    out: Path,
    progress: Callable[[int], None] | None,
) -> list[dict[str, float | str | None]]:
    """Explain pictures by one method, and check its maps; return the `summary.measures` of each."""
    from artdetect.explain import explanation as explanations
    from artdetect.explain import figures, summary
    from artdetect.explain.explained_pictures import draw, explain

    measures = []
    for picture, explanation in zip(pictures, explain(detector, explainer, config, pictures), strict=True):
        if isinstance(explanation, Exception):
            raise explanation
        with replacing(out / f"{picture.name}.npz") as temporary:
            explanations.save(explanation, temporary)
        measures.append(summary.measures(explanation))
        if progress:
            progress(len(measures))

    def load(number: int) -> Explanation:
        return explanations.load(out / f"{pictures[number].name}.npz")

    scale = None
    if config.scale == "common" and pictures:
        scale = figures.common_reach(map(load, range(len(pictures))))
    for number, picture in enumerate(pictures):
        draw(detector, picture, load(number), out, scale)
    if explainer.settings.method == config.method:
        summary.write_sheet(detector, pictures, load, out / "sheet.png", scale)
        check = summary.cached_quality_check(detector, explainer, config, pictures, load)
        (out / file_names.QUALITY).write_text(json.dumps(check, indent=1))
    return measures
