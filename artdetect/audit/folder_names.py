"""Folder names: which files were left out, and which folders may be meant otherwise than they were read."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from artdetect.pictures import labels

NOTICE = "NOTICE.txt"  # belongs to a data set: no file that was forgotten
MACOS = "leftovers of macOS"

_AI_SOMETHING = re.compile(r"ai[ _.-]*([a-z0-9.+]+)[ _-]+(.+)", re.IGNORECASE)
# Words in the name of a folder of human art that make one ask.
_OF_MACHINES = frozenset(
    {
        *("ai", "dalle", "dalle2", "dalle3", "diffusion", "fake", "firefly", "flux", "gan", "generated", "imagen"),
        *("ld", "midjourney", "mj", "sd", "sd15", "sd21", "sdxl", "stylegan", "synthetic"),
    }
)


def skipped_files(skipped: Mapping[str, Sequence[str]]) -> Counter[tuple[str, str]]:
    """(reason, folder) -> files. `skipped`: reason -> paths, as the index writes it."""
    found: Counter[tuple[str, str]] = Counter()
    for reason, paths in skipped.items():
        for path in map(PurePosixPath, paths):
            if str(path) != NOTICE:
                litter = "__MACOSX" in path.parts or path.name.startswith("._")
                found[MACOS if litter else reason, str(path.parent)] += 1
    return found


def suggest(folder: str) -> str | None:
    """What the name of a folder that says neither AI nor human may be meant as: ai_sd_baroque -> AI_SD_baroque."""
    match = _AI_SOMETHING.fullmatch(PurePosixPath(folder).name)
    if match is None:
        return None
    token, style = match.groups()
    likely = f"AI_{token.upper() if token.upper() in labels.GENERATORS else token}_{style}"
    return likely if labels.origin(likely) else None


def suspicious(paths: Iterable[str]) -> Counter[str]:
    """Folder -> pictures, of those that count as human art though their name sounds of a generator.

    `paths`: of the human pictures.
    """
    folders = Counter("/".join(path.split("/", 2)[:2]) for path in paths)
    return Counter(
        {
            folder: pictures
            for folder, pictures in folders.items()
            if _OF_MACHINES & set(re.split(r"[ _.+-]", folder.split("/")[1].lower()))
        }
    )
