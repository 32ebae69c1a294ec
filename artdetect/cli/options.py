"""Options that several commands share."""

import argparse
from pathlib import Path
from typing import TypeAlias

from artdetect.artifacts.key_lookup import MIN_PREFIX

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
SAMPLE = Path("configs/sample.toml")
MODEL_HELP = (
    "artifact folder, model file, starter, or demo, the newest demonstration model (default: the champion, else the "
    "newest model that is no demonstration, else the starter)"
)
LOG_HELP = "append time, model, p(AI), verdict, reason and novelty of each picture to FILE, for `artdetect drift`"
KEY_HELP = f"the first {MIN_PREFIX} characters are enough"


def add_command(commands: Commands, name: str, description: str) -> argparse.ArgumentParser:
    """Add a command's parser, with its description in both the list of commands and its own help.

    Args:
        commands: The subparsers to add it to.
        name: The command's name, as it is typed.
        description: What the command does, in lower case and without a full stop.

    Returns:
        The new parser, which has no options yet but `--help`.
    """
    return commands.add_parser(name, help=description, description=f"{description[0].upper()}{description[1:]}.")


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add `--config` and `--set`."""
    parser.add_argument("--config", type=Path, default=SAMPLE, help=f"TOML file (default: {SAMPLE})")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="change one value of the config; repeatable",
    )
