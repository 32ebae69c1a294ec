"""The command for pictures that come in: ingest."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from artdetect.cli.options import Commands, add_config
from artdetect.core.errors import ConfigError
from artdetect.formatting.text import printable
from artdetect.pictures.labels import CLASSES

if TYPE_CHECKING:
    from artdetect.config import Config
    from artdetect.ingest import IngestResult, Provenance

SHOWN = 20  # names of a kind; all of them with --json
ABOUT = ("label", "generator", "origin", "style", "source", "licence", "note")


def add(commands: Commands) -> None:
    """Add this command's parser."""
    ingest = commands.add_parser("ingest", help="take new pictures for training and test; exit 1 if some were rejected")
    ingest.add_argument("folder", nargs="?", type=Path, metavar="FOLDER", help="data/inbox is emptied if left out")
    ingest.add_argument("--label", choices=CLASSES, help="what all pictures in FOLDER are")
    name = ingest.add_mutually_exclusive_group()
    name.add_argument("--generator", metavar="NAME", help="which made the AI pictures, for instance flux")
    name.add_argument("--origin", metavar="NAME", help="where the human art comes from, for instance wikiart")
    ingest.add_argument("--style", metavar="NAME", help="of all of them; unknown if left out")
    ingest.add_argument("--source", metavar="URL", help="where they were got")
    ingest.add_argument("--licence", metavar="TEXT")
    ingest.add_argument("--note", metavar="TEXT")
    add_config(ingest)
    ingest.add_argument("--json", action="store_true")
    ingest.set_defaults(command=_ingest)


def _ingest(chosen: argparse.Namespace) -> int:
    from artdetect import config, ingest

    loaded = config.load(chosen.config, chosen.set)
    if chosen.folder is None:
        if given := [name for name in ABOUT if getattr(chosen, name) is not None]:
            raise ConfigError(f"--{given[0]} is said of a FOLDER; in data/inbox the folders' names say it")
        result = ingest.inbox(loaded, _counted)
    else:
        result = ingest.folder(chosen.folder, _said(chosen), loaded, _counted)
    if chosen.json:
        print(json.dumps(result.as_dict(), indent=1))
    else:
        _show(result, loaded)
    if result.added:
        from artdetect.cli.flows import announce

        if said := announce(result):
            print(said, file=sys.stderr)
    return 1 if result.rejected else 0


def _said(chosen: argparse.Namespace) -> "Provenance":
    from artdetect.ingest.provenance import provenance_of

    wanted = {"AI": "generator", "human": "origin"}
    if chosen.label is None:
        raise ConfigError("say what the pictures are: --label AI --generator NAME, or --label human --origin NAME")
    name = getattr(chosen, wanted[chosen.label])
    if name is None:
        raise ConfigError(f"--label {chosen.label} needs --{wanted[chosen.label]} NAME")
    return provenance_of(
        chosen.label, name, chosen.style, source=chosen.source, licence=chosen.licence, note=chosen.note
    )


def _counted(done: int, total: int) -> None:
    """How far it is, on stderr where that is a terminal."""
    if sys.stderr.isatty():
        print(f"\r{done:,} of {total:,} pictures", end="" if done < total else "\n", file=sys.stderr, flush=True)


def _show(result: "IngestResult", config: "Config") -> None:
    from artdetect.core import paths
    from artdetect.pictures.labels import row

    for where, count in result.by_origin.items():
        splits = [row(picture.path, picture.sha256).split for picture in result.added]
        print(f"{count:,} added to {paths.incoming() / where}")
    if result.added:
        print(f"  {splits.count('train'):,} to train, {splits.count('test'):,} to test")
    if result.known:
        print(f"{len(result.known):,} known before, by their content")
    _list("look like one that was there; each such pair counts as one picture", [f"{a}: {b}" for a, b in result.near])
    _list(f"rejected; see {paths.rejected()}", [f"{one.name}: {one.reason}" for one in result.rejected])
    for reason, names in result.left.items():
        _list(f"left: {reason}", names)
    if result.compared_with:
        print(f"Compared with {' and '.join(result.compared_with)}")
    else:
        print("Nothing new")


def _list(what: str, lines: "list[str]") -> None:
    if lines:
        print(f"{len(lines):,} {what}", *(f"  {printable(line)}" for line in lines[:SHOWN]), sep="\n")
    if len(lines) > SHOWN:
        print(f"  … and {len(lines) - SHOWN:,} more")
