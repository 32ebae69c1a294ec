"""What is said of pictures that come in: by the command line, or by the inbox's folders and their provenance.toml."""

import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from artdetect.core.errors import ConfigError, DataError
from artdetect.pictures import labels

FILE = "provenance.toml"


class ProvenanceFile(BaseModel):
    """Where pictures come from: the content of a provenance.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str | None = None
    licence: str | None = None
    note: str | None = None


class Provenance(ProvenanceFile):
    """What pictures are, and where they come from."""

    label: str
    name: str  # the generator of AI pictures; of human art a collection, an archive, a person
    style: str = labels.UNKNOWN

    @property
    def folder(self) -> str:
        """Where they are kept below data/incoming."""
        style = labels.normal_style(self.style)
        return f"{self.label}/{self.name}" + ("" if style == labels.UNKNOWN else f"/{style}")

    def as_dict(self) -> dict[str, Any]:
        """As provenance keeps it."""
        kind = "generator" if self.label == labels.CLASSES[labels.AI] else "origin"
        about = {"source": self.source, "licence": self.licence, "note": self.note}
        return {"label": self.label, kind: self.name, "style": labels.normal_style(self.style), **about}


def provenance_of(label: str, name: str, style: str | None = None, **about: str | None) -> Provenance:
    """What a person says of pictures.

    Raises:
        ConfigError: `name` or `style` does not do as a folder's name.
    """
    found = Provenance(label=label, name=name, style=style or labels.UNKNOWN, **about)
    if "/" in name or labels.incoming(f"{label}/{name}") is None:
        raise ConfigError(
            f"{name!r} does not do as the name of a generator or an origin: letters, digits and . _ + - (64 at most), "
            "beginning with a letter or digit, and neither AI nor human"
        )
    if "/" in found.style or labels.incoming(f"{label}/{name}/{found.style}") is None:
        raise ConfigError(f"{style!r} does not do as the name of a style: letters, digits, spaces and . _ + -")
    return found


def from_folder(folder: str, about: ProvenanceFile) -> Provenance | None:
    """What a folder below the inbox says; None where it does not follow the grammar."""
    if labels.incoming(folder) is None:
        return None
    label, name, style = [*folder.split("/"), ""][:3]
    return Provenance(label=label, name=name, style=style or labels.UNKNOWN, **about.model_dump())


def read(file: Path) -> ProvenanceFile:
    """The content of a provenance.toml; DataError says what is wrong with it."""
    try:
        return ProvenanceFile.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
        known = ", ".join(ProvenanceFile.model_fields)
        raise DataError(f"its {FILE} is not usable: it holds texts {known}") from error
