"""The decision: from a model's scores and a picture's properties to a verdict with its reason.

A verdict is AI, human or unsure, or mixed: a region of the picture says AI firmly and the rest human.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from artdetect.pictures.labels import AI, CLASSES, HUMAN

if TYPE_CHECKING:
    import numpy as np

UNSURE, MIXED = "unsure", "mixed"
VERDICTS = (*CLASSES, UNSURE)  # on pictures of one origin, as those of a test set are

# The reasons of verdicts, but for a sure one from the weightiest: the first that holds is given.
SURE = "sure"
IN_PARTS = "parts differ"  # of a mixed one
FLAT, TOO_SMALL, UNLIKE, NEAR = "flat", "too small", "unlike the training art", "near the threshold"
REASONS = (SURE, FLAT, TOO_SMALL, UNLIKE, IN_PARTS, NEAR)


@dataclass(frozen=True)
class DecisionRule:
    """How scores become verdicts. It is fitted on pictures that the judging head has not seen, and stored with the
    model.

    Args:
        threshold: From this p(AI) on, the predicted class is AI.
        human_below: Below this p(AI), the verdict is human. None for the threshold.
        ai_from: From this p(AI) on, the verdict is AI. None for the threshold. In between it is unsure.
        novelty: The highest novelty score at which a picture gets a verdict. None where the model has no such score.
        min_side: The shortest side in pixels, as the file has it, at which a picture gets a verdict.
        min_contrast: The lowest `images.contrast` at which a picture gets a verdict.
    """

    threshold: float = 0.5
    human_below: float | None = None
    ai_from: float | None = None
    novelty: float | None = None
    min_side: int = 0
    min_contrast: float = 0.0

    def __post_init__(self) -> None:
        low, high = self.band()
        if not (
            0 < self.threshold < math.inf
            and 0 <= low <= self.threshold <= high < math.inf
            and (self.novelty is None or 0 < self.novelty < math.inf)
            and 0 <= self.min_side < math.inf
            and 0 <= self.min_contrast < math.inf
        ):
            raise ValueError(
                "a decision rule needs 0 <= human_below <= threshold <= ai_from, a threshold and novelty above 0, and "
                f"min_side and min_contrast at least 0. Received: {self}"
            )

    def predicted(self, p_ai: "np.ndarray") -> "np.ndarray":
        """The class on whose side of the threshold each picture lies, however close: str [N] from p(AI) [N]."""
        import numpy as np

        return np.where(np.asarray(p_ai, np.float64) >= self.threshold, CLASSES[AI], CLASSES[HUMAN])

    def reasons(
        self,
        p_ai: "np.ndarray",
        novelty: "np.ndarray | None" = None,
        sides: "np.ndarray | None" = None,
        contrasts: "np.ndarray | None" = None,
        mixed: "np.ndarray | None" = None,
    ) -> "np.ndarray":
        """Why each picture gets its verdict: `SURE`, `IN_PARTS`, or why it gets none; str [N].

        Args:
            p_ai: float [N].
            novelty: Novelty scores [N], where the model has them.
            sides: The shorter sides of the files' pictures in pixels [N], where they are known.
            contrasts: `images.contrast` [N], where it is known.
            mixed: Whether parts of each picture speak firmly for different classes, bool [N], where that is known.
        """
        import numpy as np

        low, high = self.band()
        p_ai = np.asarray(p_ai, np.float64)  # else NumPy rounds the band to the precision of p
        nothing = np.zeros(len(p_ai), bool)
        return np.select(
            [
                nothing if contrasts is None else contrasts < self.min_contrast,
                nothing if sides is None else sides < self.min_side,
                nothing if novelty is None or self.novelty is None else ~(novelty <= self.novelty),
                nothing if mixed is None else mixed,
                (p_ai >= low) & (p_ai < high),
            ],
            [FLAT, TOO_SMALL, UNLIKE, IN_PARTS, NEAR],
            SURE,
        )

    def verdicts(self, p_ai: "np.ndarray", reasons: "np.ndarray") -> "np.ndarray":
        """AI, human, unsure or mixed: str [N] from p(AI) [N] and the pictures' `reasons`."""
        import numpy as np

        return np.select([reasons == SURE, reasons == IN_PARTS], [self.predicted(p_ai), MIXED], UNSURE)

    def band(self) -> tuple[float, float]:
        """`human_below` and `ai_from`: in between, a picture is unsure."""
        low = self.threshold if self.human_below is None else self.human_below
        high = self.threshold if self.ai_from is None else self.ai_from
        return low, high

    def as_dict(self) -> dict[str, Any]:
        """The form in which a model file stores it. `from_dict` is the inverse."""
        return asdict(self)

    @staticmethod
    def from_dict(stored: Mapping[str, Any]) -> "DecisionRule":
        """The rule of a model file, also of one whose band is stored as a margin in logits around the threshold."""
        values = dict(stored)
        margin = values.pop("margin", 0.0)
        if not 0 <= margin < math.inf:
            raise ValueError(f"the margin of a decision rule is at least 0. Received: {margin}")
        if margin:
            threshold = values.get("threshold", 0.5)
            middle = float(logit(threshold))
            low, high = (1 / (1 + math.exp(-middle - side * margin)) for side in (-1, 1))
            values["human_below"], values["ai_from"] = min(low, threshold), max(high, threshold)
        return DecisionRule(**values)


def in_words(verdict: str | None, reason: str | None) -> str:
    """A verdict as people read it: "AI", "unsure: too small", or "error" where there is none."""
    return f"{verdict}: {reason}" if verdict == UNSURE else verdict or "error"


def logit(p: "np.ndarray | float") -> "np.ndarray":
    """log(p / (1 - p)), finite also for probabilities that were rounded to 0 or 1."""
    import numpy as np

    p = np.clip(np.asarray(p, np.float64), 1e-12, 1 - 1e-12)
    return np.log(p) - np.log1p(-p)


def threshold_distance(p_ai: "np.ndarray", threshold: float) -> "np.ndarray":
    """How far each p(AI) is from the threshold, in logits: float64 [N]."""
    import numpy as np

    return np.abs(logit(p_ai) - logit(threshold))
