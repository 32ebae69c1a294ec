"""What one read of a picture file tells: the columns of the index that need its bytes, and whether it can be used.

A bad file is a row with a reason, never an exception, so that one broken download among a hundred thousand pictures
costs one picture.
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
QUALITY_TOLERANCE = 0.05  # of the tables' sum; encoders' rounding stays below, Photoshop's own tables begin at 0.11
THUMBNAIL_SHORTEST = 64  # decoded twice as large as the thumbnail, so that its antialiasing has something to work on

# ITU-T T.81, annex K.1, which libjpeg (IJG) scales by its quality. Row by row.
_LUMINANCE = """
16 11 10 16 24 40 51 61  12 12 14 19 26 58 60 55  14 13 16 24 40 57 69 56  14 17 22 29 51 87 80 62
18 22 37 56 68 109 103 77  24 35 55 64 81 104 113 92  49 64 78 87 103 121 120 101  72 92 95 98 112 100 103 99
"""
_CHROMINANCE = f"""
17 18 24 47 {"99 " * 4} 18 21 26 66 {"99 " * 4} 24 26 56 {"99 " * 5} 47 66 {"99 " * 6} {"99 " * 32}
"""


class FileMetadata(TypedDict):
    """The facts of one file; see `facts`."""

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
    """All that the index keeps of one file's content.

    Returns:
        bytes: size of the file, and sha256: of its content (64 hex digits); None where it cannot be read.
        width, height: in pixels as displayed, after the EXIF orientation.
        format: Pillow's name ("JPEG", "MPO" ...), and mode: as stored ("RGB", "P", "CMYK" ...).
        jpeg_quality: IJG quality 1..100; None for other formats and for other encoders' own tables.
        has_exif, animated: bool.
        phash, contrast: of the upright picture, see there; None where not ok.
        ok: whether the pixels decode to the end, and error: why not, None where ok.
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
    """What is known only once the pixels are loaded: PNG may keep its EXIF behind them."""
    if images.orientation(picture) >= 5:
        row["width"], row["height"] = row["height"], row["width"]
    row["has_exif"] = _has_exif(picture)
    row["animated"] = _animated(picture)


def _has_exif(picture: ImageFile.ImageFile) -> bool:
    if picture.info.get("exif") or picture.info.get("Raw profile type exif"):
        return True
    return 0x8769 in getattr(picture, "tag_v2", {})  # the Exif directory; every TIFF has the other tags


def _animated(picture: ImageFile.ImageFile) -> bool:
    try:
        return picture.format in ANIMATED_FORMATS and bool(getattr(picture, "is_animated", False))
    except Exception:  # a damaged second frame; the first, the one that counts, has been decoded
        return False


def jpeg_quality(tables: dict[int, list[int]]) -> int | None:
    """The IJG quality (1..100) whose quantisation tables are nearest, None where none is near.

    `tables`: as Pillow reads them, 64 values each, row by row: first luminance, then chrominance where there is colour.
    """
    order = sorted(tables)
    found = np.concatenate([tables[index] for index in order[:2]]).astype(np.float64)
    standard = _standard_tables()[:, : found.size]
    if found.size not in (64, 128):
        return None
    distance = np.abs(standard - found).sum(axis=1) / standard.sum(axis=1)
    # From the top: the tables of the lowest qualities coincide, and the best of them is the fair answer.
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
    """What fingerprints are taken of: the whole picture, grey, squashed to uint8 `(32, 32)`."""
    return np.asarray(picture.convert("L").resize((32, 32), Image.Resampling.LANCZOS))


def contrast(grey: np.ndarray) -> float:
    """How much there is to see in a thumbnail: the standard deviation of its grey values, 0 (flat) to 127.5."""
    return round(float(grey.std()), 2)


def phash(grey: np.ndarray) -> str:
    """A 64-bit perceptual hash of a thumbnail, 16 hex digits; near duplicates differ in a few bits, others in about 32.

    The low 8 x 8 block of the thumbnail's cosine transform, without its first row and column, each coefficient against
    their median; all zeros for a flat picture. Source: Zauner, "Implementation and Benchmarking of Perceptual Image
    Hash Functions" (2010), section 3.2.1, and pHash, its implementation.
    """
    from scipy.fft import dctn

    block = dctn(grey.astype(np.float64), norm="ortho")[1:9, 1:9].ravel()
    block = block.round(3)  # so that a flat picture's rounding noise is zero on every machine
    return np.packbits(block > np.median(block)).tobytes().hex()
