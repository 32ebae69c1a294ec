"""The decision: from the probability of AI to a verdict, which is AI, human or unsure."""

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from artdetect.pictures.labels import AI, CLASSES, HUMAN

if TYPE_CHECKING:
    import numpy as np

UNSURE = "unsure"
VERDICTS = (*CLASSES, UNSURE)


@dataclass(frozen=True)
class DecisionRule:
    """How scores become verdicts. It is fitted on validation pictures and stored with the model.

    Args:
        threshold: From this p(AI) on, the predicted class is AI.
        margin: Half the width of the unsure band around the threshold, in logits.
        novelty: A novelty score. Beyond it, the margin grows in proportion to the score: a picture unlike the training
            data needs a more extreme p(AI) to get a verdict. None where the model has no novelty score.
    """

    threshold: float = 0.5
    margin: float = 0.0
    novelty: float | None = None

    def __post_init__(self) -> None:
        if not (
            0 < self.threshold < math.inf
            and 0 <= self.margin < math.inf
            and (self.novelty is None or 0 < self.novelty < math.inf)
        ):
            raise ValueError(f"`threshold` and `novelty` must be above 0, `margin` at least 0. Received: {self}")

    def predicted(self, p_ai: "np.ndarray") -> "np.ndarray":
        """The class on whose side of the threshold each picture lies, however close: str [N] from p(AI) [N]."""
        import numpy as np

        return np.where(p_ai >= self.threshold, CLASSES[AI], CLASSES[HUMAN])

    def verdicts(self, p_ai: "np.ndarray", novelty: "np.ndarray | None" = None) -> "np.ndarray":
        """AI, human or unsure: str [N] from p(AI) [N] and, where the model has them, the novelty scores [N]."""
        import numpy as np

        margin = np.full(len(p_ai), self.margin)
        if novelty is not None and self.novelty is not None:
            margin *= np.maximum(1.0, novelty / self.novelty)
        return np.where(threshold_distance(p_ai, self.threshold) < margin, UNSURE, self.predicted(p_ai))

    def band(self) -> tuple[float, float]:
        """The lowest and the highest p(AI) at which a picture like the training data is unsure."""
        import numpy as np

        middle = logit(self.threshold)
        low, high = (float(np.exp(-np.logaddexp(0, -(middle + side * self.margin)))) for side in (-1, 1))
        return low, high

    def as_dict(self) -> dict[str, Any]:
        """The form in which a model file stores it. `DecisionRule(**values)` is the inverse."""
        return asdict(self)


def logit(p: "np.ndarray | float") -> "np.ndarray":
    """log(p / (1 - p)), finite also for probabilities that were rounded to 0 or 1."""
    import numpy as np

    p = np.clip(np.asarray(p, np.float64), 1e-12, 1 - 1e-12)
    return np.log(p) - np.log1p(-p)


def threshold_distance(p_ai: "np.ndarray", threshold: float) -> "np.ndarray":
    """How far each p(AI) is from the threshold, in logits: float64 [N]."""
    import numpy as np

    return np.abs(logit(p_ai) - logit(threshold))
