"""The two classes, and the labels that folder names give.

In a data set, by the grammar of AI-ArtBench, `<split>/<style>` is human and `<split>/AI_<GENERATOR>_<style>` is AI.
Where several data sets are used together, the name of the data set comes first: `<data set>/<split>/<style>`.
Incoming pictures are in `AI/<generator>` and `human/<origin>`, followed by `/<style>` if it is known. Other names give
no label: nothing is guessed.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

CLASSES = ("AI", "human")  # index = class number, as in the notebook; AI is the positive class of every metric
AI, HUMAN = 0, 1
SPLITS = ("train", "test")
GENERATORS = {"LD": "latent_diffusion", "SD": "stable_diffusion"}
INCOMING = "incoming"  # the first part of an incoming picture's path in the index
UNKNOWN = "unknown"  # the style and the source of a picture of which they are not known

_AI_FOLDER = re.compile(r"AI_([A-Za-z0-9.+-]+)_(.+)")
_LIKE_AI = re.compile(r"ai(?![a-z])", re.IGNORECASE)  # AI, ai_sd_x, AI-art: possibly AI, but not a style
_STYLE = re.compile(r"[\w .+-]+")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}")  # of a generator, or of the origin of human art


def has_splits(folder: Path) -> bool:
    """Whether a folder holds train/ or test/."""
    return any((folder / split).is_dir() for split in SPLITS)


@dataclass(frozen=True)
class Origin:
    """The labels that a folder gives its pictures."""

    label: str
    style: str
    generator: str


@lru_cache(maxsize=1024)
def origin(folder: str) -> Origin | None:
    """The labels from the name of a folder below train/ or test/; None if it does not follow the grammar.

    The generator of a human-made picture is "human". Source: the folder names of AI-ArtBench.
    """
    if folder.startswith((".", "_")):
        return None
    if match := _AI_FOLDER.fullmatch(folder):
        token, style = match.groups()
        return Origin("AI", normal_style(style), GENERATORS.get(token, token))
    if _LIKE_AI.match(folder) or not _STYLE.fullmatch(folder):
        return None
    return Origin("human", normal_style(folder), "human")


@lru_cache(maxsize=1024)
def incoming(folder: str) -> Origin | None:
    """The labels from the path of a folder below data/incoming or data/inbox; None if it does not follow the grammar.

    Folders below that of the style do not matter.
    """
    label, name, style = [*folder.split("/"), "", "", ""][:3]
    if label not in CLASSES or not _NAME.fullmatch(name) or name.lower() in ("ai", "human"):
        return None
    if style.startswith((".", "_")) or (style and not _STYLE.fullmatch(style)):
        return None
    generator = "human" if label == CLASSES[HUMAN] else GENERATORS.get(name, name)
    return Origin(label, normal_style(style) if style else UNKNOWN, generator)


def split(sha256: str) -> str:
    """The split of an incoming picture, from the first 16 hex digits of its digest: one in five is for test.

    This must never change: with another rule, pictures that models were trained on would be used to test them.
    """
    return "train" if int(sha256[:16], 16) % 5 else "test"


@dataclass(frozen=True)
class Row:
    """The labels of a picture, from its path in the index."""

    label: str
    split: str
    style: str
    generator: str
    origin: str  # "raw" (from the data set) or "incoming"
    source: str  # where the picture comes from, as far as its folder says it


def row(path: str, sha256: str | None) -> Row:
    """The labels from a path that follows the grammar.

    Args:
        path: A path in the index.
        sha256: The digest of the content; None if it cannot be read.
    """
    first, _, rest = path.rpartition("/")[0].partition("/")
    if first == INCOMING:
        found, which, collection = incoming(rest), split(sha256) if sha256 else "train", rest.split("/")[1]
    else:
        data_set, inside = divided(path)
        which, folder, *_ = inside.split("/")
        found = origin(folder)
        collection = data_set + found.style if found and found.style != UNKNOWN else UNKNOWN
    assert found
    source = collection if found.label == CLASSES[HUMAN] else found.generator
    return Row(found.label, which, found.style, found.generator, INCOMING if first == INCOMING else "raw", source)


def divided(path: str) -> tuple[str, str]:
    """A path in the index as two parts: "<data set>/", empty unless several are used together, and the rest."""
    name, slash, rest = path.partition("/")
    return ("", path) if name in (*SPLITS, INCOMING) else (name + slash, rest)


def normal_style(name: str) -> str:
    """The canonical spelling of a style: the data set has both `ukiyo-e` and `ukiyo_e`."""
    return name.replace("-", "_").replace(" ", "_").lower()
