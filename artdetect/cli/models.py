"""The commands for models: models, promote, rollback, export, compare."""

import argparse
import json
from pathlib import Path

from artdetect.cli.options import MODEL_HELP, Commands
from artdetect.core.errors import ConfigError
from artdetect.formatting.text import printable


def add(commands: Commands) -> None:
    """Add these commands' parsers."""
    models = commands.add_parser("models", help="the trained models: scores, on which data, and which is the champion")
    models.add_argument("--json", action="store_true", help="for programs")
    models.set_defaults(command=_models)

    promote = commands.add_parser("promote", help="make a model the champion, which predict, explain and export use")
    promote.add_argument("key", metavar="KEY", help="of `artdetect models`; its first 4 characters do")
    promote.add_argument("--why", default="promoted by hand, without a gate", metavar="TEXT", help="for the history")
    promote.set_defaults(command=_promote)

    rollback = commands.add_parser("rollback", help="go back to the champion before this one; again, further back")
    rollback.add_argument("--why", default="rolled back by hand", metavar="TEXT", help="for the history")
    rollback.set_defaults(command=_rollback)

    export = commands.add_parser("export", help="write a model for use elsewhere, checked against the original")
    export.add_argument("--format", choices=["onnx", "saved_model"], required=True)
    export.add_argument("--out", type=Path, required=True, metavar="DIR", help="new or empty, or an earlier export")
    export.add_argument("--model", type=Path, help=MODEL_HELP)
    export.set_defaults(command=_export)

    compare = commands.add_parser(
        "compare", help="two evaluated models: what differs, is the new one better, and where did it get worse"
    )
    compare.add_argument(
        "first",
        metavar="RUN",
        help="champion, newest, previous, a key of evaluate, train or report (4 characters do), or such a folder",
    )
    compare.add_argument(
        "second", nargs="?", metavar="RUN", help="the new one; if left out, RUN is compared with the one before it"
    )
    compare.add_argument("--format", choices=["text", "json", "markdown"], default="text")
    compare.add_argument("--flips", type=int, default=20, metavar="N", help="pictures to list in each direction (20)")
    compare.set_defaults(command=_compare)


def _models(chosen: argparse.Namespace) -> int:
    from artdetect.monitoring import model_table

    rows = model_table.table()
    if chosen.json:
        print(json.dumps(rows, indent=1, allow_nan=False))
    else:
        print(model_table.render(rows) if rows else "There is no model yet. Train one with `artdetect run`.")
    return 0


def _promote(chosen: argparse.Namespace) -> int:
    from artdetect.artifacts import lineage, registry

    key = registry.find(chosen.key)
    before = registry.champion()
    if before and before.train == key:
        print(f"train/{key} is the champion already, since {before.at}: {printable(before.why)}")
        return 0
    entry = registry.promote(key, lineage.lineage_keys(key), registry.current_user(), chosen.why)
    print(f"train/{key} is the champion" + (f", before it train/{entry.previous}" if entry.previous else ""))
    return 0


def _rollback(chosen: argparse.Namespace) -> int:
    from artdetect.artifacts import registry

    entry = registry.rollback(registry.current_user(), chosen.why)
    print(f"train/{entry.train} is the champion again, no longer train/{entry.previous}")
    return 0


def _export(chosen: argparse.Namespace) -> int:
    from artdetect.model import predict
    from artdetect.model.export import export

    exported = export(predict.find_model(chosen.model), chosen.format, chosen.out)
    print(exported.path)
    differences = ", ".join(f"{name} {difference:.1e}" for name, difference in exported.differences.items())
    print(f"It answers as the model does; largest differences: {differences}")
    return 0


def _compare(chosen: argparse.Namespace) -> int:
    from artdetect import compare

    if chosen.flips < 0:
        raise ConfigError(f"--flips {chosen.flips}: expected 0 or more")
    new = compare.find(chosen.second or chosen.first)
    old = compare.find(chosen.first) if chosen.second else compare.previous(new)
    found = compare.compare(old, new, flips=chosen.flips)
    if chosen.format == "json":
        print(json.dumps(found, indent=1, allow_nan=False))
    else:
        print(compare.render_markdown(found) if chosen.format == "markdown" else compare.render_text(found))
    return 0
