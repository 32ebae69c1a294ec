"""evaluate: scores the test set once, after everything was chosen on the validation set."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.artifacts import file_names, leakage
from artdetect.core import json_cache, paths
from artdetect.core.errors import DataError
from artdetect.core.progress import Progress, with_label
from artdetect.evaluate.config import EvaluateConfig
from artdetect.pictures.labels import CLASSES
from artdetect.pictures.native_crops import is_large

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from artdetect.model.detector import Detector
    from artdetect.model.scores import Scores

INDEX_COLUMNS = ("width", "height", "bytes", "format", "mode", "jpeg_quality", "has_exif", "contrast")


def run(
    config: EvaluateConfig,
    index_folder: Path,
    audit_folder: Path,
    balance_folder: Path,
    train_folder: Path,
    pictures: Path,
    out: Path,
    progress: Progress | None = None,
) -> None:
    """Score the test pictures and write predictions, metrics, baselines, robustness and the worst errors.

    The test set is used for measuring alone: nothing here is chosen or fitted on it. The model may have been trained on
    other pictures than this balance's, for example a champion from before new pictures arrived. Test pictures that its
    file, or that of a model whose weights it started from, lists as training pictures are scored but not judged, and
    so are near-duplicates of them.

    predictions.parquet: path, sha256, label, style, generator, source and the columns of `add_predictions`; in_training
        (bool), True for a picture that is not judged; sorted by path.
    metrics.json: in_training, the number of these pictures; training_known, whether all training pictures of the model
        are known; of the others, `metrics.summary`; verdicts (`selective_prediction.verdicts`); by_source and by_size,
        in the form of by_style; slices and slices_tried (`slice_discovery.find`); baselines; worst_errors;
        generator_attribution where the detector knows generator families; robustness (`robustness.robustness_table`)
        unless it is off.
    robustness.parquet: sha256, label, condition, p_ai, predicted, verdict, unless robustness is off.
    worst_errors.png: a contact sheet, unless there are no errors.

    Args:
        config: The section `evaluate`.
        index_folder: The index artifact.
        audit_folder: The audit artifact of that index.
        balance_folder: The balance artifact; its split "test" is scored.
        train_folder: The model's artifact.
        pictures: The data set's root.
        out: The folder to write to.
        progress: Called with (done, total, what).

    Raises:
        DataError: No test picture of one class can be judged.
    """
    import pandas as pd

    from artdetect.evaluate import (
        baselines,
        generator_attribution,
        metrics,
        robustness,
        selective_prediction,
        slice_discovery,
        subgroups,
        worst_errors,
    )
    from artdetect.model import cached_scores
    from artdetect.model.detector import Detector
    from artdetect.pictures.pixel_cache import PixelCache
    from artdetect.stats.bootstrap import Bootstrap

    tables = (index_folder / file_names.INDEX, balance_folder / file_names.BALANCE)
    index = pd.read_parquet(tables[0], columns=["path", *INDEX_COLUMNS]).set_index("path")
    balance = pd.read_parquet(tables[1])
    test = balance[balance.split == "test"].drop(columns=["split", "group", "weight"]).reset_index(drop=True)
    train = baselines.training_sample(balance[balance.split == "train"])
    detector = Detector.load(train_folder)
    pixels = PixelCache(detector.geometry)
    pixels.ensure(
        [(row.sha256, paths.picture(pictures, row.path)) for row in pd.concat([test, train]).itertuples()],
        with_label(progress, "decoding pictures"),
    )

    crops = cached_scores.crop_cache(detector)
    if crops is not None:
        files = [(row.sha256, paths.picture(pictures, row.path)) for row in test.itertuples()]
        crops.ensure(files, with_label(progress, "native crops"))

    count = with_label(progress, "test pictures")
    scores = cached_scores.scores(detector, pixels, list(test.sha256), progress=count, crops=crops)
    metadata = index.loc[test.path].reset_index()
    sides = metadata[["width", "height"]].min(axis=1).to_numpy()
    scored = add_predictions(test, detector, scores, sides, pixels.contrasts(list(test.sha256)))
    trained_on = leakage.training_contents(train_folder, None)
    in_training = scored.sha256.isin(leakage.near_duplicates_of(index_folder, audit_folder, trained_on))
    scored[file_names.IN_TRAINING] = in_training
    scored.to_parquet(out / file_names.PREDICTIONS, index=False)
    test, metadata = leakage.judged(scored), metadata[~in_training].reset_index(drop=True)
    _check_classes(test)

    bootstrap, threshold = Bootstrap(config.bootstrap_resamples, config.seed), detector.rule.threshold
    result: dict[str, Any] = {
        file_names.IN_TRAINING: int(in_training.sum()),
        "training_known": leakage.are_known(train_folder, None),
        **metrics.summary(test, bootstrap, threshold),
    }
    result["verdicts"] = selective_prediction.verdicts(test, bootstrap)
    result["by_source"] = subgroups.accuracy_by(test, "source")
    result["by_size"] = subgroups.accuracy_by(test.assign(size=subgroups.size_bin(metadata)), "size")
    result |= slice_discovery.find(test, metadata)
    left_out = sorted(scored.sha256[in_training])
    result["baselines"] = json_cache.cached_json(
        "baselines",
        baselines.cache_key(tables, left_out, pixels, bootstrap),
        lambda: baselines.baselines(
            train,
            test,
            index.loc[[*train.path, *test.path]],
            pixels,
            bootstrap,
            with_label(progress, "baselines"),
        ),
    )
    errors = worst_errors.worst(test, threshold)
    embedding = None if scores.embedding is None else scores.embedding[~in_training][errors.index]
    result["worst_errors"] = worst_errors.worst_errors(errors, embedding, balance, train_folder)
    worst_errors.write_sheet(errors, result["worst_errors"], balance, pictures, out / file_names.WORST_ERRORS)
    if detector.families:
        result["generator_attribution"] = generator_attribution.generator_attribution(test, detector.families)
    sample = robustness.sample(test, config.robustness_pictures, config.seed)
    if len(sample):
        result["robustness"], conditions = robustness.robustness_table(
            detector, pixels, sample, bootstrap, with_label(progress, "robustness"), crops
        )
        conditions.to_parquet(out / file_names.ROBUSTNESS, index=False)
    (out / file_names.METRICS).write_text(json.dumps(result, indent=1, allow_nan=False))


def _check_classes(test: "pd.DataFrame") -> None:
    for label in CLASSES:
        if label not in set(test.label):
            raise DataError(
                f"evaluate: no {label} picture of the test set can judge this model: it, or a model whose weights it "
                "started from, was trained on each of them or on a near-duplicate. Add other pictures to test"
            )


def add_predictions(
    table: "pd.DataFrame", detector: "Detector", scores: "Scores", sides: "np.ndarray", contrasts: "np.ndarray"
) -> "pd.DataFrame":
    """Add the columns of a detector's predictions.

    Args:
        table: One row per picture.
        detector: The detector that computed the scores.
        scores: The scores of the same pictures, in the same order.
        sides: The shorter sides of the files' pictures in pixels, likewise.
        contrasts: `images.contrast` of the canonical pixels, likewise.

    Returns:
        The table with p_ai; predicted, the more likely class; verdict (AI, human or unsure) and its reason; and, where
        the model has them, native_crops, the number of crops judged beside the whole; novelty; and family and family_p:
        the generator family that made the picture if it is AI, "other" where none is likely.
    """
    import numpy as np

    reasons = detector.rule.reasons(scores.p_ai, scores.novelty, sides, contrasts)
    table = table.assign(
        p_ai=scores.p_ai,
        predicted=detector.rule.predicted(scores.p_ai),
        verdict=detector.rule.verdicts(scores.p_ai, reasons),
        reason=reasons,
    )
    if detector.native_crops:
        table["native_crops"] = np.where(is_large(sides, detector.geometry.size), detector.native_crops, 0)
    if scores.novelty is not None:
        table["novelty"] = scores.novelty
    if scores.generators is not None:
        table["family"], table["family_p"] = detector.predicted_generator(scores)
    return table
