"""Pictures that declare how they were made, each in the format of the program that writes it."""

import io
import json
import struct
from typing import Any

from PIL import ExifTags, Image, PngImagePlugin

from tests.pictures.slow_files import chunk, segment

AI_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
SETTINGS = (
    "a castle by the sea\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 64x64"
)
GRAPH = {"3": {"class_type": "KSampler", "inputs": {"seed": 1}}}


def pixels() -> Image.Image:
    """The picture that all of them show."""
    return Image.linear_gradient("L").resize((48, 40)).convert("RGB")


def encoded(format: str, **options: Any) -> bytes:
    """The picture, lossless where the format can."""
    file = io.BytesIO()
    pixels().save(file, format, **options)
    return file.getvalue()


def png(**texts: str) -> bytes:
    """A PNG with texts."""
    info = PngImagePlugin.PngInfo()
    for keyword, text in texts.items():
        info.add_text(keyword, text, zip=len(text) > 100)
    return encoded("PNG", pnginfo=info)


def exif(tag: int, value: Any, directory: int | None = None) -> Image.Exif:
    """EXIF with one tag."""
    data = Image.Exif()
    (data if directory is None else data.get_ifd(directory))[tag] = value
    return data


def xmp(attributes: str) -> bytes:
    """An XMP packet with these attributes."""
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" {attributes}/>'
        "</rdf:RDF></x:xmpmeta>"
    ).encode()


def cbor(value: Any) -> bytes:
    """A value in CBOR."""
    if isinstance(value, dict):
        return _head(5, len(value)) + b"".join(cbor(key) + cbor(item) for key, item in value.items())
    if isinstance(value, list):
        return _head(4, len(value)) + b"".join(map(cbor, value))
    if isinstance(value, str):
        return _head(3, len(value.encode())) + value.encode()
    return _head(0, value)


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes([major << 5 | number])
    return bytes([major << 5 | 25]) + struct.pack(">H", number)


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content


def _labelled(label: str, content: bytes) -> bytes:
    return _box(b"jumb", _box(b"jumd", bytes(16) + b"\3" + label.encode() + b"\0") + content)


def manifest(generator: str = "Test Generator", source_type: str = AI_TYPE, older: bytes = b"") -> bytes:
    """A manifest store of C2PA with one manifest, after an older one."""
    actions = {"actions": [{"action": "c2pa.created", "digitalSourceType": source_type}]}
    claim = {"claim_generator_info": {"name": generator, "version": "2"}, "signature": "self#jumbf=c2pa.signature"}
    inside = _labelled("c2pa.assertions", _labelled("c2pa.actions.v2", _box(b"cbor", cbor(actions))))
    inside += _labelled("c2pa.claim.v2", _box(b"cbor", cbor(claim)))
    return _labelled("c2pa", older + _labelled("urn:c2pa:1", inside))


def jpeg_with(store: bytes, size: int = 60) -> bytes:
    """A JPEG with a manifest store, in segments of `size` bytes of content."""
    plain = encoded("JPEG")
    head, content = store[:8], store[8:]
    parts = [content[at : at + size] for at in range(0, len(content), size)]
    segments = [segment(0xEB, b"JP\0\1" + struct.pack(">I", n + 1) + head + part) for n, part in enumerate(parts)]
    return plain[:2] + b"".join(segments) + plain[2:]


def png_with(store: bytes) -> bytes:
    """A PNG with a manifest store."""
    plain = encoded("PNG")
    return plain[:33] + chunk(b"caBX", store) + plain[33:]


def webp_with(store: bytes) -> bytes:
    """A WebP with a manifest store."""
    body = (
        encoded("WEBP", lossless=True)[8:] + b"C2PA" + struct.pack("<I", len(store)) + store + b"\0" * (len(store) & 1)
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


FILES = {
    "C2PA in JPEG": jpeg_with(manifest()),
    "C2PA in PNG": png_with(manifest()),
    "C2PA in WebP": webp_with(manifest()),
    "IPTC": encoded("JPEG", xmp=xmp(f'Iptc4xmpExt:DigitalSourceType="{AI_TYPE}"')),
    "AUTOMATIC1111": png(parameters=SETTINGS),
    "AUTOMATIC1111 in JPEG": encoded(
        "JPEG",
        exif=exif(ExifTags.Base.UserComment, b"UNICODE\0" + SETTINGS.encode("utf-16-be"), ExifTags.IFD.Exif),
    ),
    "ComfyUI": png(prompt=json.dumps(GRAPH), workflow=json.dumps({"nodes": [{"id": 3, "type": "KSampler"}]})),
    "NovelAI": png(Title="NovelAI generated image", Software="NovelAI", Description="a castle", Comment="{}"),
    "InvokeAI": png(invokeai_metadata=json.dumps({"app_version": "4.2", "positive_prompt": "a castle"})),
    "SwarmUI": png(parameters=json.dumps({"sui_image_params": {"prompt": "a castle"}})),
    "EXIF Software": encoded("JPEG", exif=exif(ExifTags.Base.Software, "Adobe Photoshop 26.1 (Windows)")),
}
