"""Section `audit`."""

from typing import Any, Literal

from pydantic import Field

from artdetect.core.config_section import Section

Level = Literal["ignore", "warn", "stop"]


def _rule(what: str) -> Any:
    return Field("warn", description=f"{what}: ignore, warn, or stop the run")


class AuditConfig(Section):
    """Section `audit`: a rule for each finding, and what counts as one.

    Every finding is counted whatever its rule says: "warn" also writes a line to the log, "stop" ends the run with
    `AuditFailed`. All warn unless told otherwise, since balance keeps what can be kept out of training.
    """

    unreadable: Level = _rule("pictures that cannot be read")
    duplicates: Level = _rule("files with the same content")
    near_duplicates: Level = _rule("pictures that look alike: saved again, resized or slightly cropped")
    train_test_overlap: Level = _rule("pictures in train and in test, the same or alike")
    two_labels: Level = _rule("pictures under both labels, the same or alike")
    low_information: Level = _rule("pictures with next to nothing on them")
    folder_grammar: Level = _rule("files left out, and folders whose names may be meant otherwise")
    shortcut: Level = _rule("file properties that give the label away")

    near_distance: int = Field(
        4, ge=0, le=8, description="bits of 64 in which the perceptual hashes of near-duplicates may differ"
    )
    low_contrast: float = Field(
        2.0, ge=0, description="a picture of less contrast (standard deviation of its grey values) says next to nothing"
    )
    shortcut_auc: float = Field(
        0.6, ge=0.5, le=1, description="AUC of file properties alone from which they are a shortcut; 0.5 is chance"
    )
    seed: int = Field(129, ge=0, description="of the shortcut test's folds and resampling")
