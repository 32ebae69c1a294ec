"""The only place where a picture becomes an array: train, evaluate, predict, explain and serve all use it.

The notebook read pictures in three ways, so its model was served other pixels than it was trained on. Files are
untrusted: any bytes give either a picture or a `PictureError`.

Colour: the embedded ICC profile of an RGB or CMYK picture is converted to sRGB. Scans of human-made art often use Adobe
RGB, and phones use Display P3; without conversion their paler colours would distinguish the classes. sRGB profiles
(nearly all) cost nothing. A profile that lcms refuses is ignored.
"""

import errno
import hashlib
import io
import logging
import math
import re
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from artdetect.core.errors import ConfigError, DataError, PictureError
from artdetect.pictures import decode_limits, png_notes

CACHE_VERSION = 2  # part of the key of cached pixels; raise it whenever a change here changes a pixel
MAX_PIXELS = 178_000_000  # 0.7 GB decoded; just below the limit of Pillow
MAX_SIDE = 65_535  # the limit of JPEG; a kilobyte of TIFF can claim 9 x 8,000,000 and occupy a processor for seconds
MAX_BYTES = 2**30
HEADROOM = 1.5  # a JPEG is decoded at least this many times larger than needed, so that the filter still antialiases
MAX_PROFILE_BYTES = 4 * 2**20  # the largest press profiles are about 2 MB

# What Pillow may open: never EPS, PDF or WMF, which run programs. "JPEG" includes MPO, the two-picture JPEG of phones.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM")
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF")
_SRGB_NAMES = (b"sRGB", "sRGB".encode("utf-16-be"))
_PNG_END = b"IEND\xaeB`\x82"
_MARKUP = (b"<!doctype", b"<html", b"<?xml", b"<svg", b"<head", b"<body")

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PILLOW_WARNINGS = ("ignore", None, Warning, re.compile(r"PIL\."), 0)

