"""The command line. Errors that a person can cause are one line and exit code 2; heavy imports wait until needed."""

import argparse
import csv
import io
import itertools
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from artdetect import __version__
from artdetect.errors import ArtdetectError, ConfigError, DataError, ServerError, StorageError, storage_error

if TYPE_CHECKING:
    from artdetect.config import Config
    from artdetect.predict import Verdict

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

    predict = commands.add_parser(
        "predict", help="verdicts for pictures and folders; exit 1 if a picture could not be read"
    )
    predict.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    predict.add_argument("--model", type=Path, help="artifact folder or model file; the newest if left out")
    shape = predict.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="one JSON object a line")
    shape.add_argument("--csv", type=Path, metavar="FILE")
    predict.set_defaults(command=_predict)

    explain = commands.add_parser("explain", help="which regions spoke for the verdict: three panels and arrays")
    explain.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    explain.add_argument("--out", type=Path, required=True, metavar="DIR")
    explain.add_argument("--model", type=Path, help="artifact folder or model file; the newest if left out")
    explain.add_argument("--steps", type=int, default=100, help="of integrated gradients (100)")
    explain.add_argument("--algorithm", choices=["full", "fast"], default="full")
    explain.set_defaults(command=_explain)
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

    try:
        runs = pipeline(config, refresh)
    except RuntimeError as error:  # Prefect has no class of its own for this
        if "API" not in str(error):
            raise
        raise ServerError(f"{error}. Start that server, or unset PREFECT_API_URL for a temporary one") from error
    return [(run.stage, "ran" if run.ran else "cached", run.why, run.artifact) for run in runs]


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
            table.writerow(["path", "verdict", "p_ai", "model", "error"])
        verdicts = predict.predict(detector, _pictures(chosen.paths))
        for verdict in _counted(verdicts) if chosen.csv or not sys.stdout.isatty() else verdicts:
            failed += verdict.error is not None
            if chosen.json:
                print(json.dumps(verdict.as_dict()))
            elif table:
                table.writerow(verdict.as_dict().values())
            elif verdict.error:
                print(_printable(verdict.path), "error", _printable(verdict.error), sep="\t")
            else:
                print(_printable(verdict.path), verdict.verdict, f"{verdict.p_ai:.3f}", verdict.model, sep="\t")
    return 1 if failed else 0


def _counted(verdicts: "Iterator[Verdict]") -> "Iterator[Verdict]":
    """The same, with their number on stderr where that is a terminal."""
    if not sys.stderr.isatty():
        yield from verdicts
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    shown = SpinnerColumn(), TextColumn("{task.completed:,.0f} pictures"), TimeElapsedColumn()
    with Progress(*shown, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("predict", total=None)
        for verdict in verdicts:
            yield verdict
            bar.advance(task)


def _printable(text: str) -> str:
    """A file's name on one line, without what would steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


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
    from pydantic import ValidationError

    from artdetect import digests, labels, predict
    from artdetect.explain.stage import ExplainConfig, Subject, explain, title

    try:
        config = ExplainConfig(steps=chosen.steps, algorithm=chosen.algorithm)
    except ValidationError as error:
        raise ConfigError(f"--steps {chosen.steps}: {error.errors()[0]['msg']}") from None
    detector = predict.find_model(chosen.model)
    chosen.out.mkdir(parents=True, exist_ok=True)
    subjects: list[Subject] = []
    taken: set[str] = set()
    failed = 0
    for verdict in predict.predict(detector, _pictures(chosen.paths)):
        path = Path(verdict.path)
        if verdict.verdict is None or verdict.p_ai is None:
            failed += 1
            print(_printable(str(path)), "error", _printable(verdict.error or ""), sep="\t")
            continue
        names = (path.stem if number == 1 else f"{path.stem}-{number}" for number in itertools.count(1))
        name = next(name for name in names if name not in taken)
        taken.add(name)
        heading = title(verdict.verdict, verdict.p_ai)
        subjects.append(Subject(path, digests.of_file(path), name, heading, labels.CLASSES.index(verdict.verdict)))
    for subject in explain(detector, subjects, config, chosen.out):
        print(*map(_printable, (str(subject.path), subject.title, f"{chosen.out / subject.name}.png")), sep="\t")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
