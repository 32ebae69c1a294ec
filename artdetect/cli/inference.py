"""The commands for pictures: predict, explain."""

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

from artdetect.cli.options import MODEL_HELP, Commands
from artdetect.core.errors import ConfigError, DataError, StorageError
from artdetect.formatting.text import printable

if TYPE_CHECKING:
    from artdetect.explain.config import ExplainConfig


T = TypeVar("T")


def add(commands: Commands) -> None:
    """Add these commands' parsers."""
    predict = commands.add_parser(
        "predict", help="verdicts for pictures and folders; exit 1 if a picture could not be read"
    )
    predict.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    predict.add_argument("--model", type=Path, help=MODEL_HELP)
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
    explain.add_argument("--model", type=Path, help=MODEL_HELP)
    explain.add_argument("--method", choices=["xrai", "integrated_gradients", "blur_ig", "smoothgrad", "gradcam"])
    explain.add_argument("--steps", type=int, help="of integrated gradients (32)")
    explain.add_argument("--algorithm", choices=["full", "fast"], help="XRAI's region ranking (full)")
    explain.add_argument("--quality", type=int, metavar="N", help="pictures on which the maps are checked (12)")
    explain.add_argument("--common-scale", action="store_true", help="one range of colours for all figures")
    explain.set_defaults(command=_explain)


def _predict(chosen: argparse.Namespace) -> int:
    from artdetect.model import predict

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
    from artdetect.model import predict

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
    from artdetect.explain.batch_job import TABLE, ExplanationJob, chunks
    from artdetect.model import predict

    config = _explain_config(chosen)
    detector = predict.find_model(chosen.model)
    next(_pictures(chosen.paths))  # DataError where there are none
    batch = ExplanationJob(detector, config, chosen.out)
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

    from artdetect.explain.config import SETTINGS, ExplainConfig

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
