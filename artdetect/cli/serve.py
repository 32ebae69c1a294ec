"""The command serve."""

import argparse
from pathlib import Path

from artdetect.cli.options import LOG_HELP, MODEL_HELP
from artdetect.cli.parser import Commands
from artdetect.core.errors import ConfigError


def add(commands: Commands) -> None:
    """Add this command's parser."""
    serve = commands.add(
        "serve",
        "give verdicts on a web page and over HTTP; Ctrl-C stops it",
        examples=[
            ("serve --port 8080", ""),
            ("serve --feedback feedback", "keeps pictures whose verdict is called wrong"),
        ],
    )
    serve.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to bind (default: 127.0.0.1, this machine only); there is no authentication",
    )
    serve.add_argument("--port", type=int, default=8000, help="port (default: 8000); 0 takes any free port")
    serve.add_argument("--model", type=Path, help=f"{MODEL_HELP}; only the default follows later promotions")
    serve.add_argument(
        "--max-upload-mb",
        type=int,
        default=64,
        metavar="N",
        help="maximum size of a request's body in MB (default: 64)",
    )
    serve.add_argument(
        "--feedback",
        type=Path,
        metavar="DIR",
        help="keep pictures whose verdict somebody calls wrong in this folder (default: keep none)",
    )
    serve.add_argument("--log", type=Path, metavar="FILE", help=LOG_HELP)
    serve.set_defaults(command=_serve)


def _serve(arguments: argparse.Namespace) -> int:
    from artdetect import serve
    from artdetect.core import json_logging
    from artdetect.pictures.images import MAX_BYTES

    largest = MAX_BYTES // 2**20
    if not 1 <= arguments.max_upload_mb <= largest:
        raise ConfigError(f"--max-upload-mb {arguments.max_upload_mb}: expected 1 to {largest}")
    if not 0 <= arguments.port <= 65_535:
        raise ConfigError(f"--port {arguments.port}: expected 0 to 65535")
    serve.run(
        arguments.host,
        arguments.port,
        arguments.model,
        arguments.max_upload_mb,
        json_logging.enabled(),
        arguments.feedback,
        arguments.log,
    )
    return 0
