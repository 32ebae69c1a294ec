"""What a data set says of itself: its file NOTICE.txt, which is shown wherever a model trained on it is used."""

from dataclasses import dataclass
from pathlib import Path

DEMONSTRATION = "Demonstration: true"  # a line of the notice: models trained on these pictures judge no others


@dataclass(frozen=True)
class Notice:
    """The notice of a data set, or those of several, one after the other. It is text from outside."""

    text: str = ""  # without the mark
    demonstration: bool = False  # whether one of the data sets is marked with the line `DEMONSTRATION`

    @property
    def paragraphs(self) -> list[str]:
        """The text's paragraphs, each on one line."""
        return [line for part in self.text.split("\n\n") if (line := " ".join(part.split()))]


def read(path: Path) -> Notice:
    """The notice in a file; an empty one if there is no file."""
    if not path.is_file():
        return Notice()
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    kept = [line for line in lines if line.strip().casefold() != DEMONSTRATION.casefold()]
    return Notice("\n".join(kept).strip(), len(kept) < len(lines))
