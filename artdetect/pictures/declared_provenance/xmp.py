"""XMP: the packet in a picture's file, and the properties that say how the picture was made.

The packet is searched as text: a parser of XML would have to be protected from entities, and the properties are in
fixed words.
"""

import re
from typing import Literal

from PIL import Image

MAX_PACKET = 4 * 2**20
_XMP_TAG = 700  # of TIFF
_SOURCE_TYPE = re.compile(r"digitalsourcetype/([A-Za-z]{1,64})", re.IGNORECASE)
_TOOL = re.compile(r"CreatorTool(?:\s*=\s*[\"']|>)\s*([^<\"']{1,400})")
_REMOTE = re.compile(r"dcterms:provenance(?:\s*=\s*[\"']|>)\s*(https?://[^<\"'\s]{1,400})")

SourceTypes = dict[str, tuple[str, Literal["AI", "partly AI", "not AI"] | None]]

# https://cv.iptc.org/newscodes/digitalsourcetype/, in words
SOURCE_TYPES: SourceTypes = {
    "trainedAlgorithmicMedia": ("made by a generative model", "AI"),
    "compositeWithTrainedAlgorithmicMedia": ("composed or edited with a generative model", "partly AI"),
    "compositeSynthetic": ("a composite with synthetic parts", "partly AI"),
    "algorithmicMedia": ("made by an algorithm that learnt from no pictures", None),
    "digitalCapture": ("taken with a digital camera", "not AI"),
    "computationalCapture": ("taken with a camera that computes the picture from several", "not AI"),
    "negativeFilm": ("scanned from a negative", "not AI"),
    "positiveFilm": ("scanned from a slide", "not AI"),
    "print": ("scanned from paper", "not AI"),
    "digitalCreation": ("made by a person with digital tools", "not AI"),
    "digitalArt": ("made by a person with digital tools", "not AI"),
    "humanEdits": ("edited by a person", "not AI"),
    "minorHumanEdits": ("edited a little by a person", "not AI"),
    "composite": ("a composite of several elements", None),
    "compositeCapture": ("a composite of several photographs", "not AI"),
    "algorithmicallyEnhanced": ("enhanced by an algorithm", None),
    "screenCapture": ("a picture of a screen", None),
    "virtualRecording": ("a recording of a virtual event", None),
    "dataDrivenMedia": ("drawn from data", None),
}


def packet(picture: Image.Image) -> str:
    """The XMP packet of an opened picture, empty if it has none. Text after a PNG's pixels is not read."""
    value = picture.info.get("xmp") or picture.info.get("XML:com.adobe.xmp") or ""
    if not value:
        value = getattr(picture, "tag_v2", {}).get(_XMP_TAG, b"")
    raw = value if isinstance(value, str) else bytes(value)[:MAX_PACKET].decode("utf-8", "replace")
    return raw[:MAX_PACKET]


def source_types(packet: str) -> list[str]:
    """The IPTC digital source types that a packet names, by the last part of their address, each once."""
    return list(dict.fromkeys(_SOURCE_TYPE.findall(packet)))


def creator_tool(packet: str) -> str:
    """The program that a packet names as `xmp:CreatorTool`, empty if none."""
    found = _TOOL.search(packet)
    return found[1].strip() if found else ""


def remote_credentials(packet: str) -> str:
    """The address of a C2PA manifest that a packet names instead of one in the file, empty if none."""
    found = _REMOTE.search(packet)
    return found[1] if found else ""
