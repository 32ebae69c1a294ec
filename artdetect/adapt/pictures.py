"""The labelled pictures of one's own that a model is adapted to."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from artdetect.core import digests
from artdetect.core.errors import DataError, PictureError
from artdetect.pictures import images
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
        """The fold of each picture, below `FOLDS`: by series in a class with enough of them, otherwise by content."""
        series = {label: sorted({picture.series for picture in self.of(label)}) for label in CLASSES}
        return [
            series[picture.label].index(picture.series) % FOLDS
            if len(series[picture.label]) >= FOLDS
            else int(picture.sha256[:8], 16) % FOLDS
            for picture in self.pictures
        ]


def own_pictures(folder: Path) -> OwnPictures:
    """The pictures in `folder`/human and `folder`/AI. The latter may be missing.

    Raises:
        DataError: There is no such folder, one content is in both, or a class has too few pictures.
    """
    roots = {label: _root(folder, label) for label in CLASSES}
    if roots[CLASSES[HUMAN]] is None:
        raise DataError(
            f"{folder}: expected a folder `human` in it with human-made pictures, and if possible a folder `AI` with "
            "AI-generated ones. Pictures of one series may have a folder of their own in these"
        )
    found: dict[str, OwnPicture] = {}
    skipped: dict[str, str] = {}
    for label, root in roots.items():
        for path in _files(root) if root else ():
            try:
                content = images.read(path)
                images.decode(content)
            except PictureError as error:
                skipped[str(path)] = str(error)
                continue
            assert root
            parts = path.relative_to(root).parts
            picture = OwnPicture(path, digests.bytes_digest(content), label, parts[0] if len(parts) > 1 else "")
            if (known := found.setdefault(picture.sha256, picture)).label != label:
                raise DataError(f"{known.path} and {path} are the same picture under two labels. Remove one of them")
    pictures = OwnPictures(tuple(found[sha256] for sha256 in sorted(found)), skipped)
    for label, root in roots.items():
        if root and len(pictures.of(label)) < MIN_PICTURES:
            raise DataError(
                f"{root}: found {len(pictures.of(label))} readable pictures. Adapting needs at least {MIN_PICTURES} "
                "of each folder that is there"
            )
    return pictures


def _root(folder: Path, label: str) -> Path | None:
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder")
    return next(
        (child for child in sorted(folder.iterdir()) if child.is_dir() and child.name.lower() == label.lower()), None
    )


def _files(root: Path) -> Iterator[Path]:
    return (path for path in sorted(root.rglob("*")) if path.is_file() and images.is_candidate(path.name))


def is_ai(pictures: OwnPictures) -> list[bool]:
    """Whether each picture is AI."""
    return [picture.label == CLASSES[AI] for picture in pictures.pictures]
