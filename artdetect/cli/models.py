"""The commands for models: export, compare."""

import argparse
import json
from pathlib import Path

from artdetect.cli.parsing import Commands
from artdetect.errors import ConfigError


def add(commands: Commands) -> None:
    """Add these commands' parsers."""
    export = commands.add_parser("export", help="write a model for use elsewhere, checked against the original")
    export.add_argument("--format", choices=["onnx", "saved_model"], required=True)
    export.add_argument("--out", type=Path, required=True, metavar="DIR", help="new or empty, or an earlier export")
    export.add_argument("--model", type=Path, help="artifact folder or model file; the newest if left out")
    export.set_defaults(command=_export)

    compare = commands.add_parser(
        "compare", help="two evaluated models: what differs, is the new one better, and where did it get worse"
    )
    compare.add_argument(
        "first",
        metavar="RUN",
        help="newest, previous, a key of evaluate, train or report (its first 4 characters do), or such a folder",
    )
    compare.add_argument(
        "second", nargs="?", metavar="RUN", help="the new one; if left out, RUN is compared with the one before it"
    )
    compare.add_argument("--format", choices=["text", "json", "markdown"], default="text")
    compare.add_argument("--flips", type=int, default=20, metavar="N", help="pictures to list in each direction (20)")
    compare.set_defaults(command=_compare)


def _export(chosen: argparse.Namespace) -> int:
    from artdetect import predict
    from artdetect.export import export

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
    old = compare.find(chosen.first) if chosen.second else compare.before(new)
    found = compare.compare(old, new, flips=chosen.flips)
    if chosen.format == "json":
        print(json.dumps(found, indent=1, allow_nan=False))
    else:
        print(compare.render_markdown(found) if chosen.format == "markdown" else compare.render_text(found))
    return 0
