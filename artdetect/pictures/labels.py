"""The two classes, and what a folder name says.

In a data set, by AI-ArtBench's grammar, `<split>/<style>` is human and `<split>/AI_<GENERATOR>_<style>` is AI; among
incoming pictures `AI/<generator>` and `human/<origin>`, each with `/<style>` where it is known. Anything else is not
guessed at.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

CLASSES = ("AI", "human")  # index = class number, as in the notebook; AI is the positive class of every metric
AI, HUMAN = 0, 1
SPLITS = ("train", "test")
GENERATORS = {"LD": "latent_diffusion", "SD": "stable_diffusion"}
INCOMING = "incoming"  # the first part of an incoming picture's path in the index
UNKNOWN = "unknown"  # the style of an incoming picture of which nobody said one

_AI_FOLDER = re.compile(r"AI_([A-Za-z0-9.+-]+)_(.+)")
_LIKE_AI = re.compile(r"ai(?![a-z])", re.IGNORECASE)  # AI, ai_sd_x, AI-art: perhaps AI, surely no style
_STYLE = re.compile(r"[\w .+-]+")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}")  # of a generator, or of where human art comes from


@dataclass(frozen=True)
class Origin:
    """What a picture's folder says of it."""

    label: str
    style: str
    generator: str


@lru_cache(maxsize=1024)
def origin(folder: str) -> Origin | None:
    """What `folder`, the name below train/ or test/, says; None where it does not follow the grammar.

    The generator of a human-made picture is "human". Source: AI-ArtBench's folder names.
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
    """What `folder`, a path below data/incoming or data/inbox, says; None where it does not follow the grammar.

    Folders below the style's say nothing.
    """
    label, name, style = [*folder.split("/"), "", "", ""][:3]
    if label not in CLASSES or not _NAME.fullmatch(name) or name.lower() in ("ai", "human"):
        return None
    if style.startswith((".", "_")) or (style and not _STYLE.fullmatch(style)):
        return None
    generator = "human" if label == CLASSES[HUMAN] else GENERATORS.get(name, name)
    return Origin(label, normal_style(style) if style else UNKNOWN, generator)


def split(sha256: str) -> str:
    """Where an incoming picture stands, by the first 16 hex digits of its content's digest: one in five is for test.

    Frozen for ever: with another rule, pictures that models were trained on would come to test them.
    """
    return "train" if int(sha256[:16], 16) % 5 else "test"


@dataclass(frozen=True)
class Row:
    """What a picture's path in the index says of it."""

    label: str
    split: str
    style: str
    generator: str
    origin: str  # "raw", of the data set, or "incoming"


def row(path: str, sha256: str | None) -> Row:
    """What a path that follows the grammar says; `sha256`: of the content, None where it cannot be read."""
    first, _, rest = path.rpartition("/")[0].partition("/")
    if first == INCOMING:
        said, where = incoming(rest), split(sha256) if sha256 else "train"
    else:
        said, where = origin(rest.partition("/")[0]), first
    assert said
    return Row(said.label, where, said.style, said.generator, INCOMING if first == INCOMING else "raw")


def normal_style(name: str) -> str:
    """One spelling a style: the data set writes both `ukiyo-e` and `ukiyo_e`."""
    return name.replace("-", "_").replace(" ", "_").lower()
