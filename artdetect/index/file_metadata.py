"""The metadata of a picture file: the columns of the index that require reading it, and whether it is usable.

A bad file is a row with a reason, never an exception, so that one broken file among a hundred thousand costs one
picture.
"""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import TypedDict

import numpy as np
from PIL import Image, ImageFile

from artdetect.core.errors import PictureError
from artdetect.pictures import images

ANIMATED_FORMATS = ("GIF", "PNG", "WEBP", "AVIF")  # MPO and TIFF hold several pictures, but not in time
QUALITY_TOLERANCE = (
    0.05  # relative to the sum of the tables; rounding by encoders stays below it, Photoshop's tables start at 0.11
)
THUMBNAIL_SHORTEST = 64  # decoded at twice the size of the thumbnail, so that antialiasing works

# ITU-T T.81, annex K.1, which libjpeg (IJG) scales by its quality. Row by row.
_LUMINANCE = """
16 11 10 16 24 40 51 61  12 12 14 19 26 58 60 55  14 13 16 24 40 57 69 56  14 17 22 29 51 87 80 62
18 22 37 56 68 109 103 77  24 35 55 64 81 104 113 92  49 64 78 87 103 121 120 101  72 92 95 98 112 100 103 99
"""
_CHROMINANCE = f"""
17 18 24 47 {"99 " * 4} 18 21 26 66 {"99 " * 4} 24 26 56 {"99 " * 5} 47 66 {"99 " * 6} {"99 " * 32}
"""


class FileMetadata(TypedDict):
    """The metadata of one file; see `file_metadata`."""

    bytes: int | None
    sha256: str | None
    width: int | None
    height: int | None
    format: str | None
    mode: str | None
    jpeg_quality: int | None
    has_exif: bool
    animated: bool
    phash: str | None
    contrast: float | None
    ok: bool
    error: str | None


def file_metadata(path: Path) -> FileMetadata:
    """Read one picture file and return its metadata.

    Returns:
        bytes, sha256: Size and digest (64 hex digits) of the content; None if it cannot be read.
        width, height: The size in pixels as displayed, after the EXIF orientation is applied.
        format: Pillow's name ("JPEG", "MPO" ...).
        mode: Pillow's mode of the stored pixels ("RGB", "P", "CMYK" ...).
        jpeg_quality: IJG quality 1..100; None for other formats and for encoders with their own tables.
        has_exif, animated: bool.
        phash, contrast: The values of the functions with these names for the upright picture; None if not ok.
        ok: Whether all pixels decode.
        error: Why the picture cannot be used; None if ok.
    """
    row = FileMetadata(
        bytes=None,
        sha256=None,
        width=None,
        height=None,
        format=None,
        mode=None,
        jpeg_quality=None,
        has_exif=False,
        animated=False,
        phash=None,
        contrast=None,
        ok=False,
        error=None,
    )
    try:
        data = images.read(path)
        row["bytes"] = len(data)
        row["sha256"] = hashlib.sha256(data).hexdigest()
        picture = images.opened(data)
        _from_header(row, picture)
        images.draft(picture, THUMBNAIL_SHORTEST, grey=True)
        upright = images.upright_rgb(picture)
        _from_pixels(row, picture)
        grey = thumbnail(upright)
        row["phash"] = phash(grey)
        row["contrast"] = contrast(grey)
        row["ok"] = True
    except PictureError as error:
        row["error"] = str(error)
    return row


def _from_header(row: FileMetadata, picture: ImageFile.ImageFile) -> None:
    row["width"], row["height"] = picture.size
    row["format"] = picture.format
    row["mode"] = picture.mode
    tables = getattr(picture, "quantization", None)
    row["jpeg_quality"] = jpeg_quality(tables) if tables else None


def _from_pixels(row: FileMetadata, picture: ImageFile.ImageFile) -> None:
    """Fill in what is known only after the pixels are loaded: the EXIF of a PNG may follow them."""
    if images.orientation(picture) >= 5:
        row["width"], row["height"] = row["height"], row["width"]
    row["has_exif"] = _has_exif(picture)
    row["animated"] = _animated(picture)


def _has_exif(picture: ImageFile.ImageFile) -> bool:
    if picture.info.get("exif") or picture.info.get("Raw profile type exif"):
        return True
    return 0x8769 in getattr(picture, "tag_v2", {})  # the EXIF directory; every TIFF has the other tags


def _animated(picture: ImageFile.ImageFile) -> bool:
    try:
        return picture.format in ANIMATED_FORMATS and bool(getattr(picture, "is_animated", False))
    except Exception:  # a damaged second frame; only the first one counts
        return False


def jpeg_quality(tables: dict[int, list[int]]) -> int | None:
    """The IJG quality (1..100) with the nearest quantisation tables; None if none is near.

    Args:
        tables: The tables as Pillow reads them, 64 values each, row by row: luminance, then chrominance if present.
    """
    order = sorted(tables)
    values = np.concatenate([tables[index] for index in order[:2]]).astype(np.float64)
    standard = _standard_tables()[:, : values.size]
    if values.size not in (64, 128):
        return None
    distance = np.abs(standard - values).sum(axis=1) / standard.sum(axis=1)
    # Search from the top: the tables of the lowest qualities coincide, and the best of them is the fair choice.
    nearest = len(distance) - 1 - int(np.argmin(distance[::-1]))
    return nearest + 1 if distance[nearest] <= QUALITY_TOLERANCE else None


@lru_cache(maxsize=1)
def _standard_tables() -> np.ndarray:
    """float64 `(100, 128)`: luminance and chrominance for quality 1..100. Source: jcparam.c of the IJG's libjpeg."""
    base = np.array((_LUMINANCE + _CHROMINANCE).split(), dtype=np.int64)
    quality = np.arange(1, 101)[:, None]
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    return np.clip((base * scale + 50) // 100, 1, 255).astype(np.float64)


def thumbnail(picture: Image.Image) -> np.ndarray:
    """The whole picture in grey, squashed to uint8 `(32, 32)`: the input of `phash` and `contrast`."""
    return np.asarray(picture.convert("L").resize((32, 32), Image.Resampling.LANCZOS))


def contrast(grey: np.ndarray) -> float:
    """The standard deviation of the grey values of a thumbnail, 0 (flat) to 127.5."""
    return round(float(grey.std()), 2)


def phash(grey: np.ndarray) -> str:
    """A 64-bit perceptual hash of a thumbnail, 16 hex digits.

    Near-duplicates differ in a few bits, other pictures in about 32. Each bit compares a coefficient of the low 8 x 8
    block of the cosine transform, without its first row and column, with their median. A flat picture gives all zeros.
    Source: Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010), section 3.2.1, and
    pHash, its implementation.
    """
    from scipy.fft import dctn

    block = dctn(grey.astype(np.float64), norm="ortho")[1:9, 1:9].ravel()
    block = block.round(3)  # so that the rounding noise of a flat picture is zero on every machine
    return np.packbits(block > np.median(block)).tobytes().hex()
