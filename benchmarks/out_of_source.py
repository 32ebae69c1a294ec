"""What verdicts are worth on art from sources that the model does not know, and what each part of that is worth.

    python -m benchmarks.out_of_source WORK [--encoder FOLDER] [--config configs/starter.toml] [--set KEY=VALUE ...]

Takes the data sets of a config, each source left out in turn with its fold. FOLDER is a converted image encoder (see
docs/how-to/encoders.md). Rows are not chosen by their result, and no test picture is read. Writes a section of
results.md.
"""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.harness import publish, table

if TYPE_CHECKING:
    import pandas as pd

    from artdetect.train.config import TrainConfig
    from artdetect.train.heads import FittedHead

HEADS = ("", "sources", "ROC-AUC", "balanced", "log loss", "ECE", "firm", "right: AI", "right: human", "sources held")
MEASURES = ("roc_auc", "balanced_accuracy", "log_loss", "ece", "firm", "right_ai", "right_human")


def main() -> None:
    parser = project_parser(__doc__)
    parser.add_argument("--encoder", type=Path)
    parser.add_argument("--first", default="realart", help="the data set that is also trained on alone")
    options = parser.parse_args()
    train, validation, config = balanced(options)
    first = train.path.str.startswith(f"{options.first}/").to_numpy()
    rows: list[list[str]] = []
    fitted = fit(config, train, validation)
    summary = summary_of(fitted)

    def add(name: str, found: Mapping[str, Any]) -> None:
        rows.append(row(name, found))
        publish("Verdicts on sources left out of training", f"{table(HEADS, rows)}\n\n{described(summary)}")

    add("in-source calibration, as before", as_before(fitted))
    add(f"out-of-source calibration, {config.degraded_views} degraded views", summary)
    changed = config.model_copy(update={"degraded_views": 0})
    add("0 degraded views", summary_of(fit(changed, train, validation)))
    alone = fit(config, train[first].reset_index(drop=True), validation)
    add(f"trained on {options.first} alone, its sources", summary_of(alone))
    add(f"trained on {options.first} alone, the other data sets", on_others(alone, config, train[~first]))
    if options.encoder:
        changed = config.model_copy(
            update={
                "backbone": f"hub:{options.encoder}",
                "feature_blocks": ("block1..block12", "class"),
                "degraded_views": 0,  # forward passes of these nets are dear; compare with the row of 0 views
                "native_crops": 0,
            }
        )
        add(f"encoder {options.encoder.name}, 0 degraded views", summary_of(fit(changed, train, validation)))
        alone = fit(changed, train[first].reset_index(drop=True), validation)
        add(f"the same on {options.first} alone, the other data sets", on_others(alone, changed, train[~first]))


def project_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser of the arguments that `balanced` needs."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("work", type=Path)
    parser.add_argument("--config", type=Path, default=Path("configs/starter.toml"))
    parser.add_argument("--set", action="append", default=[])
    return parser


def balanced(options: argparse.Namespace) -> "tuple[pd.DataFrame, pd.DataFrame, TrainConfig]":
    """The training and validation pictures of a config, and its section train. The pipeline runs below `work`."""
    for name in ("data", "artifacts"):
        os.environ[f"ARTDETECT_{name.upper()}"] = str(options.work / name)
    import pandas as pd

    from artdetect import config as configs
    from artdetect import download
    from artdetect.artifacts import file_names
    from artdetect.cli.flows import run_pipeline
    from artdetect.core import paths

    loaded = configs.load(options.config, options.set)
    folders = {outcome.stage: outcome.artifact.folder for outcome in run_pipeline(loaded, [])}
    pictures = download.folder(folders["download"])
    used = pd.read_parquet(folders["balance"] / file_names.BALANCE)
    used["file"] = [paths.picture(pictures, path) for path in used.path]
    train, validation = (used[used.split == split].reset_index(drop=True) for split in ("train", "validation"))
    return train, validation, loaded.train


def fit(config: "TrainConfig", train: "pd.DataFrame", validation: "pd.DataFrame") -> "FittedHead":
    """artnet's head on these pictures, as train fits it."""
    from artdetect.train import artnet

    views = artnet.cached_features(artnet.make_extractor(config), config.degraded_views, train, validation, None)
    return artnet.fit(config, views, train, validation)


def summary_of(fitted: "FittedHead") -> dict[str, Any]:
    """What train writes of sources that were left out."""
    from artdetect.train import out_of_source

    summary = out_of_source.summary(fitted.out_of_source)
    assert summary
    return summary


