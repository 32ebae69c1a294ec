"""The command for other software: serve."""

import argparse
from pathlib import Path

from artdetect.cli.options import MODEL_HELP, Commands
from artdetect.core.errors import ConfigError


def add(commands: Commands) -> None:
    """Add this command's parser."""
    serve = commands.add_parser("serve", help="verdicts over HTTP: POST a picture to /predict; Ctrl-C ends it")
    serve.add_argument("--host", default="127.0.0.1", help="who may ask: this machine only (127.0.0.1); no password")
    serve.add_argument("--port", type=int, default=8000, help="0: any that is free (8000)")
    serve.add_argument("--model", type=Path, help=f"{MODEL_HELP}; then it follows each promotion")
    serve.add_argument("--most-megabytes", type=int, default=64, metavar="N", help="of a picture (64)")
    serve.set_defaults(command=_serve)


def _serve(chosen: argparse.Namespace) -> int:
    from artdetect import serve
    from artdetect.core import json_logging
    from artdetect.pictures.images import MAX_BYTES

    largest = MAX_BYTES // 2**20
    if not 1 <= chosen.most_megabytes <= largest:
        raise ConfigError(f"--most-megabytes {chosen.most_megabytes}: expected 1 to {largest}")
    if not 0 <= chosen.port <= 65_535:
        raise ConfigError(f"--port {chosen.port}: expected 0 to 65535")
    serve.run(chosen.host, chosen.port, chosen.model, chosen.most_megabytes, json_logging.enabled())
    return 0
