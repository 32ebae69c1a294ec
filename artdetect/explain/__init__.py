"""explain: which regions of a picture speak for its verdict, for chosen test pictures.

* `method_settings`: the list of methods; `methods`: how each works, behind one call. They use `model_score` and, for
  XRAI, `regions`.
* `explanation`: the result and its file; `figures`: draws it.
* `quality`: whether the maps explain the model.
* `explained_pictures` and `summary`: pictures in files, explained once. `selection`: which test pictures the stage
  explains. `batch_job` with `result_shards`: folders with any number of pictures.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from artdetect.artifacts import file_names
from artdetect.core import paths

if TYPE_CHECKING:
    from artdetect.core.progress import Count
    from artdetect.explain.config import ExplainConfig
    from artdetect.explain.explanation import Explanation


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
        progress: Called with the numbers of explained and of chosen pictures.

    Writes:
        <name>.png, <name>.npz: the figure and the arrays of each chosen picture.
        explanations.parquet: the chosen rows of the predictions with rule and name, and `summary.MEASURES`.
        sheet.png: the first pictures on one sheet, if there are any.
        quality.json: the check of the maps, or null.
    """
    import pandas as pd

    from artdetect.explain import explanation as explanations
    from artdetect.explain import figures, summary
    from artdetect.explain.explained_pictures import ExplainedPicture, draw, explain, title
    from artdetect.explain.selection import select
    from artdetect.model.detector import Detector

    detector = Detector.load(train_folder)
    explainer = config.explainer(detector)
    predictions = pd.read_parquet(evaluate_folder / file_names.PREDICTIONS)
    rows = select(predictions, config.pictures_per_group, detector.rule.threshold)
    rows["name"] = [
        f"{number:02d}-{row.label}-{row.rule.replace(' ', '-')}" for number, row in enumerate(rows.itertuples(), 1)
    ]
    chosen = [
        ExplainedPicture(
            paths.picture(pictures, row.path),
            row.sha256,
            row.name,
            title(row.verdict, row.reason, row.predicted, row.p_ai, row.label, getattr(row, "native_crops", 0)),
            config.class_to_explain(row.predicted),
        )
        for row in rows.itertuples(index=False)
    ]
    measures = []
    for picture, explanation in zip(chosen, explain(detector, explainer, config, chosen), strict=True):
        if isinstance(explanation, Exception):
            raise explanation
        draw(detector, picture, explanation, out)
        measures.append(summary.measures(explanation))
        if progress:
            progress(len(measures), len(chosen))

    def load(number: int) -> Explanation:
        return explanations.load(out / f"{chosen[number].name}.npz")

    scale = None
    if config.scale == "common" and chosen:
        scale = figures.common_range(map(load, range(len(chosen))))
        for number, picture in enumerate(chosen):
            draw(detector, picture, load(number), out, scale)
    table = rows.assign(**pd.DataFrame(measures, columns=summary.MEASURES, dtype="float64"))
    table.to_parquet(out / file_names.EXPLANATIONS, index=False)
    summary.write_sheet(detector, chosen, load, out / "sheet.png", scale)
    check = summary.cached_quality_check(detector, explainer, config, chosen, load)
    (out / file_names.QUALITY).write_text(json.dumps(check, indent=1))