# The PictureError has what Pillow logs about a damaged file. A verbose root logger would show every chunk.
logging.getLogger("PIL").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Geometry:
    """The square that every picture is converted to.

    Args:
        size: The square's side in pixels.
        fit: "squash" resizes to size x size whatever the aspect ratio (the notebook's 32x32). "crop" resizes the short
            side to `size` and takes the middle. Both use Pillow's antialiased LANCZOS, also to enlarge small pictures.
    """

    size: int
    fit: Literal["crop", "squash"]

    def __post_init__(self) -> None:
        if not isinstance(self.size, int) or isinstance(self.size, bool) or not 1 <= self.size <= 4096:
            raise ConfigError(
                f"`size` of a geometry must be a whole number of pixels, 1 to 4096. Received: size={self.size!r}"
            )
        if self.fit not in ("crop", "squash"):
            raise ConfigError(f"`fit` of a geometry must be 'crop' or 'squash'. Received: fit={self.fit!r}")

    def max_batch(self, limit: int, max_bytes: int = 64 * 2**20) -> int:
        """How many pictures to process at a time: up to `limit`, as many as fit in `max_bytes`, at least one."""
        return max(1, min(limit, max_bytes // (3 * self.size**2)))

    def as_dict(self) -> dict[str, Any]:
        """The fields as stored in a model file; `Geometry(**fields)` is the inverse."""
        return asdict(self)


def load(source: Path | bytes, geometry: Geometry, sha256: str | None = None) -> np.ndarray:
    """Load one picture as the model sees it. The file is read once.

    Args:
        source: A file, or its content.
        geometry: The square to convert it to.
        sha256: The expected digest of the content (hex), if any.

    Returns:
        uint8 `(size, size, 3)`, RGB, 0..255.

    Raises:
        PictureError: It cannot be read.
        DataError: The content does not match `sha256`.
    """
    with with_path(source):
        return canonical(decoded_for(geometry, opened(content(source, sha256))), geometry)


def decode(source: Path | bytes) -> Image.Image:
    """The first frame of a picture at full size: mode RGB, upright by its EXIF orientation, transparency over white.

    16-bit, 32-bit and float pictures are scaled to 8 bits by the range of their type, not clipped.

    Raises:
        PictureError: It cannot be read. The message gives the path, if there is one, and the reason.
    """
    with with_path(source):
        return upright_rgb(opened(read(source)))


def canonical(picture: Image.Image, geometry: Geometry) -> np.ndarray:
    """Convert an upright RGB picture to a geometry: uint8 `(size, size, 3)`, 0..255."""
    box = None
    if geometry.fit == "crop":
        # The same as resizing the whole picture and then cropping it: the filter also reads pixels beyond the box.
        width, height = picture.size
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        box = (left, top, left + side, top + side)
    return np.array(picture.resize((geometry.size, geometry.size), Image.Resampling.LANCZOS, box=box))


def artwork(
    source: Path | bytes, longest: int, sha256: str | None = None, fit: Literal["crop", "squash"] = "squash"
) -> Image.Image:
    """A picture for display: RGB, with its aspect ratio, never enlarged.

    Args:
        source: A file, or its content.
        longest: The largest length of the long side, in pixels.
        sha256: The expected digest of the content (hex), if any.
        fit: "crop" gives only the square in the middle, which is what a model with that geometry sees.

    Raises:
        PictureError: It cannot be read.
        DataError: The content does not match `sha256`.
    """
    with with_path(source):
        picture = upright_rgb(opened(content(source, sha256)))
    if fit == "crop":
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        picture = picture.crop((left, top, left + side, top + side))
    scale = longest / max(picture.size)
    if scale >= 1:
        return picture
    width, height = (max(1, round(side * scale)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def to_input(pixels: np.ndarray) -> np.ndarray:
    """Scale uint8 `(..., 3)` in 0..255 to float32 in [0, 1]. Nothing else scales pixels.

    Raises:
        TypeError: The dtype is not uint8, so that nothing is ever scaled twice.
    """
    if pixels.dtype != np.uint8:
        raise TypeError(f"`pixels` must be uint8, 0..255. Received: dtype={pixels.dtype}")
    return pixels.astype(np.float32) / np.float32(255)


def contrast(pixels: np.ndarray) -> float:
    """The standard deviation of the grey values of a picture, uint8 `(H, W, 3)`: 0 (one colour) to 127.5."""
    counts = np.array(Image.fromarray(pixels).convert("L").histogram(), np.int64)
    values = np.arange(256)
    number, total, squares = (int((counts * power).sum()) for power in (1, values, values**2))
    return math.sqrt(number * squares - total**2) / number


# The steps of `load` and `decode`, for those who need more of a file than its pixels.


def content(source: Path | bytes, sha256: str | None) -> bytes:
    """The content of a picture file; DataError unless it matches `sha256`, if given; PictureError as for `read`."""
    data = read(source)
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        what = source if isinstance(source, Path) else "the picture"
        raise DataError(f"{what} changed since it was indexed: run the index stage again")
    return data


def read(source: Path | bytes) -> bytes:
    """The content of a picture file.

    Raises:
        PictureError: The file is missing, forbidden, larger than MAX_BYTES, or not a regular file.
    """
    if isinstance(source, bytes):
        return source
    try:
        status = source.stat()
        if not stat.S_ISREG(status.st_mode):  # reading a pipe could block for ever
            raise PictureError("not a regular file")
        if status.st_size > MAX_BYTES:
            raise PictureError(f"the file is too large ({status.st_size:,} bytes; the limit is {MAX_BYTES:,})")
        return source.read_bytes()
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):  # a fault of the machine, not of this picture
            raise
        raise PictureError(f"cannot be read: {(error.strerror or str(error)).lower()}") from error


def opened(data: bytes) -> ImageFile.ImageFile:
    """Open a picture and check its format and size. No pixels are decoded yet.

    Raises:
        PictureError: It is empty, no picture, in another format, of no or excessive size, or beyond `decode_limits`.
    """
    if not data:
        raise PictureError("the file is empty")
    decode_limits.check(data)
    with _plain_errors(data):
        picture = Image.open(io.BytesIO(png_notes.without_damaged(data)), formats=FORMATS)
    width, height = picture.size
    if width < 1 or height < 1:
        raise PictureError(f"the picture has no pixels ({width} x {height})")
    if width * height > MAX_PIXELS:
        raise PictureError(f"too many pixels ({width} x {height}; the limit is {MAX_PIXELS:,})")
    if max(width, height) > MAX_SIDE:
        raise PictureError(f"a side is too long ({width} x {height}; the limit is {MAX_SIDE:,})")
    if picture.format == "PNG" and _PNG_END not in data:  # Pillow accepts a PNG without its last bytes
        raise PictureError("truncated: the file ends before the picture does")
    return picture


def draft(picture: ImageFile.ImageFile, shortest: int, grey: bool = False) -> None:
    """Let a JPEG be decoded at a half, a quarter or an eighth of its size, if both sides keep `shortest` pixels.

    libjpeg scales in the cosine domain. That takes a third of the time; with `HEADROOM` the result differs on average
    by 0.5 to 0.9 of 255 from decoding the whole picture and resizing it once. Truncation is still detected.

    Args:
        picture: An opened picture; only JPEG is affected.
        shortest: The length in pixels that both sides must keep.
        grey: Whether to decode only the luminance.
    """
    picture.draft("L" if grey else None, (shortest, shortest))


def decoded_for(geometry: Geometry, picture: ImageFile.ImageFile) -> Image.Image:
    """An opened picture as `upright_rgb` gives it, decoded no larger than `canonical` needs it."""
    draft(picture, round(HEADROOM * geometry.size))
    return upright_rgb(picture)


def orientation(picture: Image.Image) -> int:
    """The EXIF orientation, 1..8; 1 if there is none or the EXIF data is broken.

    Call it after the pixels are loaded: in PNG it may follow them, and TIFF is turned while loading.
    """
    try:
        value = picture.getexif().get(ExifTags.Base.Orientation, 1)
        return value if value in _UPRIGHT else 1
    except Exception:  # broken EXIF fails in many ways, and must not make the picture unreadable
        return 1


def upright_rgb(picture: Image.Image) -> Image.Image:
    """The pixels of an opened picture: mode RGB, upright, over white, in sRGB.

    Raises:
        PictureError: It is truncated or damaged.
    """
    with _plain_errors():
        picture.load()
        turn = _UPRIGHT.get(orientation(picture))
        plain = _rgb(picture)
        return plain.transpose(turn) if turn is not None else plain


def _rgb(picture: Image.Image) -> Image.Image:
    grey = picture.mode in ("1", "L", "LA", "La", "F") or picture.mode.startswith("I")
    profile = None if grey else picture.info.get("icc_profile")
    if picture.mode in ("I", "F") or picture.mode.startswith("I;"):
        picture = _eight_bit(picture)
    elif picture.mode in ("La", "RGBa"):  # premultiplied alpha
        picture = picture.convert(picture.mode.upper())
    if picture.has_transparency_data:
        picture = _over_white(picture)
    return _srgb(picture, profile)


def _eight_bit(picture: Image.Image) -> Image.Image:
    """Convert modes I;16*, I and F to L: the top of the type's range becomes 255, negative values become 0."""
    values = np.asarray(picture)
    tags = getattr(picture, "tag_v2", {})  # of TIFF
    top = 65535.0  # of I;16, and of I from 16-bit PGM
    if picture.mode == "F":
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        # A float has no top. The convention is 0..1; files that exceed it hold 8 or 16 bits or arbitrary units.
        highest = float(values.max())
        top = next((limit for limit in (1.0, 255.0, 65535.0) if highest <= limit), highest)
    elif picture.mode == "I" and tags:
        bits, signed = tags.get(258, (32,))[0], tags.get(339, (1,))[0] == 2
        values = values if signed or bits < 32 else values.view(np.uint32)
        top = 2.0 ** (bits - signed) - 1
    scaled = np.clip(values.astype(np.float32) / np.float32(top), 0, 1)
    if tags.get(262) == 0:  # WhiteIsZero, which Pillow respects up to 8 bits only
        scaled = 1 - scaled
    return Image.fromarray((scaled * 255 + np.float32(0.5)).astype(np.uint8))


def _over_white(picture: Image.Image) -> Image.Image:
    try:
        picture = picture.convert("RGBA")
    except (ValueError, OverflowError):  # the transparent colour has 16 bits, Pillow's pixels have 8
        return picture.convert("RGB")
    white = Image.new("RGB", picture.size, (255, 255, 255))
    white.paste(picture, mask=picture.getchannel("A"))
    return white


def _srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    if picture.mode not in ("RGB", "CMYK"):
        picture = picture.convert("RGB")
    if profile and len(profile) <= MAX_PROFILE_BYTES and not any(name in profile for name in _SRGB_NAMES):
        from PIL import ImageCms

        with suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):  # a broken profile, or one for another mode
            return ImageCms.applyTransform(picture, _colour_transform(profile, picture.mode)) or picture
    return picture if picture.mode == "RGB" else picture.convert("RGB")


@lru_cache(maxsize=4)
def _colour_transform(profile: bytes, mode: str) -> Any:
    from PIL import ImageCms

    return ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )


@contextmanager
def with_path(source: Path | bytes) -> Iterator[None]:
    """Put the path in front of the message of a PictureError."""
    try:
        yield
    except PictureError as error:
        if isinstance(source, bytes):
            raise
        raise PictureError(f"{source}: {error}") from error.__cause__


@contextmanager
def _plain_errors(data: bytes = b"") -> Iterator[None]:
    """Turn everything that Pillow raises into a PictureError, and suppress its warnings.

    Damaged files make Pillow raise nearly any exception (struct.error, IndexError, SyntaxError, KeyError, MemoryError
    ...), hence `Exception`. `warnings.catch_warnings` would swap a list that all threads share; instead a filter for
    Pillow's modules is inserted once.
    """
    if warnings.filters[:1] != [_PILLOW_WARNINGS]:
        warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        yield
    except Exception as error:
        raise PictureError(_reason(error, data)) from error


def _reason(error: Exception, data: bytes) -> str:
    text = " ".join(str(error).split())[:160]
    if isinstance(error, UnidentifiedImageError):
        if data.lstrip()[:9].lower().startswith(_MARKUP):
            return "not a picture but a web page or other markup"
        if data.startswith(_MAGIC):
            return "the header is truncated or damaged"
        return f"not a picture in a supported format ({', '.join(FORMATS)})"
    if isinstance(error, Image.DecompressionBombError):
        return f"too many pixels (the limit is {MAX_PIXELS:,})"
    if isinstance(error, MemoryError):
        return "decoding it needs more memory than there is"
    if "truncated" in text.lower():
        return "truncated: the file ends before the picture does"
    # Index rows must be reproducible, and an address in a message would differ from run to run.
    return f"damaged: {text}" if text and " at 0x" not in text else "damaged"
