"""What files declare about themselves: read from each writer's format, a claim and no more, never training data."""

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artdetect.artifacts.stages import STAGES
from artdetect.core import digests
from artdetect.index.file_metadata import file_metadata
from artdetect.pictures import declared_provenance, images
from artdetect.pictures.declared_provenance import cbor

from . import declared_files
from .declared_files import FILES, encoded, png, xmp
from .drawn_files import CROP

CREDENTIALS = {("C2PA Content Credentials", None), ("C2PA Content Credentials", "AI")}
EXPECTED = {
    "C2PA in JPEG": CREDENTIALS,
    "C2PA in PNG": CREDENTIALS,
    "C2PA in WebP": CREDENTIALS,
    "C2PA in AVIF": CREDENTIALS,
    "IPTC": {("IPTC DigitalSourceType (XMP)", "AI")},
    "EXIF Software": {("EXIF Software", None)},
}
PROGRAMS = {
    "AUTOMATIC1111": "a Stable Diffusion front end",
    "AUTOMATIC1111 in JPEG": "a Stable Diffusion front end",
    "ComfyUI": "ComfyUI",
    "NovelAI": "NovelAI",
    "InvokeAI": "InvokeAI",
    "SwarmUI": "SwarmUI",
}


def declared(data: bytes) -> set[tuple[str, str | None]]:
    return {(one.source, one.kind) for one in declared_provenance.read(data)}


@pytest.mark.parametrize("name", FILES)
def test_each_writer_is_recognised(name: str) -> None:
    found = declared_provenance.read(FILES[name])
    if name in PROGRAMS:
        assert [(one.kind, one.claim) for one in found if "generator" in one.source] == [
            ("AI", f"made with {PROGRAMS[name]}")
        ]
    else:
        assert declared(FILES[name]) == EXPECTED[name]
    assert all(one.value and one.value.isprintable() for one in found)


def test_a_file_without_declarations_declares_nothing() -> None:
    for format in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"):
        assert declared_provenance.read(encoded(format)) == []
    for other in (b"", b"<html>", png(parameters="my own words", prompt="paint a castle", workflow='{"steps": []}')):
        assert declared_provenance.read(other) == []


def test_values_are_short_and_cannot_write_to_a_terminal() -> None:
    (one,) = declared_provenance.read(png(parameters="\x1b[31mred\u202e " + "x" * 900 + declared_files.SETTINGS))
    assert len(one.value) == declared_provenance.MAX_TEXT
    assert one.value.startswith("\\x1b[31mred\\u202e x")
    unknown = encoded("JPEG", xmp=xmp('a:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/Dream"'))
    assert [(one.kind, one.claim) for one in declared_provenance.read(unknown)] == [
        (None, "digital source type “Dream”")
    ]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(name=st.sampled_from(sorted(FILES)), data=st.data())
def test_damaged_metadata_never_raise(name: str, data: st.DataObject) -> None:
    content = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, min(600, len(content) - 1)))] = data.draw(st.integers(0, 255))
    declared_provenance.read(bytes(content[: data.draw(st.integers(1, len(content)))]))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.binary(max_size=80))
def test_any_bytes_are_cbor_or_a_value_error(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        cbor.decode(data)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("8301820203820405", [1, [2, 3], [4, 5]]),  # RFC 8949, appendix A
        ("bf6346756ef563416d7421ff", {"Fun": True, "Amt": -2}),
        ("7f657374726561646d696e67ff", "streaming"),
        ("c11a514b67b0", 1363896240),
        ("fb3ff199999999999a", 1.1),
        ("f93c00", 1.0),
        ("5f42010243030405ff", b"\1\2\3\4\5"),
        ("f6", None),
    ],
)
def test_cbor_of_the_standard(data: str, value: object) -> None:
    assert cbor.decode(bytes.fromhex(data)) == value


def test_cbor_is_not_nested_without_end() -> None:
    with pytest.raises(ValueError, match="nested"):
        cbor.decode(b"\x81" * 10_000 + b"\0")


def test_nothing_that_a_file_declares_reaches_training(tmp_path) -> None:
    """Pixels and index facts are those of the same picture without declarations, but for size, digest and has_exif."""
    plain = {
        format: encoded(format, **({"lossless": True} if format == "WEBP" else {}))
        for format in ("JPEG", "PNG", "WEBP", "AVIF")
    }
    for number, (name, content) in enumerate(FILES.items()):
        with_it, without = tmp_path / f"{number}.jpg", tmp_path / f"{number}-plain.jpg"
        with_it.write_bytes(content)
        without.write_bytes(plain[images.opened(content).format])
        rows = [file_metadata(path) for path in (with_it, without)]
        for row in rows:
            for fact in ("bytes", "sha256", "has_exif"):
                row.pop(fact)
        assert rows[0] == rows[1], name
        np.testing.assert_array_equal(images.load(content, CROP), images.load(without.read_bytes(), CROP))
    for stage in STAGES.values():
        assert not [module for module in digests.code_digests(stage.module) if "declared_provenance" in module]
