"""How well the presets do on real pictures: on test, degraded and unseen generators, before and after retraining.

    python -m benchmarks.presets WORK [--seeds 5] [--presets artnet notebook compact] [--real FOLDER]

FOLDER (or ARTDETECT_REAL_DATA) holds realart.zip and realart-incoming.zip. Everything runs through `artdetect run`, so
up-to-date stages are skipped. A seed determines the validation split, the balance and the training.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import PROJECT, publish, table

Values = list[float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds of artnet on the test set")
    parser.add_argument("--few", type=int, default=2, help="number of seeds of everything else")
    parser.add_argument("--presets", nargs="+", default=["artnet", "notebook", "compact"])
    parser.add_argument("--real", type=Path, default=os.environ.get("ARTDETECT_REAL_DATA"))
    options = parser.parse_args()
    if options.real is None:
        sys.exit("name the folder of the real pictures with --real or ARTDETECT_REAL_DATA")
    base, before, after = unpack_data(Path(options.real), options.work / "pictures")
    seeds, few = range(1, options.seeds + 1), range(1, options.few + 1)

    presets = {
        preset: [run(options.work, base, preset, seed) for seed in (seeds if preset == "artnet" else few)]
        for preset in options.presets
    }
    publish("Presets on real pictures", _presets(presets))
    unseen = {
        preset: [run(options.work, before, preset, seed, "evaluate.robustness_pictures=0") for seed in few]
        for preset in options.presets
    }
    retrained = [run(options.work, after, "artnet", seed, "evaluate.robustness_pictures=0") for seed in few]
    publish("A new generator, before and after its pictures are added", _incoming(unseen, retrained))
    publish("Training pictures of held-out sources", _by_source(presets["artnet"][0]["train"]["out_of_source"]))
    left_out = {
        name: [run(options.work, base, "artnet", seed, "evaluate.robustness_pictures=0", held_out=name) for seed in few]
        for name in _generators(presets["artnet"][0])
    }
    publish("Leave one generator out", _left_out(left_out))


def unpack_data(real: Path, work: Path) -> tuple[Path, Path, Path]:
    """Three data sets: the base set, the new generator's test pictures added, its training pictures added as well."""
    base, before, after = (work / name for name in ("base", "before", "after"))
    if not after.exists():
        for folder in (base, before, after.with_name("part")):
            shutil.rmtree(folder, ignore_errors=True)
            _unpack(real / "realart.zip", folder)
        _unpack(real / "realart-incoming.zip", before, only="test")
        _unpack(real / "realart-incoming.zip", after.with_name("part"))
        after.with_name("part").rename(after)
    return base, before, after


def _unpack(archive: Path, folder: Path, only: str | None = None) -> None:
    with zipfile.ZipFile(archive) as file:
        for name in file.namelist():
            parts = Path(name).parts
            split = next((at for at, part in enumerate(parts) if part in ("train", "test")), None)
            if split is None or name.endswith("/") or (only and parts[split] != only):
                continue
            target = folder.joinpath(*parts[split:])
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read(name))


def run(work: Path, pictures: Path, preset: str, seed: int, *changes: str, held_out: str = "") -> dict[str, Any]:
    """The metrics of a run, with those of training under `train`, and the paths of `predictions` and `balance`."""
    values = [f"download.url={pictures}", f"train.preset={preset}", f"train.seed={seed}", f"balance.seed={seed}"]
    values += [
        "explain.pictures_per_group=0",
        *changes,
        *([f'balance.held_out_generators="{held_out}"'] if held_out else []),
    ]
    command = [sys.executable, "-m", "artdetect.cli", "run", "--config", "configs/default.toml", "--json"]
    command += [part for value in values for part in ("--set", value)]
    environment = os.environ | {
        "ARTDETECT_DATA": str(work / "data"),
        "ARTDETECT_ARTIFACTS": str(work / "artifacts"),
        "PYTHONPATH": str(PROJECT),
    }
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{preset}, seed {seed}: {done.stderr[-3000:]}")
    result = json.loads(done.stdout)
    folders = {stage["stage"]: Path(stage["artifact"]) for stage in result["stages"]}
    train = json.loads((folders["train"] / "metrics.json").read_text())
    print(f"{preset} seed {seed} {held_out}: accuracy {result['metrics']['accuracy']['value']:.3f}", flush=True)
    files = {
        "predictions": folders["evaluate"] / "predictions.parquet",
        "balance": folders["balance"] / "balance.parquet",
    }
    return result["metrics"] | {"train": train} | {name: str(file) for name, file in files.items()}


