"""C2PA Content Credentials: the newest claim in a file, and whether its signature fits the file.

c2pa-python checks the signature, where the extra `credentials` is installed. Claim and check then come from one reader,
so that no file shows one claim and has another one checked. Without it, `manifest_store` reads the claim unchecked.

The library asks no other machine: manifests that are kept elsewhere, revocation and identities on the web are not
fetched. Nor is there a list of trusted signers: anybody can make a certificate in any name. Its code is native and
reads strangers' bytes, so `artdetect serve` calls it where it decodes pictures, under the same limits.
"""

import io
import json
from dataclasses import dataclass
from typing import Any, Literal

from artdetect.pictures.declared_provenance import manifest_store

SETTINGS = {
    "version": 1,
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    "core": {
        "allowed_network_hosts": [],
        "decode_identity_assertions": False,  # they may name documents on the web
        "max_decompressed_manifest_size_in_mb": 16,
    },
}
_MARK = b"c2pa"  # the label of every manifest store
_ALTERED = ("Hash.mismatch", "hashedURI.mismatch", "Hash.malformed")  # ends of the codes of C2PA 2.1, section 15.2
_WHY = {
    "claimSignature.mismatch": "it does not fit the claim",
    "claimSignature.outsideValidity": "the certificate was not valid at the time of signing",
    "signingCredential.expired": "the certificate has expired, and no time stamp proves that it signed before",
    "signingCredential.invalid": "the certificate is not one for signing content credentials",
    "signingCredential.revoked": "the certificate was revoked",
}
_UNTRUSTED = "signingCredential.untrusted"  # no list of trusted signers is used, so this is so of all


@dataclass(frozen=True)
class Claim:
    """The newest claim of a file.

    Args:
        generator: The program that wrote it; empty if it does not say.
        source_types: The IPTC digital source types of its actions.
        signature: Whether the signature fits the claim, and the claim the file.
        reason: Why the signature is invalid, in words.
        signer: The names in the certificate, where the signature was checked.
    """

    generator: str
    source_types: tuple[str, ...]
    signature: Literal["valid", "invalid", "not checked"] = "not checked"
    reason: str = ""
    signer: str = ""


def read(data: bytes, media_type: str) -> Claim | None:
    """The newest claim in a file; None if there is none.

    Args:
        data: The content of a picture file.
        media_type: Its format, such as "image/jpeg".

    Raises:
        ValueError: It is damaged.
    """
    if _MARK not in data:
        return None
    c2pa = _library()
    if c2pa is None or media_type not in c2pa.Reader.get_supported_mime_types():
        found = manifest_store.read(data)
        return Claim(*found) if found else None
    try:
        with (
            c2pa.Context.from_dict(SETTINGS) as context,
            c2pa.Reader(media_type, io.BytesIO(data), context=context) as reader,
        ):
            return _claim(json.loads(reader.json()))
    except c2pa.C2paError as error:
        if str(error).startswith(("ManifestNotFound", "Remote")):  # there is none, or it is kept elsewhere
            return None
        raise ValueError(str(error)) from error


def _library() -> Any:
    """c2pa-python, or None where it is not installed."""
    try:
        import c2pa
    except ImportError:
        return None
    return c2pa


def _claim(store: dict[str, Any]) -> Claim:
    """The active manifest of a store, as c2pa-python writes it as JSON."""
    manifest = store["manifests"][store["active_manifest"]]
    types = [
        source_type
        for assertion in manifest.get("assertions", ())
        if assertion["label"].startswith("c2pa.actions")
        for source_type in manifest_store.source_types_of(assertion["data"])
    ]
    signature = manifest.get("signature_info") or {}
    signer = ", ".join(dict.fromkeys(filter(None, (signature.get("common_name"), signature.get("issuer")))))
    valid = store.get("validation_state") in ("Valid", "Trusted")
    return Claim(
        manifest_store.generator_of(manifest),
        tuple(dict.fromkeys(types)),
        "valid" if valid else "invalid",
        "" if valid else _reason(store.get("validation_status") or ()),
        signer,
    )


def _reason(status: Any) -> str:
    codes = [code for one in status if (code := str(one.get("code", ""))) != _UNTRUSTED]
    if any(code.endswith(_ALTERED) for code in codes):
        return "the file was changed after signing"
    return next((_WHY[code] for code in codes if code in _WHY), ", ".join(codes[:3]))
