"""The provenance of incoming pictures: from the command line, or from the inbox folders and their provenance.toml."""

import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from artdetect.core.errors import ConfigError, DataError
from artdetect.pictures import labels

FILE = "provenance.toml"


class ProvenanceFile(BaseModel):
    """The content of a provenance.toml: where pictures come from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str | None = None  # a collection, site, batch or painter, or an address; see `index.sources`
    licence: str | None = None
    note: str | None = None


class Provenance(ProvenanceFile):
    """The labels of pictures, and where they come from."""

    label: str
    name: str  # the generator of AI pictures; of human art a collection, an archive, a person
    style: str = labels.UNKNOWN

    @property
    def folder(self) -> str:
        """The pictures' folder below data/incoming."""
        style = labels.normal_style(self.style)
        return f"{self.label}/{self.name}" + ("" if style == labels.UNKNOWN else f"/{style}")

    def as_dict(self) -> dict[str, Any]:
        """The fields for a provenance record."""
        kind = "generator" if self.label == labels.CLASSES[labels.AI] else "origin"
        origin = {"source": self.source, "licence": self.licence, "note": self.note}
        return {"label": self.label, kind: self.name, "style": labels.normal_style(self.style), **origin}


def provenance_of(label: str, name: str, style: str | None = None, **origin: str | None) -> Provenance:
    """The provenance that a person gives for pictures.

    Args:
        label: "AI" or "human".
        name: The generator of AI pictures; the collection, archive or person that human art comes from.
        style: The style of all the pictures; unknown if None.
        **origin: `source`, `licence` and `note`, as in a provenance.toml.

    Raises:
        ConfigError: `name` or `style` is not usable as the name of a folder.
    """
    provenance = Provenance(label=label, name=name, style=style or labels.UNKNOWN, **origin)
    if "/" in name or labels.incoming(f"{label}/{name}") is None:
        raise ConfigError(
            f"{name!r} is not usable as the name of a generator or an origin: up to 64 letters, digits and . _ + -, "
            "starting with a letter or digit, and neither AI nor human"
        )
    if "/" in provenance.style or labels.incoming(f"{label}/{name}/{provenance.style}") is None:
        raise ConfigError(f"{style!r} is not usable as the name of a style: use letters, digits, spaces and . _ + -")
    return provenance


def from_folder(folder: str, file: ProvenanceFile) -> Provenance | None:
    """The provenance of the pictures in a folder below the inbox; None if its name does not follow the grammar."""
    if labels.incoming(folder) is None:
        return None
    label, name, style = [*folder.split("/"), ""][:3]
    return Provenance(label=label, name=name, style=style or labels.UNKNOWN, **file.model_dump())


def read(file: Path) -> ProvenanceFile:
    """Read a provenance.toml.

    Raises:
        DataError: The file is not usable.
    """
    try:
        return ProvenanceFile.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
        known = ", ".join(ProvenanceFile.model_fields)
        raise DataError(f"its {FILE} is not usable: it may hold the texts {known}") from error
