"""One batch of pictures of which the same is said: read, judged, stored.

Read and judge all; copy what is accepted aside, to the disk; write the provenance; rename. Only then does anything
leave the inbox, so a kill at any moment loses nothing: the next run does again what was not done. Provenance that was
written before a kill names pictures that the next run's names again.
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

BATCH = 2_000  # pictures at most: what a kill can cost to read again
CHANGED = "it changed while it was read"
_UNSAFE = re.compile(r"[^\w.-]", re.ASCII)


@dataclass(frozen=True)
class InspectedFile:
    """A file that was read without changing."""

    waiting: Candidate
    state: FileState
    facts: "FileMetadata"


class IngestBatch:
    """Takes pictures into data/incoming and tells `result`; `move`: they are the inbox's and leave it."""

    def __init__(
        self, said: Provenance, known: KnownPictures, result: IngestResult, move: bool, patience: float
    ) -> None:
        self.said = said
        self.known = known
        self.result = result
        self.move = move
        self.patience = patience
        self.began = datetime.now(UTC)
        self.id = f"{self.began:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
        self._accepted: dict[str, tuple[InspectedFile, Added]] = {}  # by path
        self._same: list[tuple[InspectedFile, KnownPicture]] = []
        self._refused: list[tuple[InspectedFile, Rejected]] = []
        self._near: list[tuple[str, str]] = []

    def take(self, pictures: Sequence[Candidate]) -> None:
        """Read, judge and store these."""
        for chunk, reads in compute.chunks(_read, pictures, compute.WORKER_CHUNK):
            for waiting, read in zip(chunk, reads, strict=True):
                if read is None:
                    self.result.leave(CHANGED, waiting.name)
                else:
                    self._judge(read)
        lost = self._copy()
        self._near = [(path, other) for path, other in self._near if path in self._accepted]
        if self._accepted:
            self._write_provenance()
            durable_copy.commit(paths.data() / path for path in self._accepted)
        self._finish(lost)

    def _judge(self, read: InspectedFile) -> None:
        facts = read.facts
        if not facts["ok"]:
            self._judge_unreadable(read)
            return
        sha256, phash, contrast = str(facts["sha256"]), str(facts["phash"]), float(facts["contrast"] or 0)
        if same := self.known.find(sha256):
            if same.said.label != self.said.label:
                self._refuse(read, f"known as {same.said.label}, {same.path}, and now given as {self._given}")
            else:
                self._same.append((read, same))
            return
        near = self.known.near(phash, contrast)
        if other := next((entry for entry in near if entry.said.label != self.said.label), None):
            known = f"{other.path}, known as {other.said.label}"
            self._refuse(read, f"it looks like {known}, and is now given as {self._given}")
            return
        name = f"{sha256[:16]}{Path(read.waiting.name).suffix.lower()}"
        picture = Added(f"incoming/{self.said.folder}/{name}", sha256, read.waiting.name, read.state.bytes)
        if picture.path in self._accepted or (paths.data() / picture.path).exists():
            self._refuse(read, f"{picture.path} has its name and another content, perhaps since it was damaged")
            return
        if near:  # one of test says most: this one will not be trained on then
            self._near.append((picture.path, min(near, key=lambda entry: entry.said.split != "test").path))
        self._accepted[picture.path] = (read, picture)
        self.known.add(picture.path, sha256, read.state.bytes, phash, contrast)

    def _judge_unreadable(self, read: InspectedFile) -> None:
        reason = str(read.facts["error"])
        too_large = read.state.bytes > images.MAX_BYTES
        if self.move and self.began.timestamp() - read.state.changed < self.patience:
            self.result.leave(f"not readable so far: {reason}", read.waiting.name)
        elif read.facts["sha256"] is None and not (too_large and self.move):
            if self.move:
                self.result.leave(reason, read.waiting.name)
            else:  # nothing of it can be kept, or it is too much to keep twice
                self.result.rejected.append(Rejected(read.waiting.name, reason))
        else:
            self._refuse(read, reason, decide=False)

    @property
    def _given(self) -> str:
        return f"{self.said.label}/{self.said.name}"

    def _refuse(self, read: InspectedFile, reason: str, decide: bool = True) -> None:
        if decide:
            reason += ": a person must decide"
        sha256 = read.facts["sha256"] or digests.file_digest(read.waiting.path)
        name = _UNSAFE.sub("_", read.waiting.name.rpartition("/")[2])[-100:]
        kept = f"rejected/{self._given}/{sha256[:16]}-{name}"
        self._refused.append((read, Rejected(read.waiting.name, reason, kept)))

    def _copy(self) -> set[str]:
        """Copy the accepted ones aside; those that changed meanwhile are left, and their paths given."""
        jobs = [(read.waiting.path, paths.data() / path, made.sha256) for path, (read, made) in self._accepted.items()]
        copied = [whole for _, chunk in compute.chunks(_copy, jobs, compute.WORKER_CHUNK) for whole in chunk]
        lost = {path for path, whole in zip(self._accepted, copied, strict=True) if not whole}
        for path in lost:
            durable_copy.temporary(paths.data() / path).unlink(missing_ok=True)
            read, picture = self._accepted.pop(path)
            self.result.leave(CHANGED, read.waiting.name)
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
            "at": self.began.isoformat(timespec="seconds"),
            "who": registry.current_user(),
            **self.said.as_dict(),
            "pictures": pictures,
            "near_duplicates": [{"path": path, "near": other} for path, other in self._near],
            "known": len(self._same),
            "rejected": [vars(one) for _, one in self._refused],
        }
        atomic.write(target, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        self.result.provenance.append(target.relative_to(paths.data()).as_posix())

    def _finish(self, lost: set[str]) -> None:
        """What is safe now leaves the inbox, and is told."""
        for read, rejected in self._refused:
            self._set_aside(read, rejected)
        for read, _ in (one for one in self._same if one[1].path in lost):  # its equal was not stored after all
            self.result.leave(CHANGED, read.waiting.name)
        same = [one for one in self._same if one[1].path not in lost]
        if self.move:
            # A killed run may have named what is known now, and not had the names on the disk.
            durable_copy.sync_folders({paths.picture(self.known.root, entry.path).parent for _, entry in same})
            for read, _ in [*self._accepted.values(), *same]:
                _remove(read)
        self.result.added += [picture for _, picture in self._accepted.values()]
        self.result.known += [(read.waiting.name, entry.path) for read, entry in same]
        self.result.near += self._near

    def _set_aside(self, read: InspectedFile, rejected: Rejected) -> None:
        assert rejected.kept
        target = paths.data() / rejected.kept
        if not target.exists():
            source = read.waiting.path.absolute()
            why = {"reason": rejected.reason, "given as": self._given, "from": source, "batch": self.id}
            text = "".join(f"{key}: {value}\n" for key, value in why.items())
            atomic.write(target.with_name(f"{target.name}.txt"), text.encode(errors="backslashreplace"))
            copied = durable_copy.copy_aside(read.waiting.path, target)
            if copied is None or not copied.startswith(target.name[:16]):
                durable_copy.temporary(target).unlink(missing_ok=True)
                target.with_name(f"{target.name}.txt").unlink()
                self.result.leave(CHANGED, read.waiting.name)
                return
            durable_copy.commit([target])
        if self.move:
            _remove(read)
        self.result.rejected.append(rejected)


def _read(pictures: Sequence[Candidate]) -> list[InspectedFile | None]:
    """A worker's part: each file's facts, None where it changed meanwhile."""
    from artdetect.index.file_metadata import file_metadata

    found: list[InspectedFile | None] = []
    for one in pictures:
        before = file_state(one.path)
        read = InspectedFile(one, before, file_metadata(one.path)) if before else None
        found.append(read if before == file_state(one.path) else None)
    return found


def _copy(jobs: Sequence[tuple[Path, Path, str]]) -> list[bool]:
    """A worker's part: whether each was copied with the content that it was judged by."""
    return [durable_copy.copy_aside(source, target) == sha256 for source, target, sha256 in jobs]


def _remove(read: InspectedFile) -> None:
    """Remove a file that is safe elsewhere, unless another has come in its place."""
    if file_state(read.waiting.path) == read.state:
        read.waiting.path.unlink(missing_ok=True)
