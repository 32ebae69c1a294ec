"""The one place where a picture becomes an array: train, evaluate, predict, explain and serve all come through here.

The notebook read pictures three ways, and its model was served other pixels than it had learnt from. Files are
untrusted: whatever bytes come, the answer is a picture or a `PictureError`.

Colour: an embedded ICC profile of an RGB or CMYK picture is converted to sRGB, because scans of human-made art often
carry Adobe RGB and phones Display P3, and without conversion their paler colours would tell the classes apart. sRGB
profiles (nearly all) cost nothing; a profile that lcms refuses is ignored.
"""

import errno
import hashlib
import io
import logging
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

CACHE_VERSION = 2  # part of every cached pixel's key: raise it whenever a change here changes a pixel
MAX_PIXELS = 178_000_000  # 0.7 GB decoded; just below where Pillow itself refuses
MAX_SIDE = 65_535  # JPEG's own; a kilobyte of TIFF can claim 9 x 8,000,000 and hold a processor for seconds
MAX_BYTES = 2**30
HEADROOM = 1.5  # a JPEG is decoded at least so many times larger than needed, which leaves the filter its work
MAX_PROFILE_BYTES = 4 * 2**20  # the largest press profiles are about 2 MB

# What Pillow may open. Never EPS, PDF or WMF, which run programs; "JPEG" includes MPO, the phones' two-picture JPEG.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM")
SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"))
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

