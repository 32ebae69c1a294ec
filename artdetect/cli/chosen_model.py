"""The model that a command uses, and what it says of it."""

from pathlib import Path
from typing import TYPE_CHECKING

from artdetect.cli import terminal

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
    with terminal.activity("loading the model"):
        from artdetect.model import choice
        from artdetect.model.detector import Detector

        chosen = choice.choose(named)
        detector = Detector.load(chosen.path)
    for line in choice.introduction(detector, chosen.role, chosen.key):
        terminal.say(line)
    return chosen, detector
