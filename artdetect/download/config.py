"""Section `download`."""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from artdetect.core.config_section import Section


def _hexadecimal(value: str) -> str:
    value = value.strip().lower()
    if len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        raise ValueError(f"must be 64 hex digits. Received: {value!r}, {len(value)} characters")
    return value


Sha256 = Annotated[str, AfterValidator(_hexadecimal)]


class DataSetConfig(Section):
    """Where the pictures of one data set come from.

    Args:
        url: An http(s):// or file:// address or a path of a zip archive, or a folder of pictures.
        sha256: The expected digest of the archive, 64 hex digits. Ignored for a folder.
        sources: The path of a table of sources, where the data set has none of its own; see `index.sources`.
    """

    url: str
    sha256: Sha256 | None = None
    sources: str | None = None


def _as_tables(given: Any) -> Any:
    """`sets` with a table in place of each bare address."""
    given = [given] if isinstance(given, str) else given
    return [{"url": item} if isinstance(item, str) else item for item in given] if isinstance(given, list) else given


class DownloadConfig(Section):
    """Section `download`. Where the pictures come from: one data set, or several in `sets`."""

    url: str | None = Field(
        None, description="an http(s):// or file:// address or a path of a zip archive, or a folder of pictures"
    )
    sha256: Sha256 | None = Field(None, description="expected sha256 of the archive, 64 hex digits")
    sources: str | None = Field(None, description="path of a table of sources, if there is none beside the pictures")
    sets: Annotated[tuple[DataSetConfig, ...], BeforeValidator(_as_tables)] = Field(
        (), description="several data sets in place of these three keys: addresses, or tables with these keys"
    )
    max_gb: float = Field(40, gt=0, description="limit on the unpacked size of each data set, in 10^9 bytes")

    @model_validator(mode="after")
    def _one_or_several(self) -> "DownloadConfig":
        if self.url is None and not self.sets:
            raise PydanticCustomError("section", "download.url is missing. Give it, or a list download.sets")
        extra = [name for name in ("url", "sha256", "sources") if self.sets and getattr(self, name) is not None]
        if extra:
            name = f"download.{extra[0]}"
            raise PydanticCustomError("section", f"{name} and download.sets: give {name} in a table of download.sets")
        return self

    @property
    def data_sets(self) -> tuple[DataSetConfig, ...]:
        """The data sets, at least one."""
        return self.sets or (DataSetConfig(url=self.url or "", sha256=self.sha256, sources=self.sources),)

    def key_parts(self) -> dict[str, Any]:
        """Nothing: `download.fingerprint` identifies the source without local paths."""
        return {}
