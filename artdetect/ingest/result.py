"""The outcome of an ingest."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Added:
    """A picture that was added."""

    path: str  # in the index, below data/
    sha256: str
    name: str  # as given
    bytes: int


@dataclass(frozen=True)
class Rejected:
    """A picture that was rejected."""

    name: str  # as given
    reason: str
    set_aside: str | None = None  # the copy, below data/; None if it could not be read

    def as_dict(self) -> dict[str, Any]:
        """The picture as JSON values; `kept` is the name of the copy in provenance records."""
        return {"name": self.name, "reason": self.reason, "kept": self.set_aside}


@dataclass
class IngestResult:
    """The outcome for the inbox or one folder. Names are as given, paths as in the index."""

    added: list[Added] = field(default_factory=list)
    known: list[tuple[str, str]] = field(default_factory=list)  # (name, path of the same content)
    near: list[tuple[str, str]] = field(default_factory=list)  # (path of an added one, path of one that looks the same)
    rejected: list[Rejected] = field(default_factory=list)
    left: dict[str, list[str]] = field(default_factory=dict)  # reason -> names that stay in place
    provenance: list[str] = field(default_factory=list)  # files, below data/
    compared_with: list[str] = field(default_factory=list)  # descriptions of the known pictures

    def leave(self, reason: str, name: str) -> None:
        """Record a picture that stays in place."""
        self.left.setdefault(reason, []).append(name)

    @property
    def by_origin(self) -> dict[str, int]:
        """The number of added pictures by `AI/<generator>` and `human/<origin>`."""
        return dict(Counter("/".join(picture.path.split("/")[1:3]) for picture in self.added))

    @property
    def counts(self) -> dict[str, int]:
        """The numbers of pictures added, known, rejected and left."""
        return {
            "added": len(self.added),
            "known": len(self.known),
            "rejected": len(self.rejected),
            "left": sum(map(len, self.left.values())),
        }

    def as_dict(self) -> dict[str, Any]:
        """The outcome as JSON values."""
        return {
            **self.counts,
            "by_origin": self.by_origin,
            "pictures": [vars(picture) for picture in self.added],
            "known_before": [{"name": name, "path": path} for name, path in self.known],
            "near_duplicates": [{"path": path, "near": other} for path, other in self.near],
            "rejections": [rejected.as_dict() for rejected in self.rejected],
            "left_by_reason": self.left,
            "provenance": self.provenance,
        }
