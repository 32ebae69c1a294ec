"""Section `audit`."""

from typing import Any, Literal

from pydantic import Field

from artdetect.core.config_section import Section

Level = Literal["ignore", "warn", "stop"]


def _rule(what: str) -> Any:
    return Field("warn", description=f"{what}: ignore, warn, or stop the run")


class AuditConfig(Section):
    """Section `audit`: a rule for each finding, and the thresholds.

    Every finding is counted, whatever its rule is. "warn" also writes a line to the log; "stop" ends the run with
    `AuditFailed`. The default is "warn", because balance keeps the problematic pictures out of training if it can.
    """

    unreadable: Level = _rule("pictures that cannot be read")
    duplicates: Level = _rule("files with the same content")
    near_duplicates: Level = _rule("pictures that look alike: compressed again, resized or slightly cropped")
    train_test_overlap: Level = _rule("pictures that are in train and in test, identical or alike")
    two_labels: Level = _rule("pictures under both labels, identical or alike")
    low_information: Level = _rule("pictures with almost no content")
    folder_grammar: Level = _rule("skipped files, and folders whose names may be misread")
    shortcut: Level = _rule("file properties that give the label away")

    near_distance: int = Field(
        4, ge=0, le=8, description="number of the 64 bits of a perceptual hash in which near-duplicates may differ"
    )
    low_contrast: float = Field(
        2.0,
        ge=0,
        description="contrast (standard deviation of grey values) below which a picture has almost no content",
    )
    shortcut_auc: float = Field(
        0.6, ge=0.5, le=1, description="AUC of file properties alone at which they count as a shortcut; 0.5 is chance"
    )
    seed: int = Field(129, ge=0, description="seed of the shortcut test's folds and resampling")
