"""ingest: take in new pictures. Each is checked, stored once under the name of its content, with its provenance.

    data/incoming/AI/<generator>[/<style>]/<first 16 hex digits of its sha256>.<suffix>
    data/incoming/human/<origin>[/<style>]/…
    data/incoming/provenance/<UTC time>-<id>.json

They count as training and test pictures if `index.incoming` is on; see `labels.split`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from artdetect import compute
from artdetect.core import paths
from artdetect.core.errors import DataError
from artdetect.core.progress import Count
from artdetect.index import sources
from artdetect.ingest.batch import BATCH, IngestBatch
from artdetect.ingest.candidates import Candidate, files_in, settled_files
from artdetect.ingest.config import IngestConfig, Sections
from artdetect.ingest.durable_copy import sweep
from artdetect.ingest.incoming import added_since, totals
from artdetect.ingest.known_pictures import KnownPictures
from artdetect.ingest.provenance import Provenance
from artdetect.ingest.result import IngestResult

__all__ = ["IngestConfig", "IngestResult", "Provenance", "added_since", "folder", "inbox", "totals"]


def folder(path: Path, provenance: Provenance, config: Sections, progress: Count | None = None) -> IngestResult:
    """Take the pictures in a folder, or one file. The originals stay in place.

    A table of sources in the folder (see `index.sources`) says where single pictures come from. Every picture is added,
    known already, rejected with a reason, or left. A bad picture does not affect the others.

    Args:
        path: A folder, or a single picture file.
        provenance: What all the pictures are, and where those come from that the table does not name.
        config: The sections that ingest reads.
        progress: Called with the number of pictures done and the total after each chunk.

    Raises:
        DataError: There is no such folder, no file in it has the name of a picture, or its table cannot be used.
    """
    result = IngestResult()
    candidates = list(files_in(path, result))
    if not candidates and not result.rejected:
        raise DataError(f"{path}: found no pictures")
    _take(_by_source(path, provenance, candidates), config, result, move=False, progress=progress)
    return result


def _by_source(folder: Path, provenance: Provenance, candidates: list[Candidate]) -> dict[Provenance, list[Candidate]]:
    """The candidates by their provenance, whose source is from the folder's table where that gives one."""
    file = sources.find_table(folder) if folder.is_dir() else None
    table = sources.read_table(file, data_set=False) if file else None
    divided: dict[Provenance, list[Candidate]] = {}
    for candidate in candidates:
        source = table.source(candidate.name) if table else None
        own = provenance.model_copy(update={"source": source}) if source else provenance
        divided.setdefault(own, []).append(candidate)
    return divided


def inbox(config: Sections, progress: Count | None = None) -> IngestResult:
    """Take the pictures in data/inbox that have settled. Accepted, known and rejected ones leave it once they are safe.

    The names of the folders give the labels: AI/<generator>[/<style>] or human/<origin>[/<style>].
    """
    for label in ("AI", "human"):  # so that there is a place to drop them
        (paths.inbox() / label).mkdir(parents=True, exist_ok=True)
    result = IngestResult()
    candidates = settled_files(config.ingest.settle_seconds, result)
    _take(candidates, config, result, move=True, progress=progress)
    return result


def _take(
    candidates: dict[Provenance, list[Candidate]],
    config: Sections,
    result: IngestResult,
    move: bool,
    progress: Count | None,
) -> None:
    total, done = sum(map(len, candidates.values())), 0
    if not total:
        return
    with compute.use_compute(config.compute), _exclusive():
        known = KnownPictures(config)
        result.compared_with = known.sources
        for provenance, pictures in candidates.items():
            for start in range(0, len(pictures), BATCH):
                chunk = pictures[start : start + BATCH]
                IngestBatch(provenance, known, result, move, config.ingest.reject_unreadable_after).take(chunk)
                done += len(chunk)
                if progress:
                    progress(done, total)


@contextmanager
def _exclusive() -> Iterator[None]:
    """Allow one ingest at a time, and remove the half-written files of a killed one first."""
    from filelock import FileLock

    paths.incoming().mkdir(parents=True, exist_ok=True)
    with FileLock(paths.incoming() / ".lock"):
        sweep()
        yield
