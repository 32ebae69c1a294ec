"""The command that adapts a model to one's own pictures."""

import argparse
import json
from pathlib import Path
from typing import Any

from artdetect.cli import chosen_model, terminal
from artdetect.cli.options import MODEL_HELP
from artdetect.cli.parser import Commands
from artdetect.formatting.intervals import estimate
from artdetect.formatting.text import columns
from artdetect.pictures.labels import CLASSES


def add(commands: Commands) -> None:
    """Add this command's parser."""
    adapt = commands.add(
        "adapt",
        "adapt a model to labelled pictures of your own, in FOLDER/human and FOLDER/AI (human alone will do)",
        examples=[("adapt mine/", "what it would change"), ("adapt mine/ --promote", "and use it from now on")],
    )
    adapt.add_argument("folder", type=Path, metavar="FOLDER", help="a folder with a folder human and maybe one AI")
    adapt.add_argument("--model", type=Path, help=MODEL_HELP)
    adapt.add_argument("--promote", action="store_true", help="make the adapted model the champion")
    adapt.add_argument("--json", action="store_true", help="print JSON")
    adapt.set_defaults(command=_adapt)


def _adapt(arguments: argparse.Namespace) -> int:
    from artdetect import adapt as library
    from artdetect.artifacts import lineage, registry, run_ledger

    own = library.own_pictures(arguments.folder)
    chosen, base = chosen_model.choose(arguments.model)
    for path, reason in own.skipped.items():
        terminal.say(f"left out: {path}: {reason}")
    with terminal.activity("adapting the model"):
        adapted = library.adapt(base, chosen.path, own)
    artifact = library.publish(adapted, chosen.path, own)
    run_ledger.refresh([artifact], "adapt", "artdetect adapt")  # so that garbage collection keeps it for a while
    result = {"train": artifact.key, **adapted.metrics["adapted"]}
    if arguments.promote:
        keys = lineage.lineage_keys(artifact.key)
        registry.promote(artifact.key, keys, registry.current_user(), f"adapted to {arguments.folder}")
    if arguments.json:
        print(json.dumps(result, indent=1))
        return 0
    print(_text(result))
    print(f"\nThe adapted model is train/{artifact.key}", end="")
    print(", and it is the champion" if arguments.promote else f". Use it with `artdetect promote {artifact.key}`")
    return 0


def _text(result: dict[str, Any]) -> str:
    rows = [["your pictures", "", "called AI", "human", "unsure", "nearer to AI"]]
    for label in CLASSES:
        for when in ("before", "after"):
            row = result[when]["by_class"][label]
            if row["pictures"]:
                counts = [row[name] for name in ("AI", "human", "unsure", "predicted_ai")]
                rows.append([f"{row['pictures']} {label}", when, *map(str, counts)])
    text = columns(rows)
    names = {"roc_auc": "ROC-AUC", "balanced_accuracy": "balanced accuracy", "log_loss": "log loss"}
    for name, title in names.items():
        if before := result["before"].get(name):
            after = result["after"][name]
            text += f"\n{title}: {estimate(before, 2)} before, {estimate(after, 2)} after"
    return (
        f"{text}\nEach picture was judged by a model adapted without it.\n"
        f"On the pictures it was trained on before, the log loss grows by about {result['cost_on_old_pictures']:.3f}"
    )
