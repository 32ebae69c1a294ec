"""The commands that run the pipeline or describe its state: demo-data, run, status, retrain, tune."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.artifacts import file_names
from artdetect.cli import terminal
from artdetect.cli.options import add_config
from artdetect.cli.parser import Commands
from artdetect.core.errors import ConfigError

if TYPE_CHECKING:
    from artdetect.artifacts.store import Artifact
    from artdetect.config import Config


def add(commands: Commands) -> None:
    """Add these commands' parsers."""
    demo_data = commands.add(
        "demo-data", "draw a small demo data set and zip it", examples=[("demo-data data/sample", "")]
    )
    demo_data.add_argument("folder", type=Path, metavar="DIR", help="folder to write to")
    demo_data.add_argument("--seed", type=int, default=129, metavar="N", help="seed of the drawings (default: 129)")
    demo_data.set_defaults(command=_demo_data)

    run = commands.add(
        "run",
        "run the pipeline, from data to model and report; up-to-date stages are skipped",
        examples=[
            ("run --config configs/sample.toml", "the drawn demo data set"),
            ("run --set train.degraded_views=4", "train and what depends on it"),
            ("run --refresh evaluate", "one stage again"),
        ],
    )
    add_config(run)
    run.add_argument(
        "--refresh",
        action="append",
        default=[],
        metavar="STAGE",
        help="rebuild this stage even if it is current; repeatable",
    )
    run.add_argument("--force", action="store_true", help="start the flow even if every stage is current")
    run.add_argument("--json", action="store_true", help="print JSON")
    run.set_defaults(command=_run)

    status = commands.add(
        "status",
        "say which stages are current, stale, missing or corrupt, and why",
        examples=[
            ("status", "of the project's config"),
            ("status --config configs/sample.toml --json", "of another one, for programs"),
        ],
        partly="a stage is not current",
    )
    add_config(status)
    status.add_argument("--json", action="store_true", help="print JSON")
    status.set_defaults(command=_status)

    retrain = commands.add(
        "retrain",
        "train on new pictures too, and promote the new model if it passes the gate",
        examples=[("retrain --force", "even with few new pictures")],
    )
    add_config(retrain)
    retrain.add_argument("--force", action="store_true", help="retrain even with too few new pictures")
    retrain.set_defaults(command=_retrain)

    drift = commands.add(
        "drift",
        "say whether the model in use leaves more pictures without a verdict than training promised",
        examples=[("drift --set usage.log=data/use.jsonl", "reads what predict or serve --log wrote")],
        partly="use has drifted",
    )
    add_config(drift)
    drift.add_argument("--json", action="store_true", help="print JSON")
    drift.set_defaults(command=_drift)

    tune = commands.add(
        "tune",
        "search for better settings of artnet, using validation data only",
        examples=[("tune --config my-art.toml --set tune.trials=2", "trials of earlier runs count")],
    )
    add_config(tune)
    tune.add_argument(
        "--trials", type=int, metavar="N", help="total number of finished trials, including earlier runs (default: 20)"
    )
    tune.set_defaults(command=_tune)


def _demo_data(arguments: argparse.Namespace) -> int:
    from artdetect.demo_data import draw

    with terminal.activity("drawing pictures"):
        archive = draw(arguments.folder, seed=arguments.seed)
    print(archive)
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from artdetect import config
    from artdetect.core import default_config
    from artdetect.formatting import other_art
    from artdetect.formatting.text import columns, printable
    from artdetect.monitoring.status import status

    with terminal.activity("looking at the stages"):
        states = status(config.load(arguments.config, arguments.set))
    chosen = str(arguments.config or default_config.find())
    if arguments.json:
        rows = [
            {
                "stage": s.stage,
                "state": s.state,
                "why": s.why,
                "artifact": str(s.artifact.folder) if s.artifact else None,
            }
            for s in states
        ]
        print(json.dumps({"config": chosen, "stages": rows}, indent=1))
    else:
        reasons = [printable("; ".join(s.why)) or str(s.artifact and s.artifact.folder) for s in states]
        lines = [[s.stage, s.state, reason] for s, reason in zip(states, reasons, strict=True)]
        print(f"config: {printable(chosen)}", columns([["stage", "state", "reason or folder"], *lines]), sep="\n\n")
        model = next((s.artifact for s in states if s.stage == "train" and s.artifact), None)
        if model:
            training = json.loads((model.folder / file_names.METRICS).read_text())
            print("", *other_art.sentences(training), sep="\n")
    return 0 if all(s.state == "current" for s in states) else 1


def _run(arguments: argparse.Namespace) -> int:
    from artdetect import config

    rows = build(config.load(arguments.config, arguments.set), arguments.refresh, arguments.force)
    _show_run(rows, arguments.json)
    return 0


