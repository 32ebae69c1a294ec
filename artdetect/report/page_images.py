"""The pictures of the page as data URIs, small enough that the page stays below `PAGE_BYTES` whatever they show."""

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.core import paths
from artdetect.pictures import images

if TYPE_CHECKING:
    from PIL import Image

PAGE_BYTES = 10_000_000
FIGURE_WIDTH = 1170  # px of an explanation: enlarged, a laptop's window
FIGURE_BYTES = 200_000
FIGURES_BYTES = 2_800_000  # all explanations together
BESIDE_WIDTH = 390  # px of another method's
BESIDE_BYTES = 50_000
BESIDES_BYTES = 1_000_000
MISTAKE_SIDE = 640  # px of the longer side
MISTAKE_BYTES = 60_000
MISTAKES_BYTES = 1_600_000
NEAR_SIDE = 160
NEAR_BYTES = 6_000
SHEET_WIDTH = 1100  # px of a contact sheet
SHEET_BYTES = 350_000
# (share of the width, WebP quality), tried in turn until the image is small enough. The last one fits even noise.
_ATTEMPTS = ((1.0, 82), (1.0, 65), (1.0, 45), (0.75, 45), (0.5, 45), (0.5, 25), (0.3, 25))


def explanations(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The gallery with the images of its cards."""
    if found is None:
        return None
    cards = found["cards"]
    size = min(FIGURE_BYTES, FIGURES_BYTES // max(1, len(cards)))
    small = min(BESIDE_BYTES, BESIDES_BYTES // max(1, sum(len(card["others"]) for card in cards)))
    return dict(found) | {
        "cards": [
            card
            | {
                "image": _file(card["figure"], FIGURE_WIDTH, size),
                "others": [other | {"image": _file(other["figure"], BESIDE_WIDTH, small)} for other in card["others"]],
            }
            for card in cards
        ]
    }


def mistakes(found: Mapping[str, Any] | None, pictures: Path | None) -> dict[str, Any] | None:
    """The gallery with the images of its cards, None for each where the pictures are not there.

    Raises:
        PictureError: a picture can no longer be read.
        DataError: the content of a picture differs from the tables.
    """
    if found is None:
        return None
    size = min(MISTAKE_BYTES, MISTAKES_BYTES // len(found["cards"]))

    def image(path: str, side: int, limit: int, sha256: str | None = None) -> dict[str, Any] | None:
        if pictures is None:
            return None
        return embedded(images.artwork(paths.picture(pictures, path), side, sha256), side, limit)

    return dict(found) | {
        "cards": [
            card
            | {
                "image": image(card["path"], MISTAKE_SIDE, size, card["sha256"]),
                "nearest": [
                    near | {"image": image(near["path"], NEAR_SIDE, NEAR_BYTES, near["sha256"])}
                    for near in card["nearest"]
                ],
            }
            for card in found["cards"]
        ]
    }


def sheet(path: Path | None) -> dict[str, Any] | None:
    """A contact sheet."""
    return _file(path, SHEET_WIDTH, SHEET_BYTES) if path else None


def _file(path: Path, width: int, size: int) -> dict[str, Any]:
    from PIL import Image

    with Image.open(path) as opened:
        return embedded(opened, width, size)


def data_uri(content: bytes, kind: str) -> str:
    """An image as a data URI; `kind` is "png" or "webp"."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def embedded(image: "Image.Image", max_width: int, max_bytes: int) -> dict[str, Any]:
    """An image as a WebP data URI.

    Args:
        image: the image, of any mode and size.
        max_width: the largest width in px; a narrower image is not enlarged.
        max_bytes: the most bytes of the WebP, not of its base64; exceeded only if the last attempt is still larger.

    Returns:
        uri, width and height.
    """
    from PIL import Image

    image = image.convert("RGB")
    for share, quality in _ATTEMPTS:
        width = min(round(max_width * share), image.width)
        small = image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        small.save(buffer, "WEBP", quality=quality, method=4)
        if buffer.tell() <= max_bytes:
            break
    return {"uri": data_uri(buffer.getvalue(), "webp"), "width": small.width, "height": small.height}
