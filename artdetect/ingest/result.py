"""What became of the pictures that were given."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Added:
    """A picture that was taken."""

    path: str  # in the index, below data/
    sha256: str
    name: str  # as it was given
    bytes: int


@dataclass(frozen=True)
class Rejected:
    """A picture that was not taken, why, and where it was set aside (below data/; None where it could not be read)."""

    name: str
    reason: str
    kept: str | None = None


@dataclass
class IngestResult:
    """Of one look or one folder; names are as they were given, paths as in the index."""

    added: list[Added] = field(default_factory=list)
    known: list[tuple[str, str]] = field(default_factory=list)  # (name, path of the same content)
    near: list[tuple[str, str]] = field(default_factory=list)  # (path of one added, path of one that looks the same)
    rejected: list[Rejected] = field(default_factory=list)
    left: dict[str, list[str]] = field(default_factory=dict)  # why -> names that stay where they are
    provenance: list[str] = field(default_factory=list)  # files, below data/
    compared_with: list[str] = field(default_factory=list)  # in words

    def leave(self, reason: str, name: str) -> None:
        """Note one that stays where it is."""
        self.left.setdefault(reason, []).append(name)

    @property
    def by_origin(self) -> dict[str, int]:
        """Pictures added, by `AI/<generator>` and `human/<origin>`."""
        return dict(Counter("/".join(picture.path.split("/")[1:3]) for picture in self.added))

    @property
    def counts(self) -> dict[str, int]:
        """How many were added, known, rejected and left."""
        return {
            "added": len(self.added),
            "known": len(self.known),
            "rejected": len(self.rejected),
            "left": sum(map(len, self.left.values())),
        }

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            **self.counts,
            "by_origin": self.by_origin,
            "pictures": [vars(picture) for picture in self.added],
            "known_before": [{"name": name, "path": path} for name, path in self.known],
            "near_duplicates": [{"path": path, "near": other} for path, other in self.near],
            "rejections": [vars(one) for one in self.rejected],
            "left_by_reason": self.left,
            "provenance": self.provenance,
        }
