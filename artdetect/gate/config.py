"""Section `gate`."""

from pydantic import Field

from artdetect.core.config_section import Section


class GateConfig(Section):
    """Section `gate`. The bounds apply to the measured differences; each rule states beside them what chance could do.

    Two points of 100 are about the smallest difference that a test of some hundred pictures can show, and less than a
    retraining with another seed changes a small net. Calling human art AI is the expensive mistake, so a rise that
    chance does not explain is refused there whatever its size, and so is a rise of the log loss on art from other
    sources. A new model must earn its place on new pictures, so there the
    bound asks for a gain. Golden cases have no bound, because each was added as a picture that must stay right.
    """

    max_drop_known: float = Field(
        0.02, ge=0, le=1, description="how far balanced accuracy on the data set's test pictures may fall"
    )
    max_drop_since_first: float = Field(
        0.03, ge=0, le=1, description="how far that accuracy may fall below the first champion's, over all retrainings"
    )
    min_gain_new: float = Field(
        0.0,
        ge=-1,
        le=1,
        description="accuracy on new test pictures must rise by more than this; with 0, where it stays the same, the "
        "log loss must fall",
    )
    max_rise_human_as_ai: float = Field(
        0.02,
        ge=0,
        le=1,
        description="how far the share of human test pictures called AI may rise; it may never rise beyond chance",
    )
    max_ece_rise: float = Field(0.02, ge=0, le=1, description="how far the calibration error (ECE) may rise")
    max_robustness_drop: float = Field(0.02, ge=0, le=1, description="how far accuracy on degraded pictures may fall")
    max_drop_localisation: float = Field(
        0.03, ge=0, le=1, description="how far the AUC may fall with which maps find pasted regions"
    )
    localisation: int = Field(
        60, ge=0, le=2000, description="spliced test pictures on which both models' maps are compared; 0 = none"
    )
    bootstrap_resamples: int = Field(1000, ge=100, le=100_000, description="bootstrap resamples behind the intervals")
    seed: int = Field(129, ge=0, description="seed of the bootstrap")
