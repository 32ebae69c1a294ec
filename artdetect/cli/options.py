"""What the commands' parsers share."""

import argparse
from pathlib import Path
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
SAMPLE = Path("configs/sample.toml")
MODEL_HELP = "artifact folder or model file; if left out the champion, or the newest where none was promoted"


def add_config(parser: argparse.ArgumentParser) -> None:
    """`--config` and `--set`, which say what a run is of."""
    parser.add_argument("--config", type=Path, default=SAMPLE, help=f"TOML file ({SAMPLE})")
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="change one value of the config"
    )
