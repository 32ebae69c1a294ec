"""Section `ingest`, and the sections of a config that ingest reads."""

from typing import Protocol

from pydantic import Field

from artdetect.audit.config import AuditConfig
from artdetect.compute import ComputeConfig
from artdetect.core.config_section import Section
from artdetect.download.config import DownloadConfig


class IngestConfig(Section):
    """Section `ingest`: when a file in the inbox counts as completely copied."""

    settle_seconds: float = Field(30, ge=0, description="seconds for which a file in the inbox must not have changed")
    reject_unreadable_after: float = Field(
        3600, ge=0, description="seconds after which a file in the inbox that is not a readable picture is rejected"
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
