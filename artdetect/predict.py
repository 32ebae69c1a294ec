"""Verdicts for files and folders: batched, one row a picture, and a bad file is a row with its error."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect import images, store
from artdetect.errors import ArtdetectError, ModelError, PictureError

if TYPE_CHECKING:
    import numpy as np

    from artdetect.detector import Detector

CHUNK = 256  # pictures decoded before a forward pass: bounds memory for folders of any size


@dataclass(frozen=True)
class Verdict:
    """One picture's row. `verdict` and `p_ai` are None where there is an `error`."""

    path: str  # absolute
    verdict: str | None
    p_ai: float | None
    model: str
    error: str | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON and CSV."""
        return asdict(self)


def find_model(path: Path | None = None) -> "Detector":
    """The detector at `path`, an artifact folder or a model file; the newest trained one if left out.

    ModelError where there is none, or it is not one of ours.
    """
    from artdetect.detector import Detector

    if path is not None:
        return Detector.load(path)
    newest = store.newest("train")
    if newest is None:
        raise ModelError("there is no model yet. Train one with `artdetect run`, or name one with --model")
    return Detector.load(newest.folder)


def find_pictures(sources: Iterable[Path]) -> Iterator[Path]:
    """The files named, and the pictures in folders named, recursively, sorted; absolute paths.

    A file that was named counts whatever its name; one found in a folder must be a picture by its name.
    """
    for source in sources:
        source = source.absolute()
        if not source.is_dir():
            yield source
            continue
        unlisted: list[OSError] = []
        for folder, folders, names in os.walk(source, onerror=unlisted.append):
            folders.sort()
            yield from (Path(folder, name) for name in sorted(names) if images.is_candidate(name))
        yield from (Path(error.filename) for error in unlisted)  # rows with an error: nobody has looked inside


def predict(detector: "Detector", paths: Iterable[Path]) -> Iterator[Verdict]:
    """The verdict of each picture, in order; only `CHUNK` pictures are in memory at a time."""
    import numpy as np

    def load(path: Path) -> "np.ndarray | ArtdetectError":
        try:
            return images.load(path, detector.geometry)
        except PictureError as error:
            return error

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for chunk in _chunks(paths):
            loaded = list(pool.map(load, chunk))
            good = [pixels for pixels in loaded if isinstance(pixels, np.ndarray)]
            p_ai = iter(detector.p_ai(np.stack(good)) if good else ())
            for path, result in zip(chunk, loaded, strict=True):
                if isinstance(result, ArtdetectError):
                    yield Verdict(str(path), None, None, detector.id, str(result))
                else:
                    p = float(next(p_ai))
                    yield Verdict(str(path), detector.verdict(p), p, detector.id, None)


def _chunks(paths: Iterable[Path]) -> Iterator[list[Path]]:
    chunk: list[Path] = []
    for path in paths:
        chunk.append(path)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
