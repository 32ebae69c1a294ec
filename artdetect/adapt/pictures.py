"""The labelled pictures of one's own that a model is adapted to."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from artdetect.core import digests
from artdetect.core.errors import DataError, PictureError
from artdetect.pictures import file_types, images
from artdetect.pictures.labels import AI, CLASSES, HUMAN

FOLDS = 5  # each own picture is judged by a head that was adapted without it
MIN_PICTURES = 10  # of a class


@dataclass(frozen=True)
class OwnPicture:
    """A readable picture.

    Args:
        path: The file.
        sha256: The digest of its content, hex.
        label: A name in `CLASSES`.
        series: The folder below that of its label, or empty. Pictures of a series belong together.
    """

    path: Path
    sha256: str
    label: str
    series: str


@dataclass(frozen=True)
class OwnPictures:
    """The pictures of a folder, each content once, sorted by content; and why others are left out, by path."""

    pictures: tuple[OwnPicture, ...]
    skipped: dict[str, str]

    def of(self, label: str) -> list[OwnPicture]:
        """The pictures with this label."""
        return [picture for picture in self.pictures if picture.label == label]

    def folds(self) -> list[int]:
        """The fold of each picture, below `FOLDS`. The clusters of a class are spread over the folds in turn."""
        clusters = self.clusters()
        order = {label: dict[str, int]() for label in CLASSES}
        for picture, cluster in zip(self.pictures, clusters, strict=True):
            order[picture.label].setdefault(cluster, len(order[picture.label]))
        return [order[row.label][cluster] % FOLDS for row, cluster in zip(self.pictures, clusters, strict=True)]

    def clusters(self) -> list[str]:
        """What each picture belongs to: its series, or itself where it has none or its class has just one."""
        single = {label: len({picture.series for picture in self.of(label)}) == 1 for label in CLASSES}
        return [
            picture.sha256 if single[picture.label] or not picture.series else f"{picture.label}/{picture.series}"
            for picture in self.pictures
        ]


def own_pictures(folder: Path) -> OwnPictures:
    """The pictures in `folder`/human and `folder`/AI. The latter may be missing.

    Raises:
        DataError: There is no such folder, one content is in both, or a class has too few pictures or two folders.
        StorageError: A folder cannot be read.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder")
    roots = {label: _root(folder, label) for label in CLASSES}
    if roots[CLASSES[HUMAN]] is None:
        raise DataError(
            f"{folder}: expected a folder `human` in it with human-made pictures, and if possible a folder `AI` with "
            "AI-generated ones. Pictures of one series may have a folder of their own in these"
        )
    found: dict[str, OwnPicture] = {}
    skipped: dict[str, str] = {}
    for label, root in roots.items():
        if root is None:
            continue
        for path in _files(root):
            try:
                content = images.read(path)
                images.decode(content)
            except PictureError as error:
                skipped[str(path)] = str(error)
                continue
            parts = path.relative_to(root).parts
            picture = OwnPicture(path, digests.bytes_digest(content), label, parts[0] if len(parts) > 1 else "")
            if (known := found.setdefault(picture.sha256, picture)).label != label:
                raise DataError(f"{known.path} and {path} are the same picture under two labels. Remove one of them")
    pictures = OwnPictures(tuple(found[sha256] for sha256 in sorted(found)), skipped)
    for label, root in roots.items():
        if root and (number := len(pictures.of(label))) < MIN_PICTURES:
            bad = [reason for path, reason in skipped.items() if Path(path).is_relative_to(root)]
            because = f", and {len(bad)} that cannot be read, the first because {bad[0]}" if bad else ""
            raise DataError(
                f"{root}: found {number} different pictures{because}. Adapting needs at least {MIN_PICTURES} of each "
                "folder that is there"
            )
    return pictures


def _root(folder: Path, label: str) -> Path | None:
    """The folder of a class, whatever the case of its name."""
    found = [child for child in sorted(folder.iterdir()) if child.is_dir() and child.name.lower() == label.lower()]
    if len(found) > 1:
        raise DataError(f"{found[0]} and {found[1]} are two folders for one label. Put their pictures into one of them")
    return found[0] if found else None


def _files(root: Path) -> Iterator[Path]:
    return (path for path in sorted(root.rglob("*")) if path.is_file() and file_types.is_candidate(path.name))


def is_ai(pictures: OwnPictures) -> list[bool]:
    """Whether each picture is AI."""
    return [picture.label == CLASSES[AI] for picture in pictures.pictures]
