"""Pictures as Python code has them: paths, folders, patterns, PIL pictures, arrays, or lists of these."""

import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Union

from artdetect.core.errors import DataError
from artdetect.pictures import images, path_patterns

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

ACCEPTED = (
    "a path, a folder, a pattern such as 'scans/*.jpg', a PIL picture, an array uint8 [H, W, 3], or a list of these"
)
Picture: TypeAlias = Union[str, "os.PathLike[str]", "Image.Image", "np.ndarray"]
Pictures: TypeAlias = Picture | Iterable[Picture]


def sources(pictures: Pictures) -> Iterator[tuple[str, Path | bytes]]:
    """The name of each picture and its file, or the content of one where it is in memory.

    Files have their paths as names, PIL pictures the file that they were opened from or else their number, arrays their
    number: "picture 0" is the first.

    Args:
        pictures: One of `ACCEPTED`. A folder stands for the pictures below it, an array uint8 [N, H, W, 3] for N.

    Raises:
        DataError: A pattern matches nothing.
        TypeError: Something is none of these.
    """
    for number, picture in enumerate(_flat(pictures)):
        if isinstance(picture, Path):
            yield str(picture), picture
        else:
            yield getattr(picture, "filename", "") or f"picture {number}", _content(picture)


def single(picture: Picture) -> tuple[str, Path | bytes]:
    """The name and the source of one picture, as `sources` gives them.

    Raises:
        DataError: There are several, or none.
        TypeError: It is no picture.
    """
    found = sources(picture)
    first = next(found, None)
    if first is None or next(found, None) is not None:
        raise DataError(f"expected one picture, received {'none' if first is None else 'several'}")
    return first


def _flat(pictures: Pictures) -> "Iterator[Path | Image.Image]":
    """The pictures one by one, of folders and patterns, too; arrays as PIL pictures."""
    import numpy as np
    from PIL import Image

    from artdetect.model import predict

    if isinstance(pictures, str | os.PathLike):
        yield from predict.find_pictures(path_patterns.expand(os.fspath(pictures)))
    elif isinstance(pictures, Image.Image):
        yield pictures
    elif isinstance(pictures, np.ndarray):
        if pictures.dtype != np.uint8 or pictures.ndim not in (3, 4) or pictures.shape[-1] != 3:
            raise _wrong_type(pictures)
        yield from map(Image.fromarray, pictures if pictures.ndim == 4 else pictures[None])
    elif isinstance(pictures, Iterable) and not isinstance(pictures, bytes | bytearray | dict):
        for picture in pictures:
            yield from _flat(picture)
    else:
        raise _wrong_type(pictures)


def _wrong_type(value: object) -> TypeError:
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    what = f"an array {dtype} {list(shape)}" if shape is not None else type(value).__name__
    return TypeError(f"expected {ACCEPTED}. Received: {what}")


def _content(picture: "Image.Image") -> bytes:
    """A file with these pixels, so that a picture in memory goes the same way as one on disk."""
    buffer = io.BytesIO()
    images.upright_rgb(picture).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
