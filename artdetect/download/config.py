"""Section `download`."""

from typing import Any

from pydantic import Field, field_validator

from artdetect.core.config_section import Section


class DownloadConfig(Section):
    """Where the pictures come from.

    Args:
        url: An http(s):// or file:// address or a path of a zip archive, or a folder of pictures.
        sha256: The expected digest of the archive, 64 hex digits. Ignored for a folder.
        max_gb: Limit on the unpacked size, in 10^9 bytes.
    """

    url: str
    sha256: str | None = None
    max_gb: float = Field(default=40, gt=0)

    @field_validator("sha256")
    @classmethod
    def _hexadecimal(cls, value: str | None) -> str | None:
        if value is None:
            return None
        value = value.strip().lower()
        if len(value) != 64 or not set(value) <= set("0123456789abcdef"):
            raise ValueError(f"must be 64 hex digits. Received: {value!r}, {len(value)} characters")
        return value

    def key_parts(self) -> dict[str, Any]:
        """Nothing: `download.fingerprint` identifies the source without local paths."""
        return {}