# What Pillow logs of a damaged file is in the PictureError; where the root logger shows all, it would log every chunk.
logging.getLogger("PIL").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Geometry:
    """The square every picture is brought to: `size` in pixels, and how it gets there.

    "squash" resizes to size x size whatever the aspect (the notebook's 32x32); "crop" resizes the short side to
    `size` and keeps the middle. Both use Pillow's antialiased LANCZOS; small pictures are enlarged the same way.
    """

    size: int
    fit: Literal["crop", "squash"]

    def __post_init__(self) -> None:
        if not isinstance(self.size, int) or isinstance(self.size, bool) or not 1 <= self.size <= 4096:
            raise ConfigError(
                f"A geometry's `size` is a whole number of pixels, 1 to 4096. Received: size={self.size!r}"
            )
        if self.fit not in ("crop", "squash"):
            raise ConfigError(f"Unknown `fit`; it is 'crop' or 'squash'. Received: fit={self.fit!r}")

    def fitting(self, most: int, limit: int = 64 * 2**20) -> int:
        """How many pictures to hold at a time: `most`, or as many as fit in `limit` bytes; at least one."""
        return max(1, min(most, limit // (3 * self.size**2)))

    def as_dict(self) -> dict[str, Any]:
        """As a model file keeps it; `Geometry(**that)` is the inverse."""
        return asdict(self)


def is_candidate(name: str) -> bool:
    """Whether a file of this name is looked at: a picture's suffix in any case, and not hidden (`.x`, `._x.jpg`)."""
    name = name.rpartition("/")[2]
    _, dot, suffix = name.rpartition(".")
    return dot + suffix.lower() in SUFFIXES and not name.startswith(".")


def load(source: Path | bytes, geometry: Geometry, sha256: str | None = None) -> np.ndarray:
    """One picture as the model sees it: uint8 `(size, size, 3)`, RGB, 0..255; the file is read once.

    Raises:
        PictureError: it cannot be read.
        DataError: `sha256` (hex) is given and the content's digest is another.
    """
    with _named(source):
        picture = opened(_content(source, sha256))
        draft(picture, round(HEADROOM * geometry.size))
        return canonical(upright_rgb(picture), geometry)


def decode(source: Path | bytes) -> Image.Image:
    """The whole picture, mode RGB, turned as its EXIF orientation says, transparency over white, first frame.

    16-bit, 32-bit and float pictures are scaled to 8 bits by the range of their type, not clipped.

    Raises:
        PictureError: it cannot be read; the message says why in plain words, after the path where there is one.
    """
    with _named(source):
        return upright_rgb(opened(read(source)))


def canonical(picture: Image.Image, geometry: Geometry) -> np.ndarray:
    """An upright RGB picture in the model's geometry: uint8 `(size, size, 3)`, 0..255."""
    box = None
    if geometry.fit == "crop":
        # The same as resizing the whole and cropping then: the filter still sees what lies beyond the box.
        width, height = picture.size
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        box = (left, top, left + side, top + side)
    return np.array(picture.resize((geometry.size, geometry.size), Image.Resampling.LANCZOS, box=box))


def artwork(
    source: Path | bytes, longest: int, sha256: str | None = None, fit: Literal["crop", "squash"] = "squash"
) -> Image.Image:
    """The picture for people to look at: RGB, aspect kept, its long side at most `longest` pixels, never enlarged.

    With `fit` "crop" only the square in the middle, which is what a model of that geometry sees.

    Raises: as `load`.
    """
    with _named(source):
        picture = upright_rgb(opened(_content(source, sha256)))
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
    """The one scaling: uint8 `(..., 3)` in 0..255 to float32 in [0, 1].

    Raises:
        TypeError: anything but uint8 comes, so that nothing is ever scaled twice.
    """
    if pixels.dtype != np.uint8:
        raise TypeError(f"`pixels` must be uint8, 0..255. Received: dtype={pixels.dtype}")
    return pixels.astype(np.float32) / np.float32(255)


def _content(source: Path | bytes, sha256: str | None) -> bytes:
    data = read(source)
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        what = source if isinstance(source, Path) else "the picture"
        raise DataError(f"{what} changed since it was indexed: run the index stage again")
    return data


# The steps of `decode`, for the index, which wants to know more of a file than its pixels.


def read(source: Path | bytes) -> bytes:
    """A picture file's content.

    Raises:
        PictureError: the file is missing, forbidden, larger than MAX_BYTES, or not a regular file.
    """
    if isinstance(source, bytes):
        return source
    try:
        status = source.stat()
        if not stat.S_ISREG(status.st_mode):  # reading a pipe would wait for ever
            raise PictureError("not a regular file")
        if status.st_size > MAX_BYTES:
            raise PictureError(f"the file is too large ({status.st_size:,} bytes; the limit is {MAX_BYTES:,})")
        return source.read_bytes()
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):  # the machine's trouble, not this picture's
            raise
        raise PictureError(f"cannot be read: {(error.strerror or str(error)).lower()}") from error


def opened(data: bytes) -> ImageFile.ImageFile:
    """The file's header, checked: a supported format and a sane size; no pixels are decoded yet.

    Raises:
        PictureError: empty, not a picture, an unsupported format, zero size, too many pixels.
    """
    if not data:
        raise PictureError("the file is empty")
    with _plain_errors(data):
        picture = Image.open(io.BytesIO(data), formats=FORMATS)
    width, height = picture.size
    if width < 1 or height < 1:
        raise PictureError(f"the picture has no pixels ({width} x {height})")
    if width * height > MAX_PIXELS:
        raise PictureError(f"too many pixels ({width} x {height}; the limit is {MAX_PIXELS:,})")
    if max(width, height) > MAX_SIDE:
        raise PictureError(f"a side is too long ({width} x {height}; the limit is {MAX_SIDE:,})")
    if picture.format == "PNG" and _PNG_END not in data:  # Pillow lets the last bytes of a PNG be missing
        raise PictureError("truncated: the file ends before the picture does")
    return picture


def draft(picture: ImageFile.ImageFile, shortest: int, grey: bool = False) -> None:
    """Have a JPEG decoded at a half, a quarter or an eighth where both sides keep `shortest` pixels; others stay.

    libjpeg scales in the cosine domain: a third of the time, and with `HEADROOM` left on average 0.5 to 0.9 of 255 away
    from decoding the whole and resizing it once. Truncation is still noticed: all of the entropy coding is read.
    """
    picture.draft("L" if grey else None, (shortest, shortest))


def orientation(picture: Image.Image) -> int:
    """The EXIF orientation, 1..8; 1 where there is none or the EXIF is broken.

    To be asked after the pixels are loaded: PNG may carry it behind them, and TIFF is turned while loading.
    """
    try:
        value = picture.getexif().get(ExifTags.Base.Orientation, 1)
        return value if value in _UPRIGHT else 1
    except Exception:  # broken EXIF fails in many ways and must not cost the picture
        return 1


def upright_rgb(picture: Image.Image) -> Image.Image:
    """The pixels of an opened file: mode RGB, upright, over white, in sRGB.

    Raises:
        PictureError: truncated or damaged.
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
    elif picture.mode in ("La", "RGBa"):  # alpha already multiplied in
        picture = picture.convert(picture.mode.upper())
    if picture.has_transparency_data:
        picture = _over_white(picture)
    return _srgb(picture, profile)


def _eight_bit(picture: Image.Image) -> Image.Image:
    """Modes I;16*, I and F to L: the top of the type's range becomes 255, below zero becomes 0."""
    values = np.asarray(picture)
    tags = getattr(picture, "tag_v2", {})  # TIFF's
    top = 65535.0  # I;16 is; I comes from 16-bit PGM, except in TIFF
    if picture.mode == "F":
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        # A float has no top. 0..1 is the convention; files that exceed it hold 8 or 16 bits or arbitrary units.
        highest = float(values.max())
        top = next((limit for limit in (1.0, 255.0, 65535.0) if highest <= limit), highest)
    elif picture.mode == "I" and tags:
        bits, signed = tags.get(258, (32,))[0], tags.get(339, (1,))[0] == 2
        values = values if signed or bits < 32 else values.view(np.uint32)
        top = 2.0 ** (bits - signed) - 1
    scaled = np.clip(values.astype(np.float32) / np.float32(top), 0, 1)
    if tags.get(262) == 0:  # WhiteIsZero, which Pillow heeds up to 8 bits only
        scaled = 1 - scaled
    return Image.fromarray((scaled * 255 + np.float32(0.5)).astype(np.uint8))


def _over_white(picture: Image.Image) -> Image.Image:
    try:
        picture = picture.convert("RGBA")
    except (ValueError, OverflowError):  # a transparent colour given in 16 bits for pixels that Pillow holds in 8
        return picture.convert("RGB")
    white = Image.new("RGB", picture.size, (255, 255, 255))
    white.paste(picture, mask=picture.getchannel("A"))
    return white


def _srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    if picture.mode not in ("RGB", "CMYK"):
        picture = picture.convert("RGB")
    if profile and len(profile) <= MAX_PROFILE_BYTES and not any(name in profile for name in _SRGB_NAMES):
        from PIL import ImageCms

        with suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):  # a broken profile, or for other modes
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
def _named(source: Path | bytes) -> Iterator[None]:
    """Puts the path before a PictureError's reason."""
    try:
        yield
    except PictureError as error:
        if isinstance(source, bytes):
            raise
        raise PictureError(f"{source}: {error}") from error.__cause__


@contextmanager
def _plain_errors(data: bytes = b"") -> Iterator[None]:
    """Whatever Pillow raises becomes a PictureError, and its warnings stay here.

    Damaged files make Pillow raise nearly everything there is (struct.error, IndexError, SyntaxError, KeyError,
    MemoryError ...), hence `Exception`. `warnings.catch_warnings` would swap a list that all threads share, so a
    filter for Pillow's own modules is put first, once.
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
    # Index rows must not differ from run to run, and a message with an address in it would.
    return f"damaged: {text}" if text and " at 0x" not in text else "damaged"
