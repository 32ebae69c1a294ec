"""Options that several commands share."""

import argparse
from pathlib import Path

from artdetect.artifacts.key_lookup import MIN_PREFIX

MODEL_HELP = (
    "artifact folder, model file, starter, or demo, the newest demonstration model (default: the champion, else the "
    "newest model that is no demonstration, else the starter)"
)
LOG_HELP = "append time, model, p(AI), verdict, reason and novelty of each picture to FILE, for `artdetect drift`"
KEY_HELP = f"the first {MIN_PREFIX} characters are enough"


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add `--config` and `--set`."""
    group = parser.add_argument_group("config")
    group.add_argument("--config", type=Path, metavar="FILE", help="TOML file (default: the project's, see `status`)")
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="change one value of the config; repeatable",
    )


def add_pictures(parser: argparse.ArgumentParser) -> None:
    """Add the paths of pictures, which `picture_paths.expand` reads."""
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="a picture, a folder of pictures, a pattern such as 'scans/**/*.jpg', or - for a list of paths on stdin",
    )
    parser.add_argument(
        "-0",
        "--null",
        action="store_true",
        help="paths on stdin end with NUL instead of a line's end, as of find -print0",
    )


def add_output(parser: argparse.ArgumentParser, *, top: bool) -> None:
    """Add `--quiet` and `--log-json`.

    Args:
        parser: The parser of a command, or that of the program.
        top: Whether it is the program's. A command's option does not reset that before the command.
    """
    default = False if top else argparse.SUPPRESS
    parser.add_argument(
        "-q", "--quiet", action="store_true", default=default, help="no progress and no notes on stderr, only errors"
    )
    parser.add_argument(
        "--log-json",
        action="store_true",
        default=default,
        help="write log lines and errors as JSON objects, one per line (like ARTDETECT_LOG=json)",
    )
