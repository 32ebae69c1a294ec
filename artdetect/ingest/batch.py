"""Ingest one batch of pictures that share their provenance: inspect, decide, store.

All pictures are inspected first. The accepted ones are copied aside, to disk; then the provenance is written; then the
copies get their names. Only after that does anything leave the inbox, so a kill at any moment loses nothing: the next
run repeats what was not done. Provenance written before a kill names pictures that the next run names again.
"""

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from artdetect import compute
from artdetect.artifacts import registry
from artdetect.core import atomic, digests, paths
from artdetect.index.listing import PROVENANCE
from artdetect.ingest import durable_copy
from artdetect.ingest.candidates import Candidate, FileState, file_state
from artdetect.ingest.known_pictures import KnownPicture, KnownPictures
from artdetect.ingest.provenance import Provenance
from artdetect.ingest.result import Added, IngestResult, Rejected
from artdetect.pictures import images

if TYPE_CHECKING:
    from artdetect.index.file_metadata import FileMetadata

BATCH = 2_000  # pictures per batch: the most that must be read again after a kill
CHANGED = "it changed while it was read"
_UNSAFE = re.compile(r"[^\w.-]", re.ASCII)


@dataclass(frozen=True)
class InspectedFile:
    """A file that was read and did not change meanwhile."""

    candidate: Candidate
    state: FileState
    metadata: "FileMetadata"


