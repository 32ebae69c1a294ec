"""Section `ingest`, and what ingest takes of a whole config."""

from typing import Protocol

from pydantic import Field

from artdetect.audit.config import AuditConfig
from artdetect.compute import ComputeConfig
from artdetect.core.config_section import Section
from artdetect.download.config import DownloadConfig


class IngestConfig(Section):
    """Section `ingest`: when a file in the inbox counts as copied to its end."""

    settle: float = Field(30, ge=0, description="seconds for which a file in the inbox must not have changed")
    patience: float = Field(
        3600, ge=0, description="seconds after which a file in the inbox that is no readable picture is set aside"
    )


class Sections(Protocol):
    """The sections of a config that ingest reads: `artdetect.config.Config` has them."""

    @property
    def ingest(self) -> IngestConfig: ...

    @property
    def download(self) -> DownloadConfig: ...

    @property
    def audit(self) -> AuditConfig: ...

    @property
    def compute(self) -> ComputeConfig: ...