def _presets(presets: dict[str, list[dict[str, Any]]]) -> str:
    rows = []
    for preset, runs in presets.items():
        grid = [(run.get("robustness") or {}) for run in runs]
        rows.append(
            [
                f"`{preset}`",
                len(runs),
                _spread([run["accuracy"]["value"] for run in runs]),
                _spread([run["roc_auc"]["value"] for run in runs]),
                _spread([run["calibration"]["ece"]["value"] for run in runs]),
                _spread([run["unsure"]["share"]["value"] for run in runs]),
                _spread([run["unsure"]["accuracy_decided"]["value"] for run in runs]),
                _spread([part["clean_accuracy"]["value"] for part in grid if part]),
                _spread([part["mean_accuracy"]["value"] for part in grid if part]),
            ]
        )
    heads = [
        "preset",
        "seeds",
        "accuracy",
        "ROC-AUC",
        "ECE",
        "unsure",
        "accuracy if decided",
        "grid: clean",
        "grid: mean",
    ]
    first = next(iter(presets.values()))[0]
    return (
        f"{first['pictures']} test pictures, WikiArt paintings and Stable Diffusion 1.x. Mean and, in brackets, "
        "standard deviation over seeds. The interval of a single run, over test pictures, is wider. "
        f"The grid is {len(first['robustness']['rows']) - 1} degradations of {first['robustness']['pictures']} of them."
        "\n\n" + table(heads, rows)
    )


def _incoming(unseen: dict[str, list[dict[str, Any]]], retrained: list[dict[str, Any]]) -> str:
    rows = [["`" + preset + "`, before", *_new_and_old(runs)] for preset, runs in unseen.items()]
    rows.append(["`artnet`, after", *_new_and_old(retrained)])
    heads = ["", "recall of the new generator", "… by verdict: AI", "… unsure", "accuracy on the old test"]
    return "Recall on 134 test pictures of DreamShaper, and accuracy on the old test set.\n\n" + table(heads, rows)


def _new_and_old(runs: Sequence[dict[str, Any]]) -> list[str]:
    import pandas as pd

    columns: list[Values] = [[], [], [], []]
    for metrics in runs:
        rows = pd.read_parquet(metrics["predictions"])
        new = rows.generator.str.contains("DREAMSHAPER")
        right = rows.predicted == rows.label
        verdicts = rows[new].verdict.value_counts(normalize=True)
        ai, unsure = verdicts.get("AI", 0.0), verdicts.get("unsure", 0.0)
        for column, value in zip(columns, (right[new].mean(), ai, unsure, right[~new].mean()), strict=True):
            column.append(float(value))
    return [_spread(column) for column in columns]


def _generators(metrics: dict[str, Any]) -> list[str]:
    """The generators of which the run trained on enough pictures for a family."""
    import pandas as pd

    from artdetect.train.artnet import MIN_PER_GENERATOR

    rows = pd.read_parquet(metrics["balance"]).query("split == 'train' and label == 'AI'")
    counts = rows.generator.value_counts()
    return sorted(counts.index[counts >= MIN_PER_GENERATOR])


def _by_source(found: dict[str, Any] | None) -> str:
    if found is None:
        return "No picture of a held-out source was judged: both classes need several sources."
    rows = [
        [row["label"], row["source"], row["pictures"], f"{row['accuracy']['value']:.3f}", row["firm"], row["right"]]
        for row in found["by_source"]
    ]
    measures = ", ".join(
        f"{name.replace('_', ' ')} {found[name]['value']:.3f}"
        for name in ("roc_auc", "balanced_accuracy", "log_loss", "firm", "right_ai", "right_human")
        if found[name]
    )
    return (
        "`artnet`, first seed. Each picture is judged by a head that knows neither its source nor its generator: "
        f"{measures}.\n\n" + table(["class", "source", "pictures", "accuracy", "verdicts", "of these right"], rows)
    )


def _left_out(left_out: dict[str, list[dict[str, Any]]]) -> str:
    import pandas as pd
    from sklearn.metrics import roc_auc_score

    rows, means = [], []
    for name, runs in left_out.items():
        aucs, recalls = [], []
        for metrics in runs:
            predictions = pd.read_parquet(metrics["predictions"])
            predictions = predictions[predictions.generator.isin([name, "human"])]
            truth = predictions.label == "AI"
            aucs.append(float(roc_auc_score(truth, predictions.p_ai)))
            recalls.append(float((predictions.predicted == "AI")[truth].mean()))
        means += aucs
        rows.append([name, int(truth.sum()), _spread(aucs), _spread(recalls)])
    return (
        "`artnet` trained without a generator (`balance.held_out_generators`), on that generator's test pictures "
        f"against the human-made ones. Mean over generators and seeds: {sum(means) / len(means):.3f}.\n\n"
        + table(["left out", "test pictures", "ROC-AUC", "recall"], rows)
    )


def _spread(values: Values) -> str:
    from statistics import mean, stdev

    if not values:
        return "–"
    return f"{mean(values):.3f} ({stdev(values):.3f})" if len(values) > 1 else f"{values[0]:.3f}"


if __name__ == "__main__":
    main()
