"""The commands that use a model: predict, explain."""

import argparse
import csv
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

from artdetect.cli import chosen_model
from artdetect.cli.options import LOG_HELP, MODEL_HELP, Commands, add_command
from artdetect.core.errors import ConfigError, DataError, StorageError
from artdetect.explain.method_settings import METHODS
from artdetect.formatting.text import printable

if TYPE_CHECKING:
    from artdetect.explain.config import ExplainConfig


T = TypeVar("T")


def add(commands: Commands) -> None:
    """Add these commands' parsers."""
    predict = add_command(commands, "predict", "give verdicts on pictures; exit code 1 if a picture could not be read")
    predict.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a picture or a folder of pictures")
    predict.add_argument("--model", type=Path, help=MODEL_HELP)
    shape = predict.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="print one JSON object per line")
    shape.add_argument("--csv", type=Path, metavar="FILE", help="write a CSV table to FILE")
    predict.add_argument("--log", type=Path, metavar="FILE", help=LOG_HELP)
    predict.set_defaults(command=_predict)

    explain = add_command(
        commands,
        "explain",
        "show which regions led to a verdict: figures, arrays and a table; resumes after an interruption",
    )
    explain.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a picture or a folder of pictures")
    explain.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder: new, empty, or of an earlier run"
    )
    explain.add_argument("--model", type=Path, help=MODEL_HELP)
    explain.add_argument("--method", choices=list(METHODS), help="attribution method (default: xrai)")
    explain.add_argument(
        "--class",
        dest="explained_class",
        type=lambda name: {"ai": "AI"}.get(name.lower(), name),
        choices=["AI", "human"],
        help="class to explain (default: the predicted one)",
    )
    explain.add_argument("--compat", choices=["saliency"], help="XRAI's maps as that package makes them")
    explain.add_argument("--steps", type=int, metavar="N", help="steps of integrated gradients (default: 32)")
    explain.add_argument("--algorithm", choices=["full", "fast"], help="region ranking of XRAI (default: full)")
    explain.add_argument(
        "--quality", type=int, metavar="N", help="number of pictures on which the maps are checked (default: 12)"
    )
    explain.add_argument(
        "--scale",
        choices=["common", "own"],
        help="one range of colours for all figures, or each its own (default: common)",
    )
    explain.set_defaults(command=_explain)


def _predict(arguments: argparse.Namespace) -> int:
    from artdetect.model import predict
    from artdetect.model.decision import in_words
    from artdetect.usage.log import UsageLog

    log = UsageLog(arguments.log) if arguments.log else None
    detector = chosen_model.load(arguments.model)
    failed = 0
    with ExitStack() as stack:
        table = csv.writer(stack.enter_context(_open_table(arguments.csv))) if arguments.csv else None
        if table:
            table.writerow([field.name for field in fields(predict.Verdict)])
        verdicts = predict.predict(detector, _pictures(arguments.paths))
        for verdict in _with_counter(verdicts) if arguments.csv or not sys.stdout.isatty() else verdicts:
            failed += verdict.error is not None
            if log:
                log.add(verdict)
            if arguments.json:
                print(json.dumps(verdict.as_dict()))
            elif table:
                table.writerow(verdict.as_dict().values())
            elif verdict.error:
                print(printable(verdict.path), "error", printable(verdict.error), sep="\t")
            else:
                words = in_words(verdict.verdict, verdict.reason)
                print(printable(verdict.path), words, f"{verdict.p_ai:.3f}", verdict.model, sep="\t")
    return 1 if failed else 0


def _with_counter(rows: Iterator[T]) -> Iterator[T]:
    """Pass rows on, and show their number on stderr if that is a terminal."""
    if not sys.stderr.isatty():
        yield from rows
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = SpinnerColumn(), TextColumn("{task.completed:,.0f} pictures"), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        for row in rows:
            yield row
            bar.advance(task)


def _pictures(sources: Sequence[Path]) -> Iterator[Path]:
    from artdetect.model import predict

    found = predict.find_pictures(sources)
    if (first := next(found, None)) is None:
        raise DataError(
            f"found no pictures in {', '.join(map(str, sources))}. Name files, or folders that contain some"
        )
    return itertools.chain([first], found)


def _open_table(path: Path) -> IO[str]:
    try:
        return path.open("w", newline="", encoding="utf-8", errors="backslashreplace")
    except FileNotFoundError:
        raise StorageError(f"{path}: there is no folder {path.parent}: create it first") from None


def _explain(arguments: argparse.Namespace) -> int:
    from artdetect.explain.batch_job import TABLE, ExplanationJob, chunks
    from artdetect.model.decision import in_words

    config = _explain_config(arguments)
    detector = chosen_model.load(arguments.model)
    next(_pictures(arguments.paths))  # DataError if there are none
    job = ExplanationJob(detector, config, arguments.out)
    rows = (row for chunk in chunks(job.pending(arguments.paths)) for row in job.explain(chunk))
    explained = failed = 0
    for row in rows if sys.stdout.isatty() else _with_counter(rows):
        explained, failed = explained + (row["error"] is None), failed + (row["error"] is not None)
        figure_or_error = row["error"] or f"{job.out / row['name']}.png"
        words = in_words(row["verdict"], row["reason"])
        print(*map(printable, (row["path"], words, figure_or_error)), sep="\t", flush=True)
    job.finish()
    counts = f"{explained} explained, {job.unchanged} explained before and unchanged, {failed} unreadable"
    print(f"{counts}: {printable(str(job.out / TABLE))}", file=sys.stderr)
    return 1 if failed else 0


def _explain_config(arguments: argparse.Namespace) -> "ExplainConfig":
    from pydantic import ValidationError

    from artdetect.explain.config import ExplainConfig

    keys = {"quality": "quality_pictures"}  # option -> key of the section
    keys |= {name: name for name in ("method", "explained_class", "compat", "steps", "algorithm", "scale")}
    given = {key: value for option, key in keys.items() if (value := getattr(arguments, option)) is not None}
    try:
        config = ExplainConfig(**given)
    except ValidationError as error:
        first = error.errors()[0]
        option = next(option for option, key in keys.items() if key == first["loc"][0])
        raise ConfigError(f"--{option} {first['input']}: {first['msg']}") from None
    for name in ("compat", "steps", "algorithm"):
        if name in given and name not in config.settings():
            raise ConfigError(f"--{name}: method {config.method} has no such setting")
    return config
