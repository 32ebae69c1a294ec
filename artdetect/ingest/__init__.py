"""ingest: pictures that come in. Each is checked, kept once under its content's name, and its provenance written down.

    data/incoming/AI/<generator>[/<style>]/<first 16 hex digits of its sha256>.<suffix>
    data/incoming/human/<origin>[/<style>]/…
    data/incoming/provenance/<UTC time>-<id>.json

They count as training and test pictures where `index.incoming` is on; see `labels.split`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from artdetect import compute
from artdetect.core import paths
from artdetect.core.errors import DataError
from artdetect.core.progress import Count
from artdetect.ingest.batch import BATCH, IngestBatch
from artdetect.ingest.candidates import Candidate, files_in, settled_files
from artdetect.ingest.config import IngestConfig, Sections
from artdetect.ingest.durable_copy import sweep
from artdetect.ingest.incoming import added_since, totals
from artdetect.ingest.known_pictures import KnownPictures
from artdetect.ingest.provenance import Provenance
from artdetect.ingest.result import IngestResult

__all__ = ["IngestConfig", "IngestResult", "Provenance", "added_since", "folder", "inbox", "totals"]


def folder(place: Path, said: Provenance, config: Sections, progress: Count | None = None) -> IngestResult:
    """Take the pictures in a folder (or one file), which stay where they are; `said` holds for all of them.

    Every picture is added, known before, rejected with a reason, or left; one that fails costs no other.

    Raises:
        DataError: there is no such folder, or no file in it has a picture's name.
    """
    result = IngestResult()
    found = list(files_in(place, result))
    if not found and not result.rejected:
        raise DataError(f"{place}: found no pictures")
    _take({said: found}, config, result, move=False, progress=progress)
    return result


def inbox(config: Sections, progress: Count | None = None) -> IngestResult:
    """Empty data/inbox as far as files have settled: what is accepted, known or rejected leaves it once it is safe.

    The folders' names say what pictures are: AI/<generator>[/<style>] or human/<origin>[/<style>].
    """
    for label in ("AI", "human"):  # a place to drop them
        (paths.inbox() / label).mkdir(parents=True, exist_ok=True)
    result = IngestResult()
    waiting = settled_files(config.ingest.settle, result)
    _take(waiting, config, result, move=True, progress=progress)
    return result


def _take(
    waiting: dict[Provenance, list[Candidate]],
    config: Sections,
    result: IngestResult,
    move: bool,
    progress: Count | None,
) -> None:
    total, done = sum(map(len, waiting.values())), 0
    if not total:
        return
    with compute.use_compute(config.compute), _alone():
        known = KnownPictures(config)
        result.compared_with = known.sources
        for said, pictures in waiting.items():
            for start in range(0, len(pictures), BATCH):
                chunk = pictures[start : start + BATCH]
                IngestBatch(said, known, result, move, config.ingest.patience).take(chunk)
                done += len(chunk)
                if progress:
                    progress(done, total)


@contextmanager
def _alone() -> Iterator[None]:
    """One ingest at a time; what a killed one left half written goes first."""
    from filelock import FileLock

    paths.incoming().mkdir(parents=True, exist_ok=True)
    with FileLock(paths.incoming() / ".lock"):
        sweep()
        yield
