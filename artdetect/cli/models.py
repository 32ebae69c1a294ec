"""The commands for models: models, promote, rollback, export, convert-encoder, compare."""

import argparse
import json
from pathlib import Path

from artdetect.cli import chosen_model, terminal
from artdetect.cli.options import KEY_HELP, MODEL_HELP
from artdetect.cli.parser import Commands
from artdetect.core.errors import ConfigError
from artdetect.formatting.text import printable


def add(commands: Commands) -> None:
    """Add these commands' parsers."""
    models = commands.add(
        "models",
        "list the trained models: scores, the data they are from, and which one is the champion",
        examples=[("models", ""), ("models --html models.html", "with tests over time, promotions and gate verdicts")],
    )
    form = models.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument(
        "--html", type=Path, metavar="FILE", help="write them as a page, with their history, to this file"
    )
    models.set_defaults(command=_models)

    promote = commands.add(
        "promote",
        "make a model the champion, which predict, explain, serve and export use",
        examples=[("promote 5a149e7f --reason 'better on scans'", "")],
    )
    promote.add_argument("key", metavar="KEY", help=f"key of a model (see `artdetect models`); {KEY_HELP}")
    promote.add_argument(
        "--reason", default="promoted by hand, without a gate", metavar="TEXT", help="recorded in the history"
    )
    promote.set_defaults(command=_promote)

    rollback = commands.add(
        "rollback",
        "return to the previous champion; repeat to go further back",
        examples=[("rollback --reason 'worse on scans'", "")],
    )
    rollback.add_argument("--reason", default="rolled back by hand", metavar="TEXT", help="recorded in the history")
    rollback.set_defaults(command=_rollback)

    export = commands.add(
        "export",
        "write a model for other software, checked against the original",
        examples=[("export --format onnx --out exported", "")],
    )
    export.add_argument("--format", choices=["onnx", "saved_model"], required=True, help="file format")
    export.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder: new, empty, or of an earlier export"
    )
    export.add_argument("--model", type=Path, help=MODEL_HELP)
    export.set_defaults(command=_export)

    convert = commands.add(
        "convert-encoder",
        "write a ViT with timm's tensor names as a folder for train.backbone = hub:FOLDER",
        examples=[("convert-encoder vit_tiny_patch16_224.npz encoders/vit-tiny --mean 0.5 --std 0.5", "")],
    )
    convert.add_argument("file", type=Path, metavar="FILE", help="the tensors: .npz or .safetensors")
    convert.add_argument("folder", type=Path, metavar="FOLDER", help="what to write: a folder that is new or empty")
    for name, what in (("mean", "mean"), ("std", "standard deviation")):
        convert.add_argument(
            f"--{name}",
            type=float,
            nargs="+",
            required=True,
            metavar="NUMBER",
            help=f"{what} of pixels in [0, 1] that it was trained with, one or three numbers",
        )
    convert.add_argument("--heads", type=int, metavar="N", help="attention heads (default: one for each 64 channels)")
    convert.set_defaults(command=_convert_encoder)

    compare = commands.add(
        "compare",
        "compare two evaluated models: what changed, is the new one better, where did it get worse",
        examples=[("compare champion newest", ""), ("compare newest", "with the one before it")],
    )
    compare.add_argument(
        "first",
        metavar="RUN",
        help=f"champion, newest, previous, or an artifact of evaluate, train or report: its folder or key; {KEY_HELP}",
    )
    compare.add_argument(
        "second", nargs="?", metavar="RUN", help="the newer one (default: compare the first RUN with the one before it)"
    )
    form = compare.add_mutually_exclusive_group()
    form.add_argument("--format", choices=["text", "json", "markdown"], default="text", help="default: text")
    form.add_argument("--html", type=Path, metavar="FILE", help="write the newer one's report, with the other beside")
    compare.add_argument(
        "--flips",
        type=int,
        default=20,
        metavar="N",
        help="how many changed verdicts to list in each direction (default: 20)",
    )
    compare.set_defaults(command=_compare)


def _models(arguments: argparse.Namespace) -> int:
    from artdetect.monitoring import model_table, registry_page

    if arguments.html:
        registry_page.write(arguments.html)
        print(arguments.html)
        return 0
    rows = model_table.table()
    if arguments.json:
        print(json.dumps(rows, indent=1, allow_nan=False))
    else:
        print(model_table.render(rows) if rows else "There is no model yet. Train one with `artdetect run`.")
    return 0


def _promote(arguments: argparse.Namespace) -> int:
    from artdetect.artifacts import lineage, registry

    key = registry.find(arguments.key)
    before = registry.champion()
    promotion = registry.promote(key, lineage.lineage_keys(key), registry.current_user(), arguments.reason)
    if before and promotion.at == before.at:
        print(f"train/{key} is the champion already, since {before.at}: {printable(before.why)}")
        return 0
    print(f"train/{key} is the champion" + (f" in place of train/{promotion.previous}" if promotion.previous else ""))
    return 0


def _rollback(arguments: argparse.Namespace) -> int:
    from artdetect.artifacts import registry

    promotion = registry.rollback(registry.current_user(), arguments.reason)
    print(f"train/{promotion.train} is the champion again, in place of train/{promotion.previous}")
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from artdetect.model.export import export

    detector = chosen_model.load(arguments.model)
    with terminal.activity("exporting and checking"):
        exported = export(detector, arguments.format, arguments.out)
    print(exported.path)
    differences = ", ".join(f"{name} {difference:.1e}" for name, difference in exported.differences.items())
    print(f"Its outputs equal the model's; largest differences: {differences}")
    return 0


def _convert_encoder(arguments: argparse.Namespace) -> int:
    from artdetect.model.backbones import timm_vit

    with terminal.activity("converting"):
        found = timm_vit.convert(arguments.file, arguments.folder, arguments.mean, arguments.std, arguments.heads)
    print(arguments.folder)
    print(f"A ViT of {found.layers} blocks, {found.width} channels and {found.heads} heads. In the config's [train]:")
    print(f'backbone = "hub:{arguments.folder.absolute()}"\nsize = {found.side}')
    print(f'feature_blocks = ["block1..block{found.layers}", "class"]')
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    from artdetect import compare

    if arguments.flips < 0:
        raise ConfigError(f"--flips {arguments.flips}: expected 0 or more")
    new = compare.find(arguments.second or arguments.first)
    old = compare.find(arguments.first) if arguments.second else compare.previous(new)
    if arguments.html:
        from artdetect.monitoring import evaluation_page

        with terminal.activity("writing the page"):
            evaluation_page.write(arguments.html, new, old)
        print(arguments.html)
        return 0
    with terminal.activity("comparing"):
        result = compare.compare(old, new, flips=arguments.flips)
    if arguments.format == "json":
        print(json.dumps(result, indent=1, allow_nan=False))
    else:
        print(compare.render_markdown(result) if arguments.format == "markdown" else compare.render_text(result))
    return 0
