"""The commands that use a model: predict, explain."""

import argparse
import csv
import itertools
import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import IO, TYPE_CHECKING

from artdetect.cli import chosen_model, terminal
from artdetect.cli.options import LOG_HELP, MODEL_HELP, add_pictures
from artdetect.cli.parser import Commands
from artdetect.core import installing
from artdetect.core.errors import ConfigError, DataError, StorageError
from artdetect.explain.method_settings import METHODS

if TYPE_CHECKING:
    from artdetect.explain.config import ExplainConfig

MEANING = (
    "AI and human are what the model takes a picture for, no proof; unsure means that it gives no verdict. The number "
    "is p(AI), if AI and human art are equally likely beforehand"
)
MIXED_MEANING = "mixed means that one region says AI firmly and the rest human, or the reverse"

MIN_CHECKED = 4  # pictures: on fewer, a check of the maps has no interval worth reading, and it loads TensorFlow
REGIONS_ONLY = ("explained_class", "compat", "steps", "algorithm", "quality", "scale")  # options


def add(commands: Commands) -> None:
    """Add these commands' parsers."""
    predict = commands.add(
        "predict",
        "give verdicts on pictures",
        examples=[
            ("predict picture.jpg folder/", "files, and folders with all that is below them"),
            ("predict 'scans/**/*.jpg' --csv verdicts.csv", "a pattern; a table"),
            ("predict - --json < list.txt", "a list of paths; one JSON object a line"),
        ],
        partly="a picture could not be read",
    )
    add_pictures(predict)
    predict.add_argument("--model", type=Path, help=MODEL_HELP)
    shape = predict.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="print one JSON object per line")
    shape.add_argument("--csv", type=Path, metavar="FILE", help="write a CSV table to FILE")
    predict.add_argument("--log", type=Path, metavar="FILE", help=LOG_HELP)
    predict.set_defaults(command=_predict)

    explain = commands.add(
        "explain",
        "show which regions led to a verdict: figures, arrays and a table; resumes after an interruption",
        examples=[("explain picture.jpg --out why", ""), ("explain folder/ --out quick --method gradcam", "faster")],
        partly="a picture could not be read",
    )
    add_pictures(explain)
    explain.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder: new, empty, or of an earlier run"
    )
    explain.add_argument("--model", type=Path, help=MODEL_HELP)
    explain.add_argument("--method", choices=list(METHODS), help="attribution method (default: evidence)")
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
        "--quality",
        type=int,
        metavar="N",
        help=f"number of pictures on which the maps are checked (default: 12; none of fewer than {MIN_CHECKED})",
    )
    explain.add_argument(
        "--scale",
        choices=["common", "own"],
        help="one range of colours for all figures, or each its own (default: common)",
    )
    explain.set_defaults(command=_explain)


def _predict(arguments: argparse.Namespace) -> int:
    from artdetect.cli import picture_paths
    from artdetect.model import predict
    from artdetect.model.decision import MIXED, VERDICTS
    from artdetect.usage.log import UsageLog

    sources = picture_paths.expand(arguments.paths, arguments.null)
    log = UsageLog(arguments.log) if arguments.log else None
    detector = chosen_model.load(arguments.model)
    count = _count(sources)
    counts = dict.fromkeys((*VERDICTS, MIXED, "error"), 0)
    with ExitStack() as stack:
        table = csv.writer(stack.enter_context(_open_table(arguments.csv))) if arguments.csv else None
        if table:
            table.writerow([field.name for field in fields(predict.Verdict)])
        rows = stack.enter_context(terminal.Rows("pictures", count))
        for verdict in predict.predict(detector, predict.find_pictures(sources)):
            counts[verdict.verdict or "error"] += 1
            if log:
                log.add(verdict)
            if arguments.json:
                rows.write(json.dumps(verdict.as_dict()))
            elif table:
                table.writerow(verdict.as_dict().values())
            elif verdict.error:
                rows.write(verdict.path, "error", _reason(verdict.path, verdict.error))
            else:
                rows.write(verdict.path, verdict.words, f"{verdict.p_ai:.3f}", verdict.model)
            rows.advance()
    number = sum(counts.values())
    judged = ", ".join(f"{n:,} {name}" for name, n in counts.items() if n)
    terminal.say(f"{number:,} {'picture' if number == 1 else 'pictures'}: {judged}")
    terminal.say(f"{MEANING}. {MIXED_MEANING}" if counts[MIXED] else MEANING)
    return 1 if counts["error"] else 0


