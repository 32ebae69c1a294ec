"""ingest: pictures that come in. Each is checked, kept once under its content's name, and its provenance written down.

    data/incoming/AI/<generator>[/<style>]/<first 16 hex digits of its sha256>.<suffix>
    data/incoming/human/<origin>[/<style>]/…
    data/incoming/provenance/<UTC time>-<id>.json

They count as training and test pictures where `index.incoming` is on; see `labels.split`.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from artdetect import compute, paths
from artdetect.errors import DataError
from artdetect.ingest.batch import BATCH, Batch
from artdetect.ingest.durable import sweep
from artdetect.ingest.known import Known
from artdetect.ingest.result import Result
from artdetect.ingest.said import Said
from artdetect.ingest.waiting import Waiting, below, dropped
from artdetect.progress import Count
from artdetect.section import Section

if TYPE_CHECKING:
    from artdetect.config import Config

__all__ = ["IngestConfig", "Result", "Said", "added_since", "folder", "inbox", "totals"]


class IngestConfig(Section):
    """Section `ingest`: when a file in the inbox counts as copied to its end."""

    settle: float = Field(30, ge=0, description="seconds for which a file in the inbox must not have changed")
    patience: float = Field(
        3600, ge=0, description="seconds after which a file in the inbox that is no readable picture is set aside"
    )


def folder(place: Path, said: Said, config: "Config", progress: Count | None = None) -> Result:
    """Take the pictures in a folder (or one file), which stay where they are; `said` holds for all of them.

    Every picture is added, known before, rejected with a reason, or left; one that fails costs no other.

    Raises:
        DataError: there is no such folder, or no file in it has a picture's name.
    """
    result = Result()
    found = list(below(place, result))
    if not found and not result.rejected:
        raise DataError(f"{place}: found no pictures")
    _take({said: found}, config, result, move=False, progress=progress)
    return result


def inbox(config: "Config", progress: Count | None = None) -> Result:
    """Empty data/inbox as far as files have settled: what is accepted, known or rejected leaves it once it is safe.

    The folders' names say what pictures are: AI/<generator>[/<style>] or human/<origin>[/<style>].
    """
    for label in ("AI", "human"):  # a place to drop them
        (paths.inbox() / label).mkdir(parents=True, exist_ok=True)
    result = Result()
    waiting = dropped(config.ingest.settle, result)
    _take(waiting, config, result, move=True, progress=progress)
    return result


def added_since(index_folder: Path | None) -> Counter[str]:
    """Pictures now in data/incoming, to train and to test, that an index (its artifact folder) does not have.

    All of them where it is None. By `AI/<generator>` and `human/<origin>`; names are listed, no picture is read.
    """
    known: set[str] = set()
    if index_folder is not None:
        import pyarrow.parquet as pq

        known.update(pq.read_table(index_folder / "index.parquet", columns=["path"])["path"].to_pylist())
    return Counter("/".join(path.split("/")[1:3]) for path in _incoming() if path not in known)


def totals() -> dict[str, int]:
    """Pictures in data/incoming by label."""
    found = Counter(path.split("/")[1] for path in _incoming())
    return {label: found[label] for label in ("AI", "human")}


def _incoming() -> list[str]:
    """The paths of all incoming pictures, as in the index."""
    from artdetect.index.listing import Place, listing

    if not paths.incoming().is_dir():
        return []
    return listing(Place(paths.incoming(), "incoming/"))[0]["path"].to_pylist()


def _take(
    waiting: dict[Said, list[Waiting]], config: "Config", result: Result, move: bool, progress: Count | None
) -> None:
    total, done = sum(map(len, waiting.values())), 0
    if not total:
        return
    with compute.use(config.compute), _alone():
        known = Known(config)
        result.compared_with = known.sources
        for said, pictures in waiting.items():
            for start in range(0, len(pictures), BATCH):
                chunk = pictures[start : start + BATCH]
                Batch(said, known, result, move, config.ingest.patience).take(chunk)
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
