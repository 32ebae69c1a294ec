"""The command ingest."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from artdetect.cli import terminal
from artdetect.cli.options import add_config
from artdetect.cli.parser import Commands
from artdetect.core.errors import ConfigError
from artdetect.formatting.text import printable
from artdetect.pictures.labels import CLASSES

if TYPE_CHECKING:
    from artdetect.artifacts.run_ledger import Run
    from artdetect.ingest import IngestResult, Provenance

MAX_LISTED = 20  # names per list; --json prints all
PROVENANCE = ("label", "generator", "origin", "style", "source", "licence", "note")


def add(commands: Commands) -> None:
    """Add this command's parser."""
    ingest = commands.add(
        "ingest",
        "add new pictures to the training and test data",
        examples=[
            ("ingest", "take in data/inbox, whose folders give the labels"),
            ("ingest scans/ --label human --origin museum", "one folder of one kind"),
        ],
        partly="a picture was rejected",
    )
    ingest.add_argument(
        "folder",
        nargs="?",
        type=Path,
        metavar="FOLDER",
        help="folder of pictures (default: data/inbox, which is emptied)",
    )
    about = ingest.add_argument_group("what the pictures in FOLDER are")
    about.add_argument("--label", choices=CLASSES, help="label of all pictures in FOLDER")
    name = about.add_mutually_exclusive_group()
    name.add_argument("--generator", metavar="NAME", help="generator of the AI pictures, such as flux")
    name.add_argument("--origin", metavar="NAME", help="source of the human art, such as wikiart")
    about.add_argument("--style", metavar="NAME", help="art style of all pictures (default: unknown)")
    about.add_argument("--source", metavar="NAME", help="collection, site or painter they come from, or its address")
    about.add_argument("--licence", metavar="TEXT", help="licence of the pictures")
    about.add_argument("--note", metavar="TEXT", help="any remark, for the provenance record")
    add_config(ingest)
    ingest.add_argument("--json", action="store_true", help="print JSON")
    ingest.set_defaults(command=_ingest)


def _ingest(arguments: argparse.Namespace) -> int:
    from artdetect import config, ingest
    from artdetect.artifacts import active_runs, run_ledger
    from artdetect.cli.flows import was_cancelled
    from artdetect.monitoring.recorded_run import recorded

    loaded = config.load(arguments.config, arguments.set)
    given = [name for name in PROVENANCE if getattr(arguments, name) is not None]
    if given and arguments.folder is None:
        raise ConfigError(f"--{given[0]} needs a FOLDER; in data/inbox, the names of the folders give the labels")
    provenance = _provenance(arguments) if arguments.folder else None
    _tell(active_runs.record_crashed(was_cancelled))
    run_id = uuid4().hex
    try:
        with recorded(run_id, "ingest", "artdetect ingest") as run, terminal.counted("pictures") as progress:
            if provenance:
                result = ingest.folder(arguments.folder, provenance, loaded, progress)
            else:
                result = ingest.inbox(loaded, progress)
            run.facts["ingest"] = result.counts
            run.idle = not (result.added or result.known or result.rejected)
    except Exception:
        _tell([run for run in run_ledger.read() if run.id == run_id])
        raise
    if arguments.json:
        print(json.dumps(result.as_dict(), indent=1))
    else:
        _show(result)
    if result.added:
        from artdetect.cli.flows import announce

        if problem := announce(result):
            terminal.say(problem)
    return 1 if result.rejected else 0


def _tell(failed: "Sequence[Run]") -> None:
    """Tell Prefect's server of runs that failed or crashed, if there are any and it is configured."""
    if failed:
        from artdetect.cli.flows import tell_of_failures

        tell_of_failures(failed)


def _provenance(arguments: argparse.Namespace) -> "Provenance":
    from artdetect.ingest.provenance import provenance_of

    required = {"AI": "generator", "human": "origin"}
    if arguments.label is None:
        raise ConfigError("the label is missing: give --label AI --generator NAME, or --label human --origin NAME")
    name = getattr(arguments, required[arguments.label])
    if name is None:
        raise ConfigError(f"--label {arguments.label} needs --{required[arguments.label]} NAME")
    return provenance_of(
        arguments.label, name, arguments.style, source=arguments.source, licence=arguments.licence, note=arguments.note
    )


def _show(result: "IngestResult") -> None:
    from artdetect.core import paths
    from artdetect.pictures.labels import row

    for origin, count in result.by_origin.items():
        print(f"{count:,} added to {paths.incoming() / origin}")
    if result.added:
        splits = [row(picture.path, picture.sha256).split for picture in result.added]
        print(f"  {splits.count('train'):,} for training, {splits.count('test'):,} for the test set")
    if result.known:
        print(f"{len(result.known):,} already known (same content)")
    _list("near-duplicates of known pictures; each pair counts as one picture", [f"{a}: {b}" for a, b in result.near])
    _list(f"rejected; see {paths.rejected()}", [f"{picture.name}: {picture.reason}" for picture in result.rejected])
    for reason, names in result.left.items():
        _list(f"left in place: {reason}", names)
    if result.compared_with:
        print(printable(f"Compared with {' and '.join(result.compared_with)}"))
    else:
        print("There are no new pictures")


def _list(title: str, lines: "list[str]") -> None:
    if lines:
        print(f"{len(lines):,} {title}", *(f"  {printable(line)}" for line in lines[:MAX_LISTED]), sep="\n")
    if len(lines) > MAX_LISTED:
        print(f"  … and {len(lines) - MAX_LISTED:,} more")
