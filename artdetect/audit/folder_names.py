"""Folder names: which files were skipped, and which folders may have been misread."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from artdetect.pictures import labels

MACOS = "leftovers of macOS"

_SIMILAR_TO_AI = re.compile(r"ai[ _.-]*([a-z0-9.+]+)[ _-]+(.+)", re.IGNORECASE)
# Words that are suspicious in the name of a folder of human art.
_GENERATOR_WORDS = frozenset(
    {
        *("ai", "dalle", "dalle2", "dalle3", "diffusion", "fake", "firefly", "flux", "gan", "generated", "imagen"),
        *("ld", "midjourney", "mj", "sd", "sd15", "sd21", "sdxl", "stylegan", "synthetic"),
    }
)


def skipped_files(skipped: Mapping[str, Sequence[str]]) -> Counter[tuple[str, str]]:
    """The number of skipped files by (reason, folder).

    Args:
        skipped: Reason -> paths, as in skipped.json.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for reason, paths in skipped.items():
        for path in map(PurePosixPath, paths):
            is_leftover = "__MACOSX" in path.parts or path.name.startswith("._")
            counts[MACOS if is_leftover else reason, str(path.parent)] += 1
    return counts


def suggest(folder: str) -> str | None:
    """The likely meaning of a folder name outside the grammar, for instance ai_sd_baroque -> AI_SD_baroque."""
    match = _SIMILAR_TO_AI.fullmatch(PurePosixPath(folder).name)
    if match is None:
        return None
    token, style = match.groups()
    likely = f"AI_{token.upper() if token.upper() in labels.GENERATORS else token}_{style}"
    return likely if labels.origin(likely) else None


def suspicious(paths: Iterable[str]) -> Counter[str]:
    """The number of pictures by folder, for folders of human art whose names sound like a generator.

    Args:
        paths: The paths of the human pictures.
    """
    parts = (labels.divided(path) for path in paths)
    folders = Counter(data_set + "/".join(inside.split("/", 2)[:2]) for data_set, inside in parts)
    return Counter(
        {
            folder: pictures
            for folder, pictures in folders.items()
            if _GENERATOR_WORDS & set(re.split(r"[ _.+-]", folder.rpartition("/")[2].lower()))
        }
    )
