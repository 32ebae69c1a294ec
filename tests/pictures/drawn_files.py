"""A drawn picture, saved in every format, for the tests of `images`."""

import io

import numpy as np
from PIL import Image

from artdetect.pictures import images
from artdetect.pictures.images import Geometry

CROP = Geometry(size=32, fit="crop")
SQUASH = Geometry(size=32, fit="squash")


def draw(width=80, height=60, seed=0):
    """Draw a coloured picture without any symmetry: uint8 (height, width, 3)."""
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(seed).integers(0, 30, (height, width, 3))
    base = np.stack([x * 200 // width, y * 200 // height, (x * y) % 200], axis=-1)
    return (base + noise).astype(np.uint8)


def encode(picture, format, **options):
    file = io.BytesIO()
    (Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture).save(file, format, **options)
    return file.getvalue()


def pixels_of(source):
    return np.asarray(images.decode(source))


FILES = {
    "jpeg": encode(draw(), "JPEG"),
    "progressive": encode(draw(), "JPEG", progressive=True),
    "cmyk": encode(Image.fromarray(draw()).convert("CMYK"), "JPEG"),
    "png": encode(draw(), "PNG"),
    "palette": encode(Image.fromarray(draw()).quantize(), "PNG"),
    "webp": encode(draw(), "WEBP"),
    "lossless": encode(draw(), "WEBP", lossless=True),
    "gif": encode(draw(), "GIF"),
    "bmp": encode(draw(), "BMP"),
    "tiff": encode(draw(), "TIFF"),
    "lzw": encode(draw(), "TIFF", compression="tiff_lzw"),
    "avif": encode(draw(), "AVIF"),
    "ppm": encode(draw(), "PPM"),
}
