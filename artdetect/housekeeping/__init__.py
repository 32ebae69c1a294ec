"""Garbage collection: removes what no champion, no pin and no recent run needs.

`inventory` lists what exists, `retention` says what is kept and why, `garbage_collection` removes the rest, `render`
describes it in words. Locks (`artifacts.use_locks`) protect what a run uses.
"""

from pydantic import Field

from artdetect.core.config_section import Section


class HousekeepingConfig(Section):
    """What a collection may remove. These are parameters of the flow `housekeeping`, not a section of a config file."""

    dry_run: bool = Field(False, description="list what would be removed, and remove nothing")
    keep_last: int = Field(10, ge=0, description="keep the artifacts of the last N runs")
    keep_days: float = Field(30, ge=0, allow_inf_nan=False, description="and those of the runs of the last N days")
    keep_champions: int = Field(
        10,
        ge=1,
        description="keep the first champion and the last N that a rollback can reach, the current one included",
    )
    prune_prefect: bool = Field(False, description="also delete older flow runs from Prefect's server")
