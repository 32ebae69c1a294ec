"""What is known already: the contents and looks of the incoming pictures and of the config's data set."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from artdetect import download
from artdetect.artifacts import stages, store
from artdetect.audit.duplicates import FLAT
from artdetect.core import paths
from artdetect.core.errors import ArtdetectError
from artdetect.index import listing, scan
from artdetect.index.metadata_cache import MetadataCache
from artdetect.pictures import labels

if TYPE_CHECKING:
    import pyarrow as pa

    from artdetect.ingest.config import Sections

COLUMNS = ["path", "bytes", "mtime_ns", "sha256", "phash", "contrast", "ok"]


@dataclass(frozen=True, slots=True)
class KnownPicture:
    """A known picture."""

    path: str  # as in the index
    sha256: str
    bytes: int
    mtime_ns: int | None  # None while it is being stored

    @property
    def said(self) -> labels.Row:
        """Its label, split and so on."""
        return labels.row(self.path, self.sha256)


class KnownPictures:
    """The pictures in data/incoming, read where they are new, and those of the data set that were read for an index.

    Two pictures look the same by the audit's measure. A picture that has been removed or replaced since it was read is
    no longer known.
    """

    def __init__(self, config: "Sections") -> None:
        self.sources: list[str] = []  # in words, what is compared with
        data_set = _data_set(config)
        self.root = data_set or paths.data()  # where the data set's paths start from
        self._audit = config.audit
        self._entries: list[KnownPicture] = []
        self._by_content: dict[str, int] = {}
        self._hashes = np.zeros(0, dtype=np.uint64)
        self._hashed: list[int] = []  # the entry of each hash
        incoming, _ = scan.scanned(listing.PictureRoot(paths.incoming(), f"{labels.INCOMING}/"))
        self._load("incoming", incoming)
        if data_set is not None:
            self._load(data_set.name, MetadataCache(data_set).load(COLUMNS))

    def find(self, sha256: str) -> KnownPicture | None:
        """The picture with this content."""
        position = self._by_content.get(sha256)
        return self._stands(self._entries[position]) if position is not None else None

    def near(self, phash: str, contrast: float) -> list[KnownPicture]:
        """The pictures that look the same as one with this perceptual hash and contrast."""
        if not self._telling(phash, contrast):
            return []
        distance = np.bitwise_count(self._hashes ^ np.uint64(int(phash, 16)))
        found = (self._entries[self._hashed[at]] for at in np.flatnonzero(distance <= self._audit.near_distance))
        return [entry for entry in found if self._stands(entry)]

    def add(self, path: str, sha256: str, bytes: int, phash: str, contrast: float) -> None:
        """Know one that is about to be stored."""
        self._by_content[sha256] = len(self._entries)
        if self._telling(phash, contrast):
            self._hashes = np.append(self._hashes, np.uint64(int(phash, 16)))
            self._hashed.append(len(self._entries))
        self._entries.append(KnownPicture(path, sha256, bytes, None))

    def forget(self, sha256: str) -> None:
        """Of one that was not stored after all."""
        self._by_content.pop(sha256, None)

    def _load(self, name: str, facts: "pa.Table") -> None:
        before, hashes = len(self._entries), []
        for batch in facts.select(COLUMNS).to_batches(max_chunksize=4096):
            for row in batch.to_pylist():
                if not row["ok"]:
                    continue
                if self._telling(row["phash"], row["contrast"]):
                    hashes.append(int(row["phash"], 16))
                    self._hashed.append(len(self._entries))
                self._by_content.setdefault(row["sha256"], len(self._entries))
                self._entries.append(KnownPicture(row["path"], row["sha256"], row["bytes"], row["mtime_ns"]))
        self._hashes = np.append(self._hashes, np.array(hashes, dtype=np.uint64))
        self.sources.append(f"{len(self._entries) - before:,} pictures of {name}")

    def _telling(self, phash: str, contrast: float) -> bool:
        """Whether there is enough in a picture to compare its looks."""
        return phash != FLAT and contrast >= self._audit.low_contrast

    def _stands(self, entry: KnownPicture) -> KnownPicture | None:
        if entry.mtime_ns is None:
            return entry
        try:
            found = paths.picture(self.root, entry.path).stat()
        except OSError:
            return None
        return entry if (found.st_size, found.st_mtime_ns) == (entry.bytes, entry.mtime_ns) else None


def _data_set(config: "Sections") -> Path | None:
    """The folder of the config's data set, None where it is not there yet."""
    try:
        plan = stages.plan(stages.STAGES["download"], config.download, download.fingerprint(config.download))
        if store.verify("download", str(plan.key)):
            return None
        return listing.find_root(download.folder(store.place("download", str(plan.key))))
    except ArtdetectError:  # an archive or a folder that has gone: nothing of it is known
        return None
