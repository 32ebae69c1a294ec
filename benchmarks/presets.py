"""How well the presets do on real pictures: test, wear of the web, generators never seen, before and after retraining.

    python -m benchmarks.presets WORK [--seeds 5] [--presets artnet notebook compact] [--real FOLDER]

FOLDER (or ARTDETECT_REAL_DATA) holds realart.zip and realart-incoming.zip. Everything runs through `artdetect run`, so
what is there already is not run again; a seed draws validation and balances anew, and starts the training.
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
    parser.add_argument("--seeds", type=int, default=5, help="of artnet on the test set")
    parser.add_argument("--few", type=int, default=2, help="of everything else")
    parser.add_argument("--presets", nargs="+", default=["artnet", "notebook", "compact"])
    parser.add_argument("--real", type=Path, default=os.environ.get("ARTDETECT_REAL_DATA"))
    chosen = parser.parse_args()
    if chosen.real is None:
        sys.exit("name the folder of the real pictures with --real or ARTDETECT_REAL_DATA")
    base, before, after = _data(Path(chosen.real), chosen.work / "pictures")
    seeds, few = range(1, chosen.seeds + 1), range(1, chosen.few + 1)

    presets = {
        preset: [_run(chosen.work, base, preset, seed) for seed in (seeds if preset == "artnet" else few)]
        for preset in chosen.presets
    }
    publish("Presets on real pictures", _presets(presets))
    unseen = {
        preset: [_run(chosen.work, before, preset, seed, "evaluate.robustness=0") for seed in few]
        for preset in chosen.presets
    }
    seen = [_run(chosen.work, after, "artnet", seed, "evaluate.robustness=0") for seed in few]
    publish("A new generator, before and after its pictures are added", _incoming(unseen, seen))
    generators = [row["generator"] for row in presets["artnet"][0]["train"]["left_out"]]
    left_out = {
        name: [_run(chosen.work, base, "artnet", seed, "evaluate.robustness=0", hold_out=name) for seed in few]
        for name in generators
    }
    publish("Leave one generator out", _left_out(left_out))


def _data(real: Path, work: Path) -> tuple[Path, Path, Path]:
    """The base set, the same with the new generator's test pictures, and with its training pictures as well."""
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


def _run(work: Path, pictures: Path, preset: str, seed: int, *changes: str, hold_out: str = "") -> dict[str, Any]:
    """The metrics of a run: those of the test, and under `train` those of the training; `predictions` is their file."""
    values = [f"download.url={pictures}", f"train.preset={preset}", f"train.seed={seed}", f"balance.seed={seed}"]
    values += ["explain.per_rule=0", *changes, *([f'balance.hold_out="{hold_out}"'] if hold_out else [])]
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
    said = json.loads(done.stdout)
    folders = {stage["stage"]: Path(stage["artifact"]) for stage in said["stages"]}
    train = json.loads((folders["train"] / "metrics.json").read_text())
    print(f"{preset} seed {seed} {hold_out}: accuracy {said['metrics']['accuracy']['value']:.3f}", flush=True)
    files = {
        "predictions": folders["evaluate"] / "predictions.parquet",
        "balance": folders["balance"] / "balance.parquet",
    }
    return said["metrics"] | {"train": train} | {name: str(file) for name, file in files.items()}


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
    heads = ["preset", "seeds", "accuracy", "ROC-AUC", "ECE", "unsure", "accuracy if sure", "grid: clean", "grid: mean"]
    first = next(iter(presets.values()))[0]
    return (
        f"{first['pictures']} test pictures, WikiArt paintings and Stable Diffusion 1.x. Mean and, in brackets, "
        "standard deviation over seeds; the interval of a single run, over test pictures, is wider. "
        f"The grid is {len(first['robustness']['rows']) - 1} degradations of {first['robustness']['pictures']} of them."
        "\n\n" + table(heads, rows)
    )


def _incoming(unseen: dict[str, list[dict[str, Any]]], seen: list[dict[str, Any]]) -> str:
    rows = [["`" + preset + "`, before", *_new_and_old(runs)] for preset, runs in unseen.items()]
    rows.append(["`artnet`, after", *_new_and_old(seen)])
    heads = ["", "recall of the new generator", "… by verdict: AI", "… unsure", "accuracy on the old test"]
    return "Recall on 134 test pictures of DreamShaper, and accuracy on the old test set.\n\n" + table(heads, rows)


def _new_and_old(runs: Sequence[dict[str, Any]]) -> list[str]:
    import pandas as pd

    columns: list[Values] = [[], [], [], []]
    for run in runs:
        rows = pd.read_parquet(run["predictions"])
        new = rows.generator.str.contains("DREAMSHAPER")
        right = rows.called == rows.label
        said = rows[new].verdict.value_counts(normalize=True)
        for column, value in zip(
            columns, (right[new].mean(), said.get("AI", 0.0), said.get("unsure", 0.0), right[~new].mean()), strict=True
        ):
            column.append(float(value))
    return [_spread(column) for column in columns]


def _left_out(left_out: dict[str, list[dict[str, Any]]]) -> str:
    import pandas as pd
    from sklearn.metrics import roc_auc_score

    rows, means = [], []
    for name, runs in left_out.items():
        aucs, recalls = [], []
        for run in runs:
            found = pd.read_parquet(run["predictions"])
            found = found[found.generator.isin([name, "human"])]
            truth = found.label == "AI"
            aucs.append(float(roc_auc_score(truth, found.p_ai)))
            recalls.append(float((found.called == "AI")[truth].mean()))
        means += aucs
        rows.append([name, int(truth.sum()), _spread(aucs), _spread(recalls)])
    return (
        "`artnet` trained without a generator (`balance.hold_out`), on that generator's test pictures against the "
        f"human-made ones. Mean over generators and seeds: {sum(means) / len(means):.3f}.\n\n"
        + table(["left out", "test pictures", "ROC-AUC", "recall"], rows)
    )


def _spread(values: Values) -> str:
    from statistics import mean, stdev

    if not values:
        return "–"
    return f"{mean(values):.3f} ({stdev(values):.3f})" if len(values) > 1 else f"{values[0]:.3f}"


if __name__ == "__main__":
    main()
