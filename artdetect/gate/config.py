"""Section `gate`."""

from pydantic import Field

from artdetect.core.config_section import Section


class GateConfig(Section):
    """Section `gate`. Bounds hold for the differences measured; what chance does to them is said beside each.

    Two points of 100 is what the test of some hundred pictures can tell at all, and less than what one retraining with
    another seed moves a small net by. A new model has to earn its place on what is new, so there more than nothing is
    asked for; golden cases have no bound, since each was put there because it must stay right.
    """

    old: float = Field(0.02, ge=0, le=1, description="by how much balanced accuracy on old test pictures may fall")
    drift: float = Field(
        0.03, ge=0, le=1, description="how far that accuracy may lie below the first champion's, after many retrainings"
    )
    new: float = Field(
        0.0,
        ge=-1,
        le=1,
        description="the share called right of new test pictures must rise by more than this; with 0, where it stays "
        "the same, their log loss must fall",
    )
    calibration: float = Field(0.02, ge=0, le=1, description="by how much the calibration error (ECE) may rise")
    robustness: float = Field(0.02, ge=0, le=1, description="by how much accuracy on degraded pictures may fall")
    resamples: int = Field(1000, ge=100, le=100_000, description="bootstrap resamples behind the intervals")
    seed: int = Field(129, ge=0, description="of the resampling")
