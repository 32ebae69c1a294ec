"""Pictures that declare how they were made, each in the format of the program that writes it."""

import io
import json
from typing import Any

from PIL import ExifTags, Image, PngImagePlugin

from tests.pictures.signed_files import AI_TYPE, signed

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


FILES = {
    "C2PA in JPEG": signed(encoded("JPEG"), "JPEG"),
    "C2PA in PNG": signed(encoded("PNG"), "PNG"),
    "C2PA in WebP": signed(encoded("WEBP", lossless=True), "WEBP"),
    "C2PA in AVIF": signed(encoded("AVIF"), "AVIF"),
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
