"""Garbage collection: what neither a champion, nor a pin, nor a recent run needs is removed.

`inventory` says what is there, `reach` what is kept and why, `collect` removes the rest, `text` says it in words.
`claims` keep what a run uses from being removed under it.
"""

from pydantic import Field

from artdetect.core.config_section import Section


class HousekeepingConfig(Section):
    """What a collection may remove. Parameters of the flow `housekeeping`; no section of a config file."""

    dry_run: bool = Field(False, description="say what would be removed, and remove nothing")
    keep_last: int = Field(10, ge=0, description="the last so many runs keep what they used")
    keep_days: float = Field(30, ge=0, allow_inf_nan=False, description="and so do all runs of the last so many days")
    prune_prefect: bool = Field(False, description="also delete older flow runs from Prefect's server")