class IngestBatch:
    """Takes pictures into data/incoming.

    Args:
        provenance: What all pictures of the batch are, and where they come from.
        known: The pictures that exist already; accepted ones are added to them.
        result: Where the outcome is recorded.
        move: Whether the pictures are in the inbox and leave it once they are safe.
        reject_unreadable_after: Seconds after which an unreadable file in the inbox is rejected.
    """

    def __init__(
        self,
        provenance: Provenance,
        known: KnownPictures,
        result: IngestResult,
        move: bool,
        reject_unreadable_after: float,
    ) -> None:
        self.provenance = provenance
        self.known = known
        self.result = result
        self.move = move
        self.reject_unreadable_after = reject_unreadable_after
        self.started = datetime.now(UTC)
        self.id = f"{self.started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
        self._accepted: dict[str, tuple[InspectedFile, Added]] = {}  # by path
        self._same: list[tuple[InspectedFile, KnownPicture]] = []
        self._rejected: list[tuple[InspectedFile, Rejected]] = []
        self._near: list[tuple[str, str]] = []

    def take(self, candidates: Sequence[Candidate]) -> None:
        """Inspect these pictures and store the accepted ones."""
        for chunk, inspected in compute.chunks(_inspect, candidates, compute.WORKER_CHUNK):
            for candidate, file in zip(chunk, inspected, strict=True):
                if file is None:
                    self.result.leave(CHANGED, candidate.name)
                else:
                    self._decide(file)
        lost = self._copy()
        self._near = [(path, other) for path, other in self._near if path in self._accepted]
        if self._accepted:
            self._write_provenance()
            durable_copy.commit(paths.data() / path for path in self._accepted)
        self._finish(lost)

    def _decide(self, file: InspectedFile) -> None:
        """Decide whether a picture is accepted, known already, or rejected."""
        metadata = file.metadata
        if not metadata["ok"]:
            self._decide_unreadable(file)
            return
        sha256, phash = str(metadata["sha256"]), str(metadata["phash"])
        contrast = float(metadata["contrast"] or 0)
        if same := self.known.find(sha256):
            if same.row.label != self.provenance.label:
                self._reject_conflict(file, f"known as {same.row.label}, {same.path}, and now given as {self._given}")
            else:
                self._same.append((file, same))
            return
        near = self.known.near(phash, contrast)
        if other := next((entry for entry in near if entry.row.label != self.provenance.label), None):
            known = f"{other.path}, known as {other.row.label}"
            self._reject_conflict(file, f"it looks like {known}, and is now given as {self._given}")
            return
        name = f"{sha256[:16]}{Path(file.candidate.name).suffix.lower()}"
        picture = Added(f"incoming/{self.provenance.folder}/{name}", sha256, file.candidate.name, file.state.bytes)
        if picture.path in self._accepted or (paths.data() / picture.path).exists():
            self._reject_conflict(file, f"{picture.path} has its name but another content; it may have been damaged")
            return
        if near:  # prefer one in test, because then this picture will not be trained on
            self._near.append((picture.path, min(near, key=lambda entry: entry.row.split != "test").path))
        self._accepted[picture.path] = (file, picture)
        self.known.add(picture.path, sha256, file.state.bytes, phash, contrast)

    def _decide_unreadable(self, file: InspectedFile) -> None:
        reason = str(file.metadata["error"])
        too_large = file.state.bytes > images.MAX_BYTES
        if self.move and self.started.timestamp() - file.state.changed < self.reject_unreadable_after:
            self.result.leave(f"not readable so far: {reason}", file.candidate.name)
        elif file.metadata["sha256"] is None and not (too_large and self.move):
            if self.move:
                self.result.leave(reason, file.candidate.name)
            else:  # it cannot be copied, or it is too large to keep twice
                self.result.rejected.append(Rejected(file.candidate.name, reason))
        else:
            self._reject(file, reason)

    @property
    def _given(self) -> str:
        return f"{self.provenance.label}/{self.provenance.name}"

    def _reject_conflict(self, file: InspectedFile, reason: str) -> None:
        self._reject(file, f"{reason}: a person must decide")

    def _reject(self, file: InspectedFile, reason: str) -> None:
        sha256 = file.metadata["sha256"] or digests.file_digest(file.candidate.path)
        name = _UNSAFE.sub("_", file.candidate.name.rpartition("/")[2])[-100:]
        rejected = Rejected(file.candidate.name, reason, f"rejected/{self._given}/{sha256[:16]}-{name}")
        self._rejected.append((file, rejected))

    def _copy(self) -> set[str]:
        """Copy the accepted pictures aside. Pictures that changed meanwhile are left; their paths are returned."""
        jobs = [(file.candidate.path, paths.data() / path, new.sha256) for path, (file, new) in self._accepted.items()]
        copied = [whole for _, chunk in compute.chunks(_copy, jobs, compute.WORKER_CHUNK) for whole in chunk]
        lost = {path for path, whole in zip(self._accepted, copied, strict=True) if not whole}
        for path in lost:
            durable_copy.temporary(paths.data() / path).unlink(missing_ok=True)
            file, picture = self._accepted.pop(path)
            self.result.leave(CHANGED, file.candidate.name)
            self.known.forget(picture.sha256)
        return lost

    def _write_provenance(self) -> None:
        target = paths.incoming() / PROVENANCE / f"{self.id}.json"
        pictures = [
            {"path": picture.path, "sha256": picture.sha256, "name": picture.name, "bytes": picture.bytes}
            for _, picture in self._accepted.values()
        ]
        content = {
            "batch": self.id,
            "at": self.started.isoformat(timespec="seconds"),
            "who": registry.current_user(),
            **self.provenance.as_dict(),
            "pictures": pictures,
            "near_duplicates": [{"path": path, "near": other} for path, other in self._near],
            "known": len(self._same),
            "rejected": [rejected.as_dict() for _, rejected in self._rejected],
        }
        atomic.write(target, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        self.result.provenance.append(target.relative_to(paths.data()).as_posix())

    def _finish(self, lost: set[str]) -> None:
        """Remove from the inbox what is safe now, and record the outcome."""
        for file, rejected in self._rejected:
            self._set_aside(file, rejected)
        for file, _ in (entry for entry in self._same if entry[1].path in lost):  # its equal was not stored after all
            self.result.leave(CHANGED, file.candidate.name)
        same = [entry for entry in self._same if entry[1].path not in lost]
        if self.move:
            # A killed run may have stored a known picture without flushing its name to disk.
            durable_copy.sync_folders({paths.picture(self.known.root, known.path).parent for _, known in same})
            for file, _ in [*self._accepted.values(), *same]:
                _remove(file)
        self.result.added += [picture for _, picture in self._accepted.values()]
        self.result.known += [(file.candidate.name, known.path) for file, known in same]
        self.result.near += self._near

    def _set_aside(self, file: InspectedFile, rejected: Rejected) -> None:
        """Copy a rejected picture to data/rejected, with the reason beside it."""
        assert rejected.set_aside
        target = paths.data() / rejected.set_aside
        if not target.exists():
            source = file.candidate.path.absolute()
            note = {"reason": rejected.reason, "given as": self._given, "from": source, "batch": self.id}
            text = "".join(f"{key}: {value}\n" for key, value in note.items())
            atomic.write(target.with_name(f"{target.name}.txt"), text.encode(errors="backslashreplace"))
            copied = durable_copy.copy_aside(file.candidate.path, target)
            if copied is None or not copied.startswith(target.name[:16]):
                durable_copy.temporary(target).unlink(missing_ok=True)
                target.with_name(f"{target.name}.txt").unlink()
                self.result.leave(CHANGED, file.candidate.name)
                return
            durable_copy.commit([target])
        if self.move:
            _remove(file)
        self.result.rejected.append(rejected)


def _inspect(candidates: Sequence[Candidate]) -> list[InspectedFile | None]:
    """Read the metadata of each file, on a worker; None for a file that changed meanwhile."""
    from artdetect.index.file_metadata import file_metadata

    inspected: list[InspectedFile | None] = []
    for candidate in candidates:
        before = file_state(candidate.path)
        file = InspectedFile(candidate, before, file_metadata(candidate.path)) if before else None
        inspected.append(file if before == file_state(candidate.path) else None)
    return inspected


def _copy(jobs: Sequence[tuple[Path, Path, str]]) -> list[bool]:
    """Copy files, on a worker; tells for each whether the copy has the content that was inspected."""
    return [durable_copy.copy_aside(source, target) == sha256 for source, target, sha256 in jobs]


def _remove(file: InspectedFile) -> None:
    """Remove a file that is safe elsewhere, unless another one has replaced it."""
    if file_state(file.candidate.path) == file.state:
        file.candidate.path.unlink(missing_ok=True)
