"""The log of verdicts, which a person may switch on: time, model, p(AI), verdict, reason and novelty of each picture.

It holds no picture, no name, no path and no address. Each line is one JSON object, appended in one write, so that
several processes can share the file and a tool can rotate it.
"""

import json
import os
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from artdetect.core import paths
from artdetect.core.errors import StorageError, storage_error

if TYPE_CHECKING:
    from artdetect.model.predict import Verdict

MAX_READ = 100_000  # newest lines that are looked at


@dataclass(frozen=True)
class Use:
    """One line of the log."""

    time: datetime
    model: str
    p_ai: float
    verdict: str
    reason: str
    novelty: float | None


class UsageLog:
    """Appends verdicts to a file, which is created if it is missing.

    Args:
        path: The file.

    Raises:
        StorageError: The file cannot be written.
    """

    def __init__(self, path: Path):
        self.path = path
        self._write(b"")  # fails now rather than after the first picture

    def add(self, verdict: "Verdict") -> None:
        """Append a verdict; one with an error has none, and is left out."""
        if verdict.error is None:
            line = {
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
                "model": verdict.model,
                "p_ai": verdict.p_ai,
                "verdict": verdict.verdict,
                "reason": verdict.reason,
                "novelty": verdict.novelty,
            }
            self._write(f"{json.dumps(line)}\n".encode())

    def _write(self, line: bytes) -> None:
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            raise StorageError(f"{self.path}: there is no folder {self.path.parent}: create it first") from None
        except OSError as error:
            raise storage_error(error) or error from None
        try:
            os.write(descriptor, line)
        except OSError as error:
            raise storage_error(error) or error from None
        finally:
            os.close(descriptor)


def located(path: Path) -> Path:
    """The file that the config names, relative to the project."""
    return paths.project() / path


def read(path: Path, since: datetime) -> Iterator[Use]:
    """The uses since a time, oldest first, of the `MAX_READ` newest lines; lines that cannot be read are left out."""
    try:
        with path.open("rb") as file:
            lines = deque(file, MAX_READ)
    except FileNotFoundError:
        return
    except OSError as error:
        raise storage_error(error) or error from None
    for line in lines:
        with suppress(ValueError, TypeError, KeyError, AttributeError):
            found = json.loads(line)
            novelty = found["novelty"]
            use = Use(
                datetime.fromisoformat(found["time"]),
                str(found["model"]),
                float(found["p_ai"]),
                str(found["verdict"]),
                str(found["reason"]),
                None if novelty is None else float(novelty),
            )
            if use.time >= since:
                yield use
