"""The command line. Errors that a person can cause are one line and exit code 2; heavy imports wait until needed."""

import argparse
import csv
import io
import itertools
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from artdetect import __version__
from artdetect.errors import ArtdetectError, ConfigError, DataError, ServerError, StorageError, storage_error
from artdetect.summary import printable

if TYPE_CHECKING:
    from artdetect.config import Config
    from artdetect.explain import ExplainConfig

T = TypeVar("T")
SAMPLE = Path("configs/sample.toml")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code: 0 done, 1 done in part (see each command), 2 an error a person can mend."""
    chosen = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):  # file names need not be valid in any encoding
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = chosen.command(chosen)
        sys.stdout.flush()  # here, where a full disk is still one line
        return code
    except ArtdetectError as error:
        return _fail(error)
    except BrokenPipeError:  # the reader, say `head`, has seen enough
        return 0
    except KeyboardInterrupt:
        return _fail("interrupted; run the same command again to go on")
    except OSError as error:
        if (known := storage_error(error)) is None:
            raise
        return _fail(known)
    finally:
        _end_output()


def _end_output() -> None:
    """Drop what stdout does not take, or Python would try again at exit and complain in many lines."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(error: object) -> int:
    print(f"artdetect: {error}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="artdetect", description="Tells AI-generated from human-made art, and shows why."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    sample = commands.add_parser("sample", help="draw the small sample data set and zip it")
    sample.add_argument("folder", type=Path, metavar="DIR")
    sample.add_argument("--seed", type=int, default=129)
    sample.set_defaults(command=_sample)

    run = commands.add_parser("run", help="run what is not current: data to model, test, explanations, report")
    _add_config(run)
    run.add_argument(
        "--refresh", action="append", default=[], metavar="STAGE", help="build this stage again whatever there is"
    )
    run.add_argument("--always", action="store_true", help="start the flow even where everything is current")
    run.add_argument("--json", action="store_true")
    run.set_defaults(command=_run)

    status = commands.add_parser(
        "status", help="what is current, stale, missing or corrupt, and why; exit 1 if anything is not"
    )
    _add_config(status)
    status.add_argument("--json", action="store_true")
    status.set_defaults(command=_status)

    tune = commands.add_parser("tune", help="search better settings for artnet, judged by validation alone")
    _add_config(tune)
    tune.add_argument("--trials", type=int, metavar="N", help="finished ones in all, earlier runs' included (20)")
    tune.set_defaults(command=_tune)

    predict = commands.add_parser(
        "predict", help="verdicts for pictures and folders; exit 1 if a picture could not be read"
    )
    predict.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    predict.add_argument("--model", type=Path, help="artifact folder or model file; the newest if left out")
    shape = predict.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="one JSON object a line")
    shape.add_argument("--csv", type=Path, metavar="FILE")
    predict.set_defaults(command=_predict)

    explain = commands.add_parser(
        "explain",
        help="which regions spoke for the verdict: figures, arrays and a table; goes on where it was cut off",
    )
    explain.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    explain.add_argument("--out", type=Path, required=True, metavar="DIR", help="new or empty, or an earlier run's")
    explain.add_argument("--model", type=Path, help="artifact folder or model file; the newest if left out")
    explain.add_argument("--method", choices=["xrai", "integrated_gradients", "blur_ig", "smoothgrad", "gradcam"])
    explain.add_argument("--steps", type=int, help="of integrated gradients (32)")
    explain.add_argument("--algorithm", choices=["full", "fast"], help="XRAI's region ranking (full)")
    explain.add_argument("--quality", type=int, metavar="N", help="pictures on which the maps are checked (12)")
    explain.add_argument("--common-scale", action="store_true", help="one range of colours for all figures")
    explain.set_defaults(command=_explain)

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
    return parser


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, default=SAMPLE, help=f"TOML file ({SAMPLE})")
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="change one value of the config"
    )


def _sample(chosen: argparse.Namespace) -> int:
    from artdetect.sample import draw

    print(draw(chosen.folder, seed=chosen.seed))
    return 0


def _status(chosen: argparse.Namespace) -> int:
    from artdetect import config
    from artdetect.status import status
    from artdetect.summary import columns

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
    from artdetect import config, stages
    from artdetect.status import status

    loaded = config.load(chosen.config, chosen.set)
    for name in chosen.refresh:
        if name not in stages.STAGES:
            raise ConfigError(f"--refresh {name}: there is no such stage. There are: {', '.join(stages.STAGES)}")
    found = status(loaded)
    if all(stage.state == "current" for stage in found) and not chosen.refresh and not chosen.always:
        rows = [(s.stage, "cached", "nothing changed", s.artifact) for s in found]
    else:
        rows = _flow(loaded, chosen.refresh)
    _show_run(rows, chosen.json)
    return 0


def _flow(config: "Config", refresh: Sequence[str]) -> list[tuple[str, str, str, Any]]:
    from flows.pipeline import pipeline

    with _needs_server():
        runs = pipeline(config, refresh)
    return [(run.stage, "ran" if run.ran else "cached", run.why, run.artifact) for run in runs]


