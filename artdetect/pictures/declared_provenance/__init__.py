"""What a picture's file itself declares about how it was made.

It is a claim, not proof: anybody can write it, copy it or remove it, and absence says nothing. No verdict and no stage
uses it; `artdetect serve` shows it beside the verdict. Files are untrusted: damaged metadata declare nothing.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from PIL import ExifTags, Image

from artdetect.core.errors import PictureError
from artdetect.formatting.text import printable
from artdetect.pictures import images
from artdetect.pictures.declared_provenance import content_credentials, generator_text, xmp

MAX_TEXT = 400  # characters of a value that are kept

Kind = Literal["AI", "partly AI", "not AI"]


@dataclass(frozen=True)
class Declaration:
    """One claim in a file.

    Args:
        source: Where it stands, such as "C2PA Content Credentials".
        claim: What it says, in words.
        kind: What that means for the question AI or human, where it means something.
        value: The value in the file that says so, shortened, without control characters.
    """

    source: str
    claim: str
    kind: Kind | None
    value: str

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON shows them."""
        return asdict(self)


def read(data: bytes) -> list[Declaration]:
    """What the content of a picture file declares; nothing for a file that is no picture."""
    try:
        picture = images.opened(data)
    except PictureError:
        return []
    found: list[Declaration] = []
    for reader in (_credentials, _digital_source_type, _generator, _software):
        try:
            found += reader(data, picture)
        except Exception:  # metadata of strangers fail in many ways, and must not cost a picture its verdict
            continue
    return list(dict.fromkeys(found))


def _credentials(data: bytes, picture: Image.Image) -> Iterator[Declaration]:
    source = "C2PA Content Credentials"
    if address := xmp.remote_credentials(xmp.packet(picture)):
        yield Declaration(source, "kept on another machine, and not fetched", None, _short(address))
    try:
        format = "JPEG" if picture.format == "MPO" else picture.format or ""  # an MPO begins with a JPEG
        claim = content_credentials.read(data, Image.MIME.get(format, ""))
    except ValueError:
        yield Declaration(source, "present, but damaged or of an unknown version", None, "")
        return
    if claim is None:
        return
    by = f", written by {_short(claim.generator)}" if claim.generator else ""
    yield Declaration(source, f"present{by}", None, _short(claim.generator))
    yield Declaration(source, _signature(claim), None, claim.signature)
    for source_type in claim.source_types:
        yield _source_type(source, source_type)


def _signature(claim: content_credentials.Claim) -> str:
    if claim.signature == "valid":
        return (
            f"the signature is valid: the file is as it was signed. The certificate is in the name of "
            f"{_short(claim.signer) or 'nobody'}; whether that is true was not checked"
        )
    if claim.signature == "invalid":
        return f"the signature is invalid: {_short(claim.reason) or 'the reason is unknown'}"
    return "the signature was not checked"


def _source_type(source: str, name: str) -> Declaration:
    words, kind = xmp.SOURCE_TYPES.get(name, (f"digital source type “{_short(name)}”", None))
    return Declaration(source, words, kind, _short(name))


def _digital_source_type(data: bytes, picture: Image.Image) -> Iterator[Declaration]:
    packet = xmp.packet(picture)
    for source_type in xmp.source_types(packet):
        yield _source_type("IPTC DigitalSourceType (XMP)", source_type)
    if tool := xmp.creator_tool(packet):
        yield Declaration("XMP CreatorTool", f"made or edited with {_short(tool)}", None, _short(tool))


def _generator(data: bytes, picture: Image.Image) -> Iterator[Declaration]:
    comment = picture.getexif().get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment)
    for program, value in generator_text.read(data, comment):
        yield Declaration("text of an image generator", f"made with {program}", "AI", _short(value))


def _software(data: bytes, picture: Image.Image) -> Iterator[Declaration]:
    value = picture.getexif().get(ExifTags.Base.Software)
    if isinstance(value, str) and value.strip("\0 "):
        value = _short(value.strip("\0 "))
        yield Declaration("EXIF Software", f"made or edited with {value}", None, value)


def _short(text: str) -> str:
    text = printable(" ".join(text.split()))
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"
