"""The model that a command uses, and what it says of it on stderr."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from artdetect.core import json_logging
from artdetect.formatting.text import printable

if TYPE_CHECKING:
    from artdetect.model.choice import Choice
    from artdetect.model.detector import Detector


def load(named: Path | None) -> "Detector":
    """The model of option `--model`, or the default one; see `choose`."""
    return choose(named)[1]


def choose(named: Path | None) -> "tuple[Choice, Detector]":
    """Where the model of option `--model`, or the default one, is; and the model.

    Says which it is, and what its training data say. Errors as for `choice.choose` and `Detector.load`.
    """
    from artdetect.model import choice
    from artdetect.model.detector import Detector

    chosen = choice.choose(named)
    detector = Detector.load(chosen.path)
    for line in choice.introduction(detector, chosen.role, chosen.key):
        say(line)
    return chosen, detector


def say(line: str) -> None:
    """Write a line to stderr, as text for a terminal or as JSON."""
    as_json = json_logging.enabled()
    text = json_logging.format_line("INFO", "artdetect", line) if as_json else f"artdetect: {printable(line)}"
    print(text, file=sys.stderr)