@contextmanager
def _needs_server() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # Prefect has no class of its own for this
        if "API" not in str(error):
            raise
        raise ServerError(f"{error}. Start that server, or unset PREFECT_API_URL for a temporary one") from error


def _tune(chosen: argparse.Namespace) -> int:
    from artdetect import config, tune
    from artdetect.summary import columns

    trials = [] if chosen.trials is None else [f"tune.trials={chosen.trials}"]
    loaded = config.load(chosen.config, [*chosen.set, *trials])
    tune.check(loaded.train)  # before Prefect takes its time to start
    from flows.tune import tune as flow

    with _needs_server():
        found = flow(loaded)
    rows = [trial.row() for trial in found.ranking]
    print(columns([list(rows[0]), *([str(value) for value in row.values()] for row in rows)]))
    print("", *found.summary, f"\nUse it: artdetect run --config {found.best}", sep="\n")
    return 0


def _show_run(rows: Sequence[tuple[str, str, str, Any]], as_json: bool) -> None:
    from artdetect import audit
    from artdetect.summary import columns, metric_rows

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
    if found := [finding["name"] for finding in audit.fired(folders["audit"])]:
        print(f"\nThe audit found what to look at in the report: {', '.join(found)}")
    if notice.is_file():
        print(f"\n{notice.read_text().strip()}")
    print(f"\nReport: {report}")


def _predict(chosen: argparse.Namespace) -> int:
    from artdetect import predict

    detector = predict.find_model(chosen.model)
    failed = 0
    with ExitStack() as stack:
        table = csv.writer(stack.enter_context(_open_table(chosen.csv))) if chosen.csv else None
        if table:
            table.writerow([field.name for field in fields(predict.Verdict)])
        verdicts = predict.predict(detector, _pictures(chosen.paths))
        for verdict in _counted(verdicts) if chosen.csv or not sys.stdout.isatty() else verdicts:
            failed += verdict.error is not None
            if chosen.json:
                print(json.dumps(verdict.as_dict()))
            elif table:
                table.writerow(verdict.as_dict().values())
            elif verdict.error:
                print(printable(verdict.path), "error", printable(verdict.error), sep="\t")
            else:
                print(printable(verdict.path), verdict.verdict, f"{verdict.p_ai:.3f}", verdict.model, sep="\t")
    return 1 if failed else 0


def _counted(rows: Iterator[T]) -> Iterator[T]:
    """The same, with their number on stderr where that is a terminal."""
    if not sys.stderr.isatty():
        yield from rows
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    shown = SpinnerColumn(), TextColumn("{task.completed:,.0f} pictures"), TimeElapsedColumn()
    with Progress(*shown, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        for row in rows:
            yield row
            bar.advance(task)


def _pictures(sources: Sequence[Path]) -> Iterator[Path]:
    from artdetect import predict

    found = predict.find_pictures(sources)
    if (first := next(found, None)) is None:
        raise DataError(f"found no pictures in {', '.join(map(str, sources))}. Name files, or folders that hold some")
    return itertools.chain([first], found)


def _open_table(path: Path) -> IO[str]:
    try:
        return path.open("w", newline="", encoding="utf-8", errors="backslashreplace")
    except FileNotFoundError:
        raise StorageError(f"{path}: there is no folder {path.parent}: make it first") from None


def _explain(chosen: argparse.Namespace) -> int:
    from artdetect import predict
    from artdetect.explain.folder import TABLE, Batch, chunks

    config = _explain_config(chosen)
    detector = predict.find_model(chosen.model)
    next(_pictures(chosen.paths))  # DataError where there are none
    batch = Batch(detector, config, chosen.out)
    rows = (row for chunk in chunks(batch.waiting(chosen.paths)) for row in batch.explain(chunk))
    explained = failed = 0
    for row in rows if sys.stdout.isatty() else _counted(rows):
        explained, failed = explained + (row["error"] is None), failed + (row["error"] is not None)
        said = row["error"] or f"{batch.out / row['name']}.png"
        print(*map(printable, (row["path"], row["verdict"] or "error", said)), sep="\t", flush=True)
    batch.finish()
    told = f"{explained} explained, {batch.unchanged} explained before and unchanged, {failed} unreadable"
    print(f"{told}: {printable(str(batch.out / TABLE))}", file=sys.stderr)
    return 1 if failed else 0


def _explain_config(chosen: argparse.Namespace) -> "ExplainConfig":
    from pydantic import ValidationError

    from artdetect.explain import ExplainConfig
    from artdetect.explain.settings import SETTINGS

    options = ("method", "steps", "algorithm", "quality", "common_scale")
    given = {name: value for name in options if (value := getattr(chosen, name)) is not None}
    try:
        config = ExplainConfig(**given)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"--{first['loc'][0]} {first['input']}: {first['msg']}") from None
    for name in ("steps", "algorithm"):
        if name in given and name not in SETTINGS[config.method]:
            raise ConfigError(f"--{name}: method {config.method} has no such setting")
    return config


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


if __name__ == "__main__":
    sys.exit(main())
