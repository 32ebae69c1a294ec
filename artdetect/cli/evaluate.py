"""The command evaluate: a model from elsewhere on the test pictures of a config, and its page beside one of ours."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.artifacts import file_names
from artdetect.cli import terminal
from artdetect.cli.options import add_config
from artdetect.cli.parser import Commands
from artdetect.core.errors import ArtifactError

if TYPE_CHECKING:
    from artdetect.artifacts.store import Artifact
    from artdetect.config import Config
    from artdetect.core.progress import Count
    from artdetect.evaluate.outside_model import Classifier


def add(commands: Commands) -> None:
    """Add the command's parser."""
    parser = commands.add(
        "evaluate",
        "test a model from elsewhere, an ONNX file or a Python function, on the same test pictures",
        examples=[
            ("evaluate theirs.onnx --size 224 --logits --html theirs.html", "and write its report"),
            ("evaluate package.module:function", "a function of PIL pictures that gives p(AI) for each"),
        ],
    )
    parser.add_argument("model", metavar="MODEL", help="an ONNX file, or MODULE:FUNCTION")
    parser.add_argument("--name", help="what to call it (default: the file's or the function's name)")
    parser.add_argument(
        "--threshold", type=float, default=0.5, metavar="P", help="AI from this p(AI) on (default: 0.5)"
    )
    parser.add_argument(
        "--beside",
        metavar="RUN",
        help="the evaluation to put beside, as for `compare` (default: the champion's, else that of this config)",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--html", type=Path, metavar="FILE", help="write its report to this file")
    onnx = parser.add_argument_group("how pictures go into an ONNX file, and what comes out")
    onnx.add_argument("--size", type=int, metavar="PX", help="side of its input, where the file leaves it open")
    onnx.add_argument(
        "--fit", choices=["squash", "crop"], default="squash", help="how a picture becomes a square (default: squash)"
    )
    for name, what in (("mean", "subtracted from pixels in [0, 1]"), ("std", "what they are divided by")):
        default = 0.0 if name == "mean" else 1.0
        onnx.add_argument(f"--{name}", type=float, nargs=3, default=[default] * 3, metavar="X", help=what)
    onnx.add_argument("--output", metavar="NAME", help="the output to read (default: the first one)")
    onnx.add_argument("--ai", type=int, default=0, metavar="COLUMN", help="the output's column of AI (default: 0)")
    onnx.add_argument("--logits", action="store_true", help="the output is logits, not probabilities")
    add_config(parser)
    parser.set_defaults(command=_evaluate)


def evaluated(
    config: "Config", model: "Classifier", name: str, threshold: float = 0.5, progress: "Count | None" = None
) -> "Artifact":
    """The evaluation of a model from elsewhere on the test pictures of a config, as an artifact of stage evaluate.

    Args:
        config: The config, whose stages up to balance are current.
        model: A function of a list of PIL pictures, upright, RGB and at full size, that gives p(AI) in [0, 1] for each.
        name: What to call it.
        threshold: From this p(AI) on, a picture is predicted to be AI.
        progress: Called with the numbers of pictures done and in all.

    Raises:
        ArtifactError: The stages up to balance are not current.
        DataError: The model gave something else, or the data set has changed.
        PictureError: A test picture cannot be read.
    """
    from artdetect import download
    from artdetect.artifacts import run_ledger
    from artdetect.core import paths
    from artdetect.evaluate import outside_model

    raw, index, balance = current(config, "download", "index", "balance")
    root = download.folder(raw.folder)
    artifact = outside_model.evaluate(
        model, name, config.evaluate, index, balance, lambda path: paths.picture(root, path), threshold, progress
    )
    run_ledger.refresh([raw, index, balance, artifact], "evaluate", f"evaluate {name}")  # gc keeps it for a while
    return artifact


def current(config: "Config", *stages: str) -> "list[Artifact]":
    """The current artifacts of stages; ArtifactError says why one is missing."""
    from artdetect.monitoring.status import status

    states = {state.stage: state for state in status(config)}
    found = []
    for stage in stages:
        state = states[stage]
        if state.artifact is None:
            why = "; ".join(state.why) or "not built"
            raise ArtifactError(f"{stage} is {state.state}: {why}. Build it with Pipeline.run or `artdetect run`")
        found.append(state.artifact)
    return found


def _evaluate(arguments: argparse.Namespace) -> int:
    from artdetect import config as configs
    from artdetect.evaluate import outside_classifier
    from artdetect.formatting.text import columns, metric_rows
    from artdetect.monitoring import evaluation_page

    config = configs.load(arguments.config, arguments.set)
    options = {name: getattr(arguments, name) for name in ("size", "fit", "mean", "std", "output", "ai", "logits")}
    model, name = outside_classifier.load(arguments.model, **options)
    name = arguments.name or name
    with terminal.counted("test pictures") as count:
        artifact = evaluated(config, model, name, arguments.threshold, count)
    beside = _beside(arguments.beside, config, artifact)
    metrics: dict[str, Any] = json.loads((artifact.folder / file_names.METRICS).read_text())
    if arguments.json:
        found = {"artifact": str(artifact.folder), "beside": beside and str(beside), "metrics": metrics}
        print(json.dumps(found, indent=1, allow_nan=False))
        return 0
    print(f"{name} on {metrics['pictures']:,} test pictures, 95 % intervals:")
    print(columns([list(row) for row in metric_rows(metrics)]))
    if arguments.html:
        with terminal.activity("writing the page"):
            evaluation_page.write(arguments.html, artifact.folder, beside)
        print(f"\n{arguments.html}")
    if beside:
        print(f"\nCompare: artdetect compare {beside.name} {artifact.key}")
    return 0


def _beside(named: str | None, config: "Config", artifact: "Artifact") -> Path | None:
    """The evaluation that the model is put beside: the one named, or the champion's or the config's own, if any."""
    from artdetect.artifacts import lineage
    from artdetect.monitoring.status import status
    from artdetect.report import champion

    if named:
        return lineage.find(named)
    states = {state.stage: state.artifact for state in status(config)}
    scores = champion.beside(artifact, states["balance"], None)[champion.SCORES] or states["evaluate"]
    return scores.folder if scores else None
