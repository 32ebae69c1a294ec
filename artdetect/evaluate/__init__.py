"""evaluate: the test set, once, after everything was chosen on validation."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from artdetect.core import json_cache, paths
from artdetect.core.progress import Progress, with_label
from artdetect.evaluate.config import EvaluateConfig

if TYPE_CHECKING:
    import pandas as pd

    from artdetect.model.detector import Detector, Scores

INDEX_COLUMNS = ("width", "height", "bytes", "format", "mode", "jpeg_quality", "has_exif", "contrast")  # of the index


def run(
    config: EvaluateConfig,
    index_folder: Path,
    balance_folder: Path,
    train_folder: Path,
    pictures: Path,
    out: Path,
    progress: Progress | None = None,
) -> None:
    """Write what a sceptic would ask of the test pictures.

    predictions.parquet: path, sha256, label, style, generator, then what `judged` adds; sorted by path.
    metrics.json: `metrics.summary`; by_size, as by_style; slices and slices_tried (`slices.find`); baselines
        (`baselines.baselines`); mistakes (`mistakes.mistakes`); attribution (`attribution.attribution`) where the
        detector knows generator families; robustness (`robustness.robustness`) unless it is off.
    robustness.parquet: sha256, label, condition, p_ai, called, verdict, unless it is off.
    mistakes.png: the mistakes, if there are any.

    The model may have learnt from other pictures than this balance's, such as a champion from before pictures came in.
    `pictures` is the data set's root; `progress(done, all, what)` is called along the way.
    """
    import pandas as pd

    from artdetect.evaluate import (
        baselines,
        generator_attribution,
        metrics,
        robustness,
        slice_discovery,
        subgroups,
        worst_errors,
    )
    from artdetect.model import cached_scores
    from artdetect.model.detector import Detector
    from artdetect.pictures.pixel_cache import PixelCache

    table = pd.read_parquet(balance_folder / "balance.parquet")
    index = pd.read_parquet(index_folder / "index.parquet", columns=["path", *INDEX_COLUMNS]).set_index("path")
    test = table[table.split == "test"].drop(columns=["split", "group", "weight"]).reset_index(drop=True)
    train = table[table.split == "train"]
    learnt = baselines.training_sample(train)
    detector = Detector.load(train_folder)
    pixels = PixelCache(detector.geometry)
    used = pd.concat([test, learnt])
    pixels.ensure(
        [(row.sha256, paths.picture(pictures, row.path)) for row in used.itertuples()],
        with_label(progress, "decoding pictures"),
    )

    scores = cached_scores.scores(detector, pixels, list(test.sha256), progress=with_label(progress, "test pictures"))
    test = add_predictions(test, detector, scores)
    test.to_parquet(out / "predictions.parquet", index=False)
    facts = index.loc[test.path].reset_index()
    drawn, threshold = (config.resamples, config.seed), detector.rule.threshold
    result = metrics.summary(test, *drawn, threshold)
    result["by_size"] = subgroups.accuracy_by(test.assign(size=subgroups.size_bin(facts)), "size")
    result |= slice_discovery.find(test, facts)
    tables = (index_folder / "index.parquet", balance_folder / "balance.parquet")
    of_files = index.loc[[*learnt.path, *test.path]]
    result["baselines"] = json_cache.cached_json(
        "baselines",
        baselines.cache_key(tables, pixels, *drawn),
        lambda: baselines.baselines(learnt, test, of_files, pixels, *drawn, with_label(progress, "baselines")),
    )
    wrong = worst_errors.worst(test, threshold)
    embedding = None if scores.embedding is None else scores.embedding[wrong.index]
    result["mistakes"] = worst_errors.worst_errors(wrong, embedding, table, train_folder)
    worst_errors.write_sheet(wrong, result["mistakes"], table, pictures, out / "mistakes.png")
    if detector.families:
        result["attribution"] = generator_attribution.generator_attribution(test, detector.families)
    sample = robustness.sample(test, config.robustness, config.seed)
    if len(sample):
        result["robustness"], conditions = robustness.robustness_table(
            detector, pixels, sample, *drawn, with_label(progress, "robustness")
        )
        conditions.to_parquet(out / "robustness.parquet", index=False)
    (out / "metrics.json").write_text(json.dumps(result, indent=1, allow_nan=False))


def add_predictions(table: "pd.DataFrame", detector: "Detector", scores: "Scores") -> "pd.DataFrame":
    """The table with p_ai; verdict (AI, human or unsure) and called, the class it leans to; and where the model says so
    novelty, and family and family_p: the generator family that it would be if it is AI, "other" where none is likely.
    """
    table = table.assign(
        p_ai=scores.p_ai,
        called=detector.rule.called(scores.p_ai),
        verdict=detector.rule.verdicts(scores.p_ai, scores.novelty),
    )
    if scores.novelty is not None:
        table["novelty"] = scores.novelty
    if scores.generators is not None:
        table["family"], table["family_p"] = detector.attributed(scores)
    return table
