"""Verdicts that somebody calls wrong: the picture and a note, kept for a person to look at.

They are candidates for golden cases and training pictures, nothing more: whoever can reach the service can write here.
The folder has the layout of both, `AI/<origin>/` and `human/<origin>/`, so that a reviewed picture can be moved to
data/golden or given to `artdetect ingest`.
"""

import hashlib
import json
import time
from pathlib import Path
from typing import Any

from filelock import FileLock

from artdetect.core import atomic, paths
from artdetect.core.errors import ConfigError
from artdetect.formatting.text import printable
from artdetect.pictures.labels import CLASSES

ORIGIN = "feedback"
NOTES = "notes.jsonl"
MAX_NOTE = 1000  # characters
MAX_CASES = 1000  # in the folder
MAX_BYTES = 4 * 2**30  # of them all
SUFFIXES = {
    b"\xff\xd8": ".jpg",
    b"\x89PNG": ".png",
    b"RIFF": ".webp",
    b"GIF8": ".gif",
    b"BM": ".bmp",
    b"II": ".tif",
    b"MM": ".tif",
}


class FolderFullError(Exception):
    """No further case is kept."""


class FeedbackFolder:
    """A folder of candidates.

    Args:
        folder: The folder, which is made.

    Raises:
        ConfigError: It cannot be made or written to, or is the folder of golden cases itself.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        if folder.resolve().is_relative_to((paths.data() / "golden").resolve()):
            raise ConfigError(f"--feedback {folder}: a person must look at a picture before it is a golden case")
        try:
            for label in CLASSES:
                (folder / label / ORIGIN).mkdir(parents=True, exist_ok=True)
            with FileLock(self._lock):
                pass
        except OSError as error:
            raise ConfigError(f"--feedback {folder}: cannot be written to ({error.strerror})") from None

    def add(self, content: bytes, label: str, note: str, verdict: dict[str, Any]) -> str:
        """Keep a picture; the same picture again gives another note only.

        Args:
            content: The picture's file, which was decoded before.
            label: What it is according to the person, one of `CLASSES`.
            note: Their words, up to MAX_NOTE characters.
            verdict: The row that they call wrong.

        Returns:
            The name of the case.

        Raises:
            FolderFullError: The folder holds MAX_CASES pictures, or MAX_BYTES.
        """
        suffix = next((end for start, end in SUFFIXES.items() if content.startswith(start)), ".avif")
        digest = hashlib.sha256(content).hexdigest()
        path = self.folder / label / ORIGIN / f"{digest[:16]}{suffix}"
        row = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "path": path.relative_to(self.folder).as_posix(),
            "sha256": digest,
            "label": label,
            "note": printable(note[:MAX_NOTE]),
            **{name: verdict[name] for name in ("verdict", "reason", "p_ai", "model")},
        }
        with FileLock(self._lock):
            notes = self.folder / NOTES
            if not path.exists():
                sizes = [file.stat().st_size for label in CLASSES for file in (self.folder / label / ORIGIN).iterdir()]
                if len(sizes) >= MAX_CASES or sum(sizes) + len(content) > MAX_BYTES:
                    raise FolderFullError
                atomic.write(path, content)
            elif notes.exists() and notes.stat().st_size > MAX_CASES * 10_000:
                raise FolderFullError
            with notes.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
        return row["path"]

    @property
    def _lock(self) -> Path:
        return self.folder / ".lock"
