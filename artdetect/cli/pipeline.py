"""The commands that run the chain of stages or look at it: sample, run, status, tune."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.cli.options import Commands, add_config
from artdetect.core.errors import ConfigError

if TYPE_CHECKING:
    from artdetect.config import Config


def add(commands: Commands) -> None:
    """Add these commands' parsers."""
    sample = commands.add_parser("sample", help="draw the small sample data set and zip it")
    sample.add_argument("folder", type=Path, metavar="DIR")
    sample.add_argument("--seed", type=int, default=129)
    sample.set_defaults(command=_sample)

    run = commands.add_parser("run", help="run what is not current: data to model, test, explanations, report")
    add_config(run)
    run.add_argument(
        "--refresh", action="append", default=[], metavar="STAGE", help="build this stage again whatever there is"
    )
    run.add_argument("--always", action="store_true", help="start the flow even where everything is current")
    run.add_argument("--json", action="store_true")
    run.set_defaults(command=_run)

    status = commands.add_parser(
        "status", help="what is current, stale, missing or corrupt, and why; exit 1 if anything is not"
    )
    add_config(status)
    status.add_argument("--json", action="store_true")
    status.set_defaults(command=_status)

    retrain = commands.add_parser(
        "retrain", help="learn from data/incoming too, and promote the new model if the gate lets it pass"
    )
    add_config(retrain)
    retrain.add_argument("--force", action="store_true", help="with however few new pictures there are")
    retrain.set_defaults(command=_retrain)

    tune = commands.add_parser("tune", help="search better settings for artnet, judged by validation alone")
    add_config(tune)
    tune.add_argument("--trials", type=int, metavar="N", help="finished ones in all, earlier runs' included (20)")
    tune.set_defaults(command=_tune)


def _sample(chosen: argparse.Namespace) -> int:
    from artdetect.demo_data import draw

    print(draw(chosen.folder, seed=chosen.seed))
    return 0


def _status(chosen: argparse.Namespace) -> int:
    from artdetect import config
    from artdetect.formatting.text import columns
    from artdetect.monitoring.status import status

    found = status(config.load(chosen.config, chosen.set))
    if chosen.json:
        rows = [
            {
                "stage": s.stage,
                "state": s.state,
                "why": s.why,
                "artifact": str(s.artifact.folder) if s.artifact else None,
            }
            for s in found
        ]
        print(json.dumps({"stages": rows}, indent=1))
    else:
        lines = [[s.stage, s.state, "; ".join(s.why) or str(s.artifact and s.artifact.folder)] for s in found]
        print(columns([["stage", "state", "why, or where"], *lines]))
    return 0 if all(s.state == "current" for s in found) else 1


def _run(chosen: argparse.Namespace) -> int:
    from artdetect import config
    from artdetect.artifacts import run_ledger, stages
    from artdetect.monitoring.status import status

    loaded = config.load(chosen.config, chosen.set)
    names = [stage.name for stage in stages.CHAIN]
    for name in chosen.refresh:
        if name == stages.GATE.name:
            raise ConfigError(f"--refresh {name}: the gate is no part of a run. It belongs to `artdetect retrain`")
        if name not in names:
            raise ConfigError(f"--refresh {name}: there is no such stage. There are: {', '.join(names)}")
    found = status(loaded)
    if all(stage.state == "current" for stage in found) and not chosen.refresh and not chosen.always:
        rows = [(s.stage, "cached", "nothing changed", s.artifact) for s in found]
        run_ledger.refresh([s.artifact for s in found if s.artifact])
    else:
        rows = _flow(loaded, chosen.refresh)
    _show_run(rows, chosen.json)
    return 0


def _flow(config: "Config", refresh: Sequence[str]) -> list[tuple[str, str, str, Any]]:
    from artdetect.cli.flows import run_pipeline

    return [(run.stage, "ran" if run.ran else "cached", run.why, run.artifact) for run in run_pipeline(config, refresh)]


def _retrain(chosen: argparse.Namespace) -> int:
    from artdetect import config, gate, retrain
    from artdetect.artifacts import registry
    from artdetect.formatting.text import columns

    loaded = config.load(chosen.config, chosen.set)
    if not chosen.force and (why := retrain.skip_reason(loaded.retrain)):
        print(f"Nothing to do: {why}")
        return 0
    from artdetect.cli.flows import run_retrain

    runs = run_retrain(loaded, chosen.force)
    lines = [[run.name, "ran" if run.ran else "cached", f"{run.seconds:.1f}", run.why] for run in runs]
    print(columns([["stage", "state", "seconds", "why"], *lines]))
    folder = runs[-1].artifact.folder
    print(f"\n{gate.verdict(folder)['sentence']}\n")
    champion = registry.champion()
    print(f"Champion: {champion.train if champion else 'none'}\nGate report: {folder / gate.PAGE}")
    return 0


def _tune(chosen: argparse.Namespace) -> int:
    from artdetect import config, tune
    from artdetect.formatting.text import columns

    trials = [] if chosen.trials is None else [f"tune.trials={chosen.trials}"]
    loaded = config.load(chosen.config, [*chosen.set, *trials])
    tune.check(loaded.train)  # before Prefect takes its time to start
    from artdetect.cli.flows import run_tune

    found = run_tune(loaded)
    rows = [trial.row() for trial in found.ranking]
    print(columns([list(rows[0]), *([str(value) for value in row.values()] for row in rows)]))
    print("", *found.summary, f"\nUse it: artdetect run --config {found.best}", sep="\n")
    return 0


def _show_run(rows: Sequence[tuple[str, str, str, Any]], as_json: bool) -> None:
    from artdetect import audit
    from artdetect.formatting.text import columns, metric_rows

    folders = {stage: artifact.folder for stage, _, _, artifact in rows}
    metrics = json.loads((folders["evaluate"] / "metrics.json").read_text())
    report = folders["report"] / "report.html"
    notice = folders["index"] / "notice.txt"
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
        print(json.dumps({"stages": stages, "metrics": metrics, "report": str(report)}, indent=1))
        return
    lines = [[stage, state, f"{artifact.record['seconds']:.1f}", why] for stage, state, why, artifact in rows]
    print(columns([["stage", "state", "seconds", "why"], *lines]))
    print(f"\nTest set, {metrics['pictures']} pictures, 95 % intervals:")
    print(columns([list(row) for row in metric_rows(metrics)]))
    if found := [finding["name"] for finding in audit.triggered(folders["audit"])]:
        print(f"\nThe audit found what to look at in the report: {', '.join(found)}")
    if notice.is_file():
        print(f"\n{notice.read_text().strip()}")
    print(f"\nReport: {report}")
