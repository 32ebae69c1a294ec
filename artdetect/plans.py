"""What a stage would be built from, given what flows into it. The flow, `artdetect status` and ingest share this."""

from collections.abc import Mapping
from typing import Protocol

from artdetect import download
from artdetect.artifacts import stages
from artdetect.artifacts.stages import Plan
from artdetect.core.config_section import Section
from artdetect.download.config import DownloadConfig

UNREAD = "not read yet"  # in place of the digest of pictures that a quick scan does not know


class HasDigest(Protocol):
    """What a stage can take as an input: an artifact, the scanned pictures, the golden set."""

    @property
    def digest(self) -> str | None: ...


def plan(stage: str, config: Section, inputs: Mapping[str, HasDigest | None]) -> Plan:
    """Describe what a stage would be built from.

    Args:
        stage: The stage's name.
        config: The stage's config section. What the stage download depends on follows from this alone.
        inputs: Input name -> what flows in; None for an optional input that is missing. Others are ignored.
    """
    chosen = stages.STAGES[stage]
    if isinstance(config, DownloadConfig):
        return stages.plan(chosen, config, download.fingerprint(config))
    digests = {name: _digest(inputs[name]) for name in chosen.inputs}
    return stages.plan(chosen, config, digests)


def _digest(given: HasDigest | None) -> str:
    return stages.MISSING_INPUT if given is None else given.digest or UNREAD
