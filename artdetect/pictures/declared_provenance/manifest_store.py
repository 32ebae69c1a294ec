"""The newest claim of C2PA in a file, read without c2pa-python: who wrote it, and the source types of its actions.

The manifest is read as far as that needs (C2PA specification 2.1: JUMBF boxes, ISO 19566-5, with CBOR inside). Neither
its signature nor the hash that binds it to the picture is checked.
"""

import re
from collections.abc import Iterator
from typing import Any

from artdetect.pictures.declared_provenance import cbor

MAX_CBOR = 8 * 2**20  # bytes of a claim or of an assertion of actions; pictures in a manifest may be larger
MAX_BOXES = 10_000  # in a box
MAX_DEPTH = 8  # of boxes; a manifest has four
_AVIF_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")  # the user type of C2PA's box in ISO media files
_ACTIONS = re.compile(r"c2pa\.actions(\.v\d+)?(__\d+)?")
_CLAIM = re.compile(r"c2pa\.claim(\.v\d+)?")


def read(data: bytes) -> tuple[str, tuple[str, ...]] | None:
    """The program that wrote the newest claim, and the digital source types of its actions; None if there is no claim.

    Args:
        data: The content of a picture file.

    Raises:
        ValueError: It is damaged.
    """
    manifests = [box for box in _boxes(memoryview(_store(data))) if box[0] == "c2pa"]
    if not manifests:
        return None
    newest = list(_boxes(manifests[0][1]))[-1:]  # the active manifest is the last
    generator: str = ""
    types: list[str] = []
    for label, content in _leaves(newest[0][1]) if newest else ():
        if _CLAIM.fullmatch(label):
            generator = generator_of(_decoded(content))
        elif _ACTIONS.fullmatch(label):
            types += source_types_of(_decoded(content))
    return generator, tuple(dict.fromkeys(types))


def _decoded(content: memoryview) -> Any:
    if len(content) > MAX_CBOR:
        raise ValueError(f"a claim or an assertion has more than {MAX_CBOR} bytes")
    return cbor.decode(bytes(content))


def generator_of(claim: Any) -> str:
    """The program that wrote a claim, with its version; empty if the claim does not say."""
    info = claim.get("claim_generator_info")
    first = info[0] if isinstance(info, list) and info else info
    if isinstance(first, dict) and first.get("name"):
        return " ".join(str(first[key]) for key in ("name", "version") if first.get(key))
    return str(claim.get("claim_generator", ""))


def source_types_of(assertion: Any) -> Iterator[str]:
    """The IPTC digital source types in an assertion of actions, without their address."""
    for action in assertion.get("actions", ()):
        if address := action.get("digitalSourceType"):
            yield str(address).rstrip("/").rpartition("/")[2]


def _boxes(content: memoryview) -> Iterator[tuple[str, memoryview]]:
    """Label and content of each labelled box: boxes of type jumb, which begin with their description, jumd."""
    for kind, payload in _raw_boxes(content):
        if kind != b"jumb":
            continue
        inner = list(_raw_boxes(payload))
        if inner and inner[0][0] == b"jumd":
            description = bytes(inner[0][1])
            label = description[17:].partition(b"\0")[0].decode("utf-8", "replace") if len(description) > 17 else ""
            yield label, payload[8 + len(description) :]


def _leaves(content: memoryview, depth: int = 0) -> Iterator[tuple[str, memoryview]]:
    """Label and CBOR of each assertion and claim of a manifest."""
    for label, inside in _boxes(content):
        for kind, payload in _raw_boxes(inside):
            if kind == b"cbor":
                yield label, payload
        if depth < MAX_DEPTH:
            yield from _leaves(inside, depth + 1)


def _raw_boxes(content: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Type and content of each box. Nothing is copied, as boxes lie in boxes."""
    at = boxes = 0
    while at + 8 <= len(content) and (boxes := boxes + 1) <= MAX_BOXES:
        length, kind = int.from_bytes(content[at : at + 4]), bytes(content[at + 4 : at + 8])
        if length == 0:
            length = len(content) - at
        if length < 8 or at + length > len(content):
            return
        yield kind, content[at + 8 : at + length]
        at += length


def _store(data: bytes) -> bytes:
    """The manifest store of a file: one JUMBF box, as its format embeds it."""
    if data.startswith(b"\xff\xd8"):
        return _from_jpeg(data)
    if data.startswith(b"\x89PNG"):
        return b"".join(_chunks(data, 8, b"caBX", "big", after=4))
    if data.startswith(b"RIFF"):
        return b"".join(_chunks(data, 12, b"C2PA", "little", after=0))
    if data[4:8] == b"ftyp" and (at := data.find(_AVIF_BOX)) >= 0:
        return data[data.find(b"jumb", at) - 4 :] if data.find(b"jumb", at) >= 4 else b""
    return b""


def _chunks(data: bytes, at: int, wanted: bytes, order: Any, after: int) -> Iterator[bytes]:
    """The contents of the chunks of one kind, of PNG (length, kind) or RIFF (kind, length, padded to even)."""
    while at + 8 <= len(data):
        big = order == "big"
        length = int.from_bytes(data[at : at + 4] if big else data[at + 4 : at + 8], order)
        kind = data[at + 4 : at + 8] if big else data[at : at + 4]
        if kind == wanted:
            yield data[at + 8 : at + 8 + length]
        at += 8 + length + after + (0 if big else length & 1)


def _from_jpeg(data: bytes) -> bytes:
    """The box in the APP11 segments, each of which repeats the box's head after "JP", instance and number."""
    parts: list[bytes] = []
    at = 2
    while data[at : at + 1] == b"\xff" and data[at + 1 : at + 2] != b"\xda":
        length = int.from_bytes(data[at + 2 : at + 4])
        content = data[at + 4 : at + 2 + length]
        if data[at + 1] == 0xEB and content.startswith(b"JP"):
            parts.append(content[8 + (8 if parts else 0) :])
        at += 2 + max(2, length)
    return b"".join(parts)
