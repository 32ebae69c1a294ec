"""The pictures that exist already: contents and perceptual hashes of the incoming pictures and the data set."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from artdetect import download, plans
from artdetect.artifacts import store
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
    """A picture that exists already."""

    path: str  # as in the index
    sha256: str
    bytes: int
    mtime_ns: int | None  # None if it is not stored yet

    @property
    def row(self) -> labels.Row:
        """The label, split and style that the picture's path gives."""
        return labels.row(self.path, self.sha256)


class KnownPictures:
    """The pictures in data/incoming, and those of the config's data sets that are in the metadata cache.

    New pictures in data/incoming are read. Pictures look alike by the same measure as in the audit. A picture that was
    removed or replaced since it was read is no longer known.
    """

    def __init__(self, config: "Sections") -> None:
        self.sources: list[str] = []  # descriptions of what is compared with
        self.root, data_sets = _data_sets(config)  # the first is the root of the data sets' paths
        self._audit = config.audit
        self._entries: list[KnownPicture] = []
        self._by_content: dict[str, int] = {}
        self._hashes = np.zeros(0, dtype=np.uint64)
        self._hashed: list[int] = []  # the position of the entry of each hash
        incoming, _ = scan.scan_root(listing.PictureRoot(paths.incoming(), f"{labels.INCOMING}/"))
        self._load("incoming", incoming)
        for root in data_sets:
            self._load(root.name or root.folder.name, MetadataCache(root.folder, root.prefix).load(COLUMNS))

    def find(self, sha256: str) -> KnownPicture | None:
        """The known picture with this content, if any."""
        position = self._by_content.get(sha256)
        return self._if_unchanged(self._entries[position]) if position is not None else None

    def near(self, phash: str, contrast: float) -> list[KnownPicture]:
        """The known pictures that look like one with this perceptual hash and contrast."""
        if not self._is_comparable(phash, contrast):
            return []
        distance = np.bitwise_count(self._hashes ^ np.uint64(int(phash, 16)))
        entries = (self._entries[self._hashed[at]] for at in np.flatnonzero(distance <= self._audit.near_distance))
        return [entry for entry in entries if self._if_unchanged(entry)]

    def add(self, path: str, sha256: str, bytes: int, phash: str, contrast: float) -> None:
        """Add a picture that is about to be stored.

        Args:
            path: The picture's path in the index.
            sha256: The digest of its content, 64 hex digits.
            bytes: The size of its file.
            phash: Its perceptual hash, 16 hex digits.
            contrast: The standard deviation of its grey values, see `file_metadata.contrast`.
        """
        self._by_content[sha256] = len(self._entries)
        if self._is_comparable(phash, contrast):
            self._hashes = np.append(self._hashes, np.uint64(int(phash, 16)))
            self._hashed.append(len(self._entries))
        self._entries.append(KnownPicture(path, sha256, bytes, None))

    def forget(self, sha256: str) -> None:
        """Remove a picture that was not stored after all."""
        self._by_content.pop(sha256, None)

    def _load(self, name: str, metadata: "pa.Table") -> None:
        before, hashes = len(self._entries), []
        for batch in metadata.select(COLUMNS).to_batches(max_chunksize=4096):
            for row in batch.to_pylist():
                if not row["ok"]:
                    continue
                if self._is_comparable(row["phash"], row["contrast"]):
                    hashes.append(int(row["phash"], 16))
                    self._hashed.append(len(self._entries))
                self._by_content.setdefault(row["sha256"], len(self._entries))
                self._entries.append(KnownPicture(row["path"], row["sha256"], row["bytes"], row["mtime_ns"]))
        self._hashes = np.append(self._hashes, np.array(hashes, dtype=np.uint64))
        self.sources.append(f"{len(self._entries) - before:,} pictures of {name}")

    def _is_comparable(self, phash: str, contrast: float) -> bool:
        """Whether a picture has enough detail for its hash to be compared."""
        return phash != FLAT and contrast >= self._audit.low_contrast

    def _if_unchanged(self, entry: KnownPicture) -> KnownPicture | None:
        """The picture, or None if its file was removed or replaced."""
        if entry.mtime_ns is None:
            return entry
        try:
            status = paths.picture(self.root, entry.path).stat()
        except OSError:
            return None
        return entry if (status.st_size, status.st_mtime_ns) == (entry.bytes, entry.mtime_ns) else None


def _data_sets(config: "Sections") -> tuple[Path, tuple[listing.PictureRoot, ...]]:
    """The root of the paths of the config's data sets, and the folder of each; none if they do not exist yet."""
    try:
        key = str(plans.plan("download", config.download, {}).key)
        if raw := store.find("download", key):
            roots = listing.picture_roots(download.folder(raw.folder), False, download.tables(raw.folder))
            return (download.folder(raw.folder) if roots[0].name else roots[0].folder), roots
    except ArtdetectError:  # an archive or a folder is gone, so none of its pictures is known
        pass
    return paths.data(), ()
