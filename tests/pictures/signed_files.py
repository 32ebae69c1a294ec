"""Pictures with Content Credentials, signed by c2pa-python with certificates that are made here."""

import datetime
import io
import json
import time
from contextlib import suppress
from functools import cache
from typing import Any

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from artdetect.pictures.declared_provenance.content_credentials import SETTINGS

AI_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
SIGNER, STUDIO = "Test Signer", "Test Studio"


def signed(
    plain: bytes,
    format: str,
    generator: str = "Test Generator",
    source_type: str = AI_TYPE,
    note: str = "",
    elsewhere: str = "",
    thumbnail: bytes = b"",
    certified: tuple[bytes, bytes] | None = None,
) -> bytes:
    """A picture with a manifest, after those that it has already.

    Args:
        plain: The content of its file.
        format: The format as Pillow names it.
        generator: The program that the claim names, of version 2.
        source_type: The digital source type of its first action.
        note: A text that makes the manifest larger.
        elsewhere: The address of the manifest, if it is not to be in the file.
        thumbnail: A picture for the manifest.
        certified: What signs, see `certificates`.
    """
    action = {"action": "c2pa.created", "digitalSourceType": source_type}
    assertions = [{"label": "c2pa.actions.v2", "data": {"actions": [action]}}]
    assertions += [{"label": "org.example.note", "data": {"text": note}}] if note else []
    claim: dict[str, Any] = {"claim_generator_info": [{"name": generator, "version": "2"}], "assertions": assertions}
    claim |= {"thumbnail": {"format": "image/jpeg", "identifier": "thumbnail"}} if thumbnail else {}
    settings = {**SETTINGS, "builder": {"thumbnail": {"enabled": False}}}
    chain, key = certified or certificates()
    written = io.BytesIO()
    with c2pa.Context.from_dict(settings) as context, c2pa.Builder(json.dumps(claim), context) as builder:
        if thumbnail:
            builder.add_resource("thumbnail", io.BytesIO(thumbnail))
        if elsewhere:
            builder.set_no_embed()
            builder.set_remote_url(elsewhere)
        signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(c2pa.C2paSigningAlg.ES256, chain, key, None))
        builder.sign(signer, f"image/{format.lower()}", io.BytesIO(plain), written)
    return written.getvalue()


def signed_before_expiry(plain: bytes, format: str) -> bytes:
    """A picture whose certificate was valid when it signed, and has expired since; it has no time stamp.

    Args:
        plain: The content of its file.
        format: The format as Pillow names it.
    """
    for seconds in (2, 8, 32):  # c2pa-python refuses to sign when a busy machine is too late
        end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
        with suppress(c2pa.C2paError):
            content = signed(plain, format, certified=certificates(end))
            time.sleep(max(0.0, end.timestamp() + 1 - time.time()))
            return content
    raise TimeoutError("signing takes more than 32 seconds")


@cache
def certificates(end: datetime.datetime | None = None) -> tuple[bytes, bytes]:
    """The certificate of a signer and the one of its issuer, and the signer's key, as PEM.

    Args:
        end: When the signer's certificate expires; in a month if left out.
    """
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = certificate("Test Root", root_key, root_key, "Test Root")
    own = certificate(SIGNER, key, root_key, "Test Root", end)
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return own.public_bytes(pem) + root.public_bytes(pem), private


def certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    issuer: str,
    end: datetime.datetime | None = None,
) -> x509.Certificate:
    """A certificate as C2PA asks for; an authority where the key is the issuer's own."""
    authority = key is issuer_key
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    builder = x509.CertificateBuilder().subject_name(_name(name)).issuer_name(_name(issuer))
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(start).not_valid_after(end or start + datetime.timedelta(days=30))
    builder = builder.add_extension(x509.BasicConstraints(authority, None), critical=True)
    usage = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False)
    usage |= {"digital_signature": not authority, "key_cert_sign": authority, "crl_sign": authority}
    builder = builder.add_extension(x509.KeyUsage(**usage, encipher_only=False, decipher_only=False), critical=True)
    if not authority:
        email = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(email, critical=False)
    issued_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    return builder.add_extension(issued_by, critical=False).sign(issuer_key, hashes.SHA256())


def _name(common: str) -> x509.Name:
    values = ((NameOID.COUNTRY_NAME, "CH"), (NameOID.ORGANIZATION_NAME, STUDIO), (NameOID.COMMON_NAME, common))
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in values])
