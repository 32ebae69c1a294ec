"""The two classes, and what a folder name says: AI-ArtBench's grammar.

`<split>/<style>` is human, `<split>/AI_<GENERATOR>_<style>` is AI. Anything else is not guessed at.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

CLASSES = ("AI", "human")  # index = class number, as in the notebook; AI is the positive class of every metric
AI, HUMAN = 0, 1
SPLITS = ("train", "test")
GENERATORS = {"LD": "latent_diffusion", "SD": "stable_diffusion"}

_AI_FOLDER = re.compile(r"AI_([A-Za-z0-9.+-]+)_(.+)")
_LIKE_AI = re.compile(r"ai(?![a-z])", re.IGNORECASE)  # AI, ai_sd_x, AI-art: perhaps AI, surely no style
_STYLE = re.compile(r"[\w .+-]+")


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


def normal_style(name: str) -> str:
    """One spelling a style: the data set writes both `ukiyo-e` and `ukiyo_e`."""
    return name.replace("-", "_").replace(" ", "_").lower()