def _reason(path: str, error: str) -> str:
    """Why a picture cannot be read, without its path, which its row has already."""
    return error.removeprefix(f"{path}: ")


def _count(sources: Sequence[Path]) -> int:
    """How many pictures there are; DataError if there are none."""
    from artdetect.model import predict

    if terminal.shows_progress():
        count = sum(1 for _ in predict.find_pictures(sources))
    else:  # nobody sees more than whether there are any
        count = sum(1 for _ in itertools.islice(predict.find_pictures(sources), 1))
    if not count:
        raise DataError(
            f"found no pictures in {', '.join(map(str, sources))}. Name files, or folders that contain some"
        )
    return count


def _open_table(path: Path) -> IO[str]:
    try:
        return path.open("w", newline="", encoding="utf-8", errors="backslashreplace")
    except FileNotFoundError:
        raise StorageError(f"{path}: there is no folder {path.parent}: create it first") from None


def _explain(arguments: argparse.Namespace) -> int:
    from artdetect.explain import evidence_figures

    more = any(getattr(arguments, option) is not None for option in REGIONS_ONLY)
    if not more and arguments.method in (None, "evidence") and not evidence_figures.regions_installed():
        return _explain_without_regions(arguments)
    from artdetect.cli import picture_paths
    from artdetect.explain.batch_job import TABLE, ExplanationJob, chunks
    from artdetect.explain.result_shards import verdict

    config = _explain_config(arguments)
    sources = picture_paths.expand(arguments.paths, arguments.null)
    detector = chosen_model.load(arguments.model)
    count = _count(sources)
    if arguments.quality is None and _fewer(sources, MIN_CHECKED):
        config = config.model_copy(update={"quality_pictures": 0})
    job = ExplanationJob(detector, config, arguments.out)
    explained = failed = 0
    with terminal.Rows("pictures", count) as rows:
        for row in (row for chunk in chunks(job.pending(sources)) for row in job.explain(chunk)):
            explained, failed = explained + (row["error"] is None), failed + (row["error"] is not None)
            error = row["error"] and _reason(row["path"], row["error"])
            figure_or_error = error or f"{job.out / row['name']}.png"
            rows.write(_as_given(row["path"], sources), verdict(row).words, figure_or_error)
            rows.advance()
    with terminal.activity("checking the maps"):
        job.finish()
    counts = f"{explained} explained, {job.unchanged} explained before and unchanged, {failed} unreadable"
    terminal.say(f"{counts}: {job.out / TABLE}")
    return 1 if failed else 0


def _explain_without_regions(arguments: argparse.Namespace) -> int:
    """What the base install shows: the evidence over each picture."""
    from artdetect.cli import picture_paths
    from artdetect.explain import evidence_figures

    sources = picture_paths.expand(arguments.paths, arguments.null)
    detector = chosen_model.load(arguments.model)
    explained = failed = 0
    with terminal.Rows("pictures", _count(sources)) as rows:
        for verdict, figure in evidence_figures.write(detector, sources, arguments.out):
            explained, failed = explained + (figure is not None), failed + (figure is None)
            rows.write(verdict.path, verdict.words, str(figure or _reason(verdict.path, str(verdict.error))))
            rows.advance()
    terminal.say(f"{explained} explained, {failed} unreadable: {arguments.out}")
    terminal.say(f"Regions, a table and other methods need more: {installing.extra('explain')}")
    return 1 if failed else 0


def _fewer(sources: Sequence[Path], number: int) -> bool:
    from artdetect.model import predict

    return sum(1 for _ in itertools.islice(predict.find_pictures(sources), number)) < number


def _as_given(path: str, sources: Sequence[Path]) -> str:
    """A picture's absolute path, from the working directory if it was named from there."""
    here = Path.cwd()
    relative = any(Path(path).is_relative_to(source.absolute()) for source in sources if not source.is_absolute())
    return str(Path(path).relative_to(here)) if relative and Path(path).is_relative_to(here) else path


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