def as_before(fitted: "FittedHead") -> dict[str, Any]:
    """The verdicts on the same pictures if probabilities and band are fitted on validation pictures of known sources.

    The band is the one that was the default: 99 % right of all verdicts, at most a tenth unsure.
    """
    from dataclasses import replace

    from artdetect.train.calibration import Abstention, fit_calibration, fit_decision_rule
    from artdetect.train.out_of_source import summary

    calibration = replace(fit_calibration(fitted.validation), p_min=0.0, p_max=1.0)
    rule = fit_decision_rule(fitted.validation, calibration, 0.5, Abstention(min_accuracy=0.99, max_share=0.1))
    p_ai = calibration(fitted.held_out.logits[0])
    reasons = rule.reasons(p_ai)
    found = fitted.out_of_source.table.assign(p_ai=p_ai, verdict=rule.verdicts(p_ai, reasons), reason=reasons)
    result = summary(replace(fitted.out_of_source, table=found))
    assert result
    return result


def on_others(fitted: "FittedHead", config: "TrainConfig", pictures: "pd.DataFrame") -> dict[str, Any]:
    """The final model's verdicts on pictures of data sets that it was not trained on."""
    import numpy as np

    from artdetect.model.feature_cache import FeatureCache
    from artdetect.pictures.labels import AI, CLASSES, HUMAN
    from artdetect.pictures.source_folds import source_folds, source_weights
    from artdetect.train import artnet
    from artdetect.train.calibration import fit_calibration, fit_decision_rule
    from artdetect.train.out_of_source import OutOfSource, abstention, summary

    calibration = fit_calibration(fitted.held_out)
    rule = fit_decision_rule(
        fitted.held_out, calibration, config.threshold, abstention(config.abstain, fitted.out_of_source.enough)
    )
    cache = FeatureCache(artnet.make_extractor(config), 0)
    x = fitted.embedding(cache.read(list(pictures.sha256)))
    logits = fitted.head(x)
    p_ai = calibration(logits[:, AI] - logits[:, HUMAN])
    novelty = np.square(x).mean(axis=1) / fitted.novelty_scale
    reasons = rule.reasons(p_ai, novelty)
    groups = source_folds(pictures).groups
    classes = pictures.label.map(CLASSES.index).to_numpy()
    found = pictures[["sha256", "label", "source", "generator"]].assign(
        group=groups,
        fold=0,
        weight=source_weights(groups, classes),
        p_ai=p_ai,
        verdict=rule.verdicts(p_ai, reasons),
        reason=reasons,
    )
    sources = {name: len(set(groups[classes == number])) for number, name in enumerate(CLASSES)}
    result = summary(OutOfSource(found.reset_index(drop=True), sources))
    assert result
    return result


def row(name: str, summary: Mapping[str, Any]) -> list[str]:
    """A row of the table: values with intervals over sources."""
    cells = [interval(summary[measure]) for measure in MEASURES]
    sources = summary["sources"]
    held = f"{interval(summary['held'])} of {summary['judged_sources']}" if summary["held"] else "none"
    return [name, f"{sources['human']} + {sources['AI']}", *cells, held]


def interval(measure: Mapping[str, float] | None) -> str:
    """A value with its interval."""
    if measure is None:
        return "none"
    return f"{measure['value']:.3f} ({measure['low']:.2f}–{measure['high']:.2f})"


def described(summary: Mapping[str, Any]) -> str:
    """The default's results by source, and how to read the tables."""
    by_source = [
        [
            f"{found['source']} ({found['label']})",
            found["pictures"],
            interval(found["accuracy"]),
            found["firm"],
            f"{found['right'] / found['firm']:.2f}" if found["firm"] else "",
        ]
        for found in sorted(summary["by_source"], key=lambda found: found["accuracy"]["value"])
    ]
    worst = summary["worst"]
    return (
        f"{summary['pictures']:,} training pictures; no test picture was read. Each was judged by a head that knows "
        "neither its source nor its generator, with a calibration and a band fitted without its fold. Sources weigh by "
        "the root of their size, both classes the same; intervals are over sources. `firm` is the share with a "
        "verdict; `sources held` is the share of sources with at least five verdicts of which 90 % are right.\n\n"
        f"The worst source is {worst['source']} ({worst['label']}): {worst['right']} of {worst['firm']} verdicts right."
        "\n\n" + table(("source, the default", "pictures", "accuracy", "verdicts", "of these right"), by_source)
    )


if __name__ == "__main__":
    main()