def build(config: "Config", refresh: Sequence[str] = (), force: bool = False) -> list[tuple[str, str, str, "Artifact"]]:
    """Build the stages that are not current; without Prefect if there are none.

    Args:
        config: The config.
        refresh: Stages to build again even if they are current.
        force: Whether to start the flow even if every stage is current.

    Returns:
        Stage, "ran" or "cached", why, and the artifact.

    Raises:
        ConfigError: There is no such stage in a run.
    """
    from artdetect.artifacts import run_ledger, stages
    from artdetect.monitoring.status import status

    names = [stage.name for stage in stages.CHAIN]
    for name in refresh:
        if name == stages.GATE.name:
            raise ConfigError(f"--refresh {name}: the gate is not part of a run. It belongs to `artdetect retrain`")
        if name not in names:
            raise ConfigError(f"--refresh {name}: there is no such stage. There are: {', '.join(names)}")
    with terminal.activity("looking at the stages"):
        states = status(config)
    current = [(s.stage, "cached", "nothing changed", s.artifact) for s in states if s.artifact]
    if len(current) == len(states) and not refresh and not force:
        run_ledger.refresh([artifact for *_, artifact in current])
        return current
    from artdetect.cli.flows import run_pipeline

    return [
        (outcome.stage, "ran" if outcome.ran else "cached", outcome.why, outcome.artifact)
        for outcome in run_pipeline(config, refresh)
    ]


def _retrain(arguments: argparse.Namespace) -> int:
    from artdetect import config, gate, retrain
    from artdetect.artifacts import registry
    from artdetect.formatting.text import columns, printable

    loaded = config.load(arguments.config, arguments.set)
    if not arguments.force and (reason := retrain.skip_reason(loaded.retrain, loaded.usage)):
        print(f"Nothing to do: {reason}")
        return 0
    from artdetect.cli.flows import run_retrain

    outcomes = run_retrain(loaded, arguments.force)
    lines = [
        [done.name, "ran" if done.ran else "cached", f"{done.seconds:.1f}", printable(done.why)] for done in outcomes
    ]
    print(columns([["stage", "state", "seconds", "why"], *lines]))
    folder = next(done.artifact.folder for done in outcomes if done.stage == "gate")
    print(f"\n{printable(gate.verdict(folder)['sentence'])}\n")
    champion = registry.champion()
    print(f"Champion: {champion.train if champion else 'none'}\nGate report: {folder / file_names.GATE_PAGE}")
    return 0


def _drift(arguments: argparse.Namespace) -> int:
    from artdetect import config
    from artdetect.formatting.text import printable
    from artdetect.usage import drift

    found = drift.drift(config.load(arguments.config, arguments.set).usage)
    if found is None:
        raise ConfigError("usage.log is not set: name the file that `serve --log` and `predict --log` write to")
    if arguments.json:
        print(json.dumps(found.as_dict(), indent=1))
    else:
        print(*map(printable, found.sentences()), sep="\n")
    return 1 if found.drifted else 0


def _tune(arguments: argparse.Namespace) -> int:
    from artdetect import config, tune
    from artdetect.formatting.text import columns

    trials = [] if arguments.trials is None else [f"tune.trials={arguments.trials}"]
    loaded = config.load(arguments.config, [*arguments.set, *trials])
    tune.check(loaded.train)  # first, because Prefect takes long to start
    from artdetect.cli.flows import run_tune

    result = run_tune(loaded)
    rows = [trial.row() for trial in result.ranking]
    print(columns([list(rows[0]), *([str(value) for value in row.values()] for row in rows)]))
    print("", *result.summary, f"\nUse it: artdetect run --config {result.best}", sep="\n")
    return 0


def _show_run(rows: Sequence[tuple[str, str, str, Any]], as_json: bool) -> None:
    from artdetect import audit
    from artdetect.formatting import other_art
    from artdetect.formatting.text import columns, metric_rows, printable
    from artdetect.pictures import notice

    folders = {stage: artifact.folder for stage, _, _, artifact in rows}
    metrics = json.loads((folders["evaluate"] / file_names.METRICS).read_text())
    report = folders["report"] / file_names.REPORT
    training = json.loads((folders["train"] / file_names.METRICS).read_text())
    if as_json:
        stages = [
            {
                "stage": stage,
                "state": state,
                "why": why,
                "seconds": artifact.record["seconds"],
                "artifact": str(artifact.folder),
            }
            for stage, state, why, artifact in rows
        ]
        found = training.get("out_of_source")
        result = {"stages": stages, "out_of_source": found, "metrics": metrics, "report": str(report)}
        print(json.dumps(result, indent=1))
        return
    lines = [
        [stage, state, f"{artifact.record['seconds']:.1f}", printable(why)] for stage, state, why, artifact in rows
    ]
    print(columns([["stage", "state", "seconds", "why"], *lines]))
    print("", *other_art.sentences(training), sep="\n")
    if found := other_art.rows(training):
        print(columns([list(row) for row in found]))
    print(f"\nTest set, {metrics['pictures']} pictures, 95 % intervals:")
    print(columns([list(row) for row in metric_rows(metrics)]))
    if findings := [finding["name"] for finding in audit.triggered(folders["audit"])]:
        print(f"\nThe audit has findings, see the report: {', '.join(findings)}")
    said = notice.read(folders["index"] / file_names.NOTICE)
    if said.text:
        print("", *map(printable, said.paragraphs), sep="\n")
    if said.demonstration:
        print("\nThe model is a demonstration. To try it on pictures of your own: artdetect predict PATH --model demo")
    print(f"\nReport: {report}")
