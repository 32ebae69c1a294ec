"""The text that image generators write into their pictures: prompts, settings and workflows."""

import json
import re
import zlib
from collections.abc import Iterator
from typing import Any

MAX_TEXT = 2**20  # bytes of one text, inflated
MAX_TEXTS = 64  # of a file
_SETTINGS = re.compile(r"\bSteps: \d+, Sampler: ")  # AUTOMATIC1111, Forge and their descendants
_PROGRAMS = {  # keyword of a PNG text, or key of a JSON object -> the program that writes it
    "invokeai_metadata": "InvokeAI",
    "sd-metadata": "InvokeAI",
    "Dream": "InvokeAI",
    "invokeai_graph": "InvokeAI",
    "sui_image_params": "SwarmUI",
    "fooocus_scheme": "Fooocus",
}


def read(data: bytes, comment: Any = None) -> Iterator[tuple[str, str]]:
    """The generators that a file names, each with the text that says so.

    Args:
        data: The file's content.
        comment: Its EXIF UserComment, where JPEG and WebP have what a PNG has in its text.
    """
    texts = dict(png_texts(data))
    if isinstance(comment, bytes | str):
        texts.setdefault("parameters", _comment(comment))
    for keyword, program in _PROGRAMS.items():
        if keyword in texts:
            yield program, texts[keyword]
    if settings := texts.get("parameters", ""):
        if named := next((name for key, name in _PROGRAMS.items() if f'"{key}"' in settings), None):
            yield named, settings
        elif _SETTINGS.search(settings):
            yield "a Stable Diffusion front end", settings
    for keyword in ("prompt", "workflow"):
        if _is_graph(texts.get(keyword, "")):
            yield "ComfyUI", texts[keyword]
            break
    if texts.get("Software") == "NovelAI" or texts.get("Title") == "NovelAI generated image":
        yield "NovelAI", texts.get("Description") or texts.get("Comment", "")


def png_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Keyword and text of each text chunk of a PNG, before and after its pixels."""
    position, texts = 8, 0
    while data.startswith(b"\x89PNG") and position + 8 <= len(data) and texts < MAX_TEXTS:
        length = int.from_bytes(data[position : position + 4])
        kind, content = data[position + 4 : position + 8], data[position + 8 : position + 8 + length]
        position += 12 + length
        if kind in (b"tEXt", b"zTXt", b"iTXt"):
            texts += 1
            keyword, _, rest = content.partition(b"\0")
            yield keyword.decode("latin-1"), _text(kind, rest)


def _text(kind: bytes, rest: bytes) -> str:
    if kind == b"tEXt":
        return rest[:MAX_TEXT].decode("latin-1")
    if kind == b"zTXt":
        return _inflated(rest[1:]).decode("latin-1")
    compressed, rest = rest[:1] == b"\1", rest[2:]
    rest = rest.partition(b"\0")[2].partition(b"\0")[2]  # after language and translated keyword
    return (_inflated(rest) if compressed else rest[:MAX_TEXT]).decode("utf-8", "replace")


def _inflated(content: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(content, MAX_TEXT)
    except zlib.error:
        return b""


def _comment(value: bytes | str) -> str:
    """An EXIF UserComment as text: its first eight bytes name the encoding."""
    if isinstance(value, str):
        return value
    encoding, rest = value[:8], value[8 : 8 + MAX_TEXT]
    if encoding != b"UNICODE\0":
        return rest.decode("utf-8", "replace")
    little = rest[1::2].count(0) > rest[::2].count(0)  # the specification leaves the order of bytes open
    return rest.decode("utf-16-le" if little else "utf-16-be", "replace")


def _is_graph(text: str) -> bool:
    """Whether a text is a graph of ComfyUI: nodes by number, or a list of nodes."""
    try:
        graph = json.loads(text)
    except (ValueError, RecursionError):
        return False
    if not isinstance(graph, dict):
        return False
    nodes = graph.get("nodes", list(graph.values()))
    return isinstance(nodes, list) and any(
        isinstance(node, dict) and {"class_type", "type"} & set(node) for node in nodes
    )
