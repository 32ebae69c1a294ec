"""Content Credentials: whether the signature of a claim fits its file, offline, with c2pa-python and without."""

import random
import sys
import time
import tracemalloc

import pytest

from artdetect.pictures import declared_provenance
from artdetect.pictures.declared_provenance import Declaration, content_credentials, manifest_store
from artdetect.pictures.declared_provenance.content_credentials import Claim
from artdetect.serve import decode_process
from tests import connections
from tests.pictures.declared_files import FILES, encoded
from tests.pictures.signed_files import AI_TYPE, SIGNER, STUDIO, signed, signed_before_expiry

VALID = Claim("Test Generator 2", ("trainedAlgorithmicMedia",), "valid", "", f"{SIGNER}, {STUDIO}")
FORMATS = {"JPEG": "image/jpeg", "PNG": "image/png", "WebP": "image/webp", "AVIF": "image/avif"}
HUGE = 40_000_000  # bytes; `artdetect serve` takes 64 MB by default


@pytest.mark.parametrize("format", FORMATS)
def test_both_readers_find_the_claim_and_one_says_that_its_signature_is_valid(format: str) -> None:
    data = FILES[f"C2PA in {format}"]
    assert content_credentials.read(data, FORMATS[format]) == VALID
    assert manifest_store.read(data) == (VALID.generator, VALID.source_types)


@pytest.mark.parametrize("format", ["GIF", "TIFF"])
def test_the_library_reads_more_formats(format: str) -> None:
    assert content_credentials.read(signed(encoded(format), format), f"image/{format.lower()}") == VALID


def test_without_the_library_the_signature_was_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "c2pa", None)  # as where it is not installed
    assert content_credentials.read(FILES["C2PA in JPEG"], "image/jpeg") == Claim(VALID.generator, VALID.source_types)
    assert "the signature was not checked" in [one.claim for one in credentials(FILES["C2PA in JPEG"])]


def credentials(data: bytes) -> list[Declaration]:
    return [one for one in declared_provenance.read(data) if "C2PA" in one.source]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"trainedAlgorithmicMedia", b"digitalCapture\0\0\0\0\0\0\0\0\0", "the file was changed after signing"),
        (b"Test Generator", b"Best Generator", "it does not fit the claim"),
        (SIGNER.encode(), b"Some Friend", "it does not fit the claim"),
    ],
)
def test_what_was_changed_after_signing_is_invalid(old: bytes, new: bytes, reason: str) -> None:
    data = FILES["C2PA in JPEG"]
    assert old in data
    claim = content_credentials.read(data.replace(old, new), "image/jpeg")
    assert claim
    assert (claim.signature, claim.reason) == ("invalid", reason)


def test_pixels_changed_or_taken_from_another_file_make_it_invalid() -> None:
    data, other = FILES["C2PA in PNG"], encoded("PNG", compress_level=0)
    start, end = data.index(b"caBX") - 4, data.index(b"IDAT") - 4
    foreign = other[:33] + data[start:end] + other[33:]
    changed = data[:-20] + bytes([data[-20] ^ 1]) + data[-19:]
    for one in (foreign, changed):
        claim = content_credentials.read(one, "image/png")
        assert claim
        assert (claim.signature, claim.reason) == ("invalid", "the file was changed after signing")
        assert credentials(one)[-1].kind == "AI"  # the claim is shown as what it is


def test_of_several_manifests_the_newest_counts() -> None:
    edited = signed(FILES["C2PA in PNG"], "PNG", "Editor", AI_TYPE.replace("trainedAlgorithmicMedia", "humanEdits"))
    claim = content_credentials.read(edited, "image/png")
    assert claim
    assert (claim.generator, claim.source_types, claim.signature) == ("Editor 2", ("humanEdits",), "valid")
    assert manifest_store.read(edited) == (claim.generator, claim.source_types)


def test_a_large_manifest_in_several_segments_is_read_whole() -> None:
    data = signed(encoded("JPEG"), "JPEG", note="x" * 200_000)
    assert data.count(b"JP\2\x11") > 1
    assert content_credentials.read(data, "image/jpeg") == VALID
    assert manifest_store.read(data) == (VALID.generator, VALID.source_types)


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_a_huge_manifest_is_read_within_the_limits_of_the_service(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = signed(encoded(format), format, thumbnail=random.Random(1).randbytes(HUGE))
    assert len(data) > HUGE
    for library in (True, False):
        if not library:
            monkeypatch.setitem(sys.modules, "c2pa", None)
        start = time.process_time()
        claims = credentials(data)
        assert time.process_time() - start < decode_process.DECLARED_CPU_SECONDS
        assert [one.value for one in claims] == [
            "Test Generator 2",
            "valid" if library else "not checked",
            "trainedAlgorithmicMedia",
        ]


def test_without_the_library_a_huge_manifest_is_not_copied_box_by_box() -> None:
    data = signed(encoded("PNG"), "PNG", thumbnail=bytes(HUGE))
    tracemalloc.start()
    try:
        assert manifest_store.read(data) == (VALID.generator, VALID.source_types)
        assert tracemalloc.get_traced_memory()[1] < 2.5 * HUGE  # the chunk, and the store that all chunks make
    finally:
        tracemalloc.stop()


def test_a_huge_manifest_that_was_changed_is_invalid() -> None:
    data = bytearray(signed(encoded("JPEG"), "JPEG", thumbnail=bytes(HUGE)))
    data[len(data) // 2] ^= 1
    assert [one.claim for one in credentials(bytes(data))][1] == (
        "the signature is invalid: the file was changed after signing"
    )


def test_an_assertion_that_is_too_large_to_decode_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    data = signed(encoded("PNG"), "PNG", source_type=f"http://example.org/{'x' * 500_000}")
    monkeypatch.setattr(manifest_store, "MAX_CBOR", 400_000)
    monkeypatch.setitem(sys.modules, "c2pa", None)
    assert [one.claim for one in credentials(data)] == ["present, but damaged or of an unknown version"]


def test_a_certificate_that_expired_after_signing_is_named_and_the_claim_is_shown() -> None:
    data = signed_before_expiry(encoded("PNG"), "PNG")
    assert [(one.claim, one.value) for one in credentials(data)][1:] == [
        (
            "the signature is invalid: the certificate has expired, and no time stamp proves that it signed before",
            "invalid",
        ),
        ("made by a generative model", "trainedAlgorithmicMedia"),
    ]


def test_a_manifest_on_another_machine_is_named_and_not_fetched() -> None:
    data = signed(encoded("JPEG"), "JPEG", elsewhere="http://192.0.2.1/manifest.c2pa")
    assert [(one.claim, one.value) for one in credentials(data)] == [
        ("kept on another machine, and not fetched", "http://192.0.2.1/manifest.c2pa")
    ]
    assert connections.taken() == ""


def test_damaged_credentials_are_named_and_cost_nothing_else() -> None:
    data = FILES["C2PA in JPEG"]
    cut = data.replace(b"c2pa.assertions", b"c2pa.assertion\xff", 1)
    assert [one.claim for one in credentials(cut)] == ["present, but damaged or of an unknown version"]
    chance = random.Random(1)
    start, end = data.index(b"JP\2\x11"), data.index(b"\xff\xdb")
    for _ in range(100):
        broken = bytearray(data)
        for _ in range(chance.randint(1, 6)):
            broken[chance.randrange(start, end)] = chance.randrange(256)
        declared_provenance.read(bytes(broken))
