"""From a probability to a verdict: AI, human, or unsure where the model's word is not worth much."""

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
    """What a model's scores are judged by; it was set on validation pictures and is stored with the model.

    `novelty` is the score beyond which pictures are unlike what the model learnt from: there the margin grows in
    proportion, so that a strange picture needs a stronger p(AI) to get a verdict.
    """

    threshold: float = 0.5  # p(AI) from which a picture is called AI
    margin: float = 0.0  # in logits: what lies closer to the threshold is unsure
    novelty: float | None = None

    def __post_init__(self) -> None:
        if not (
            0 < self.threshold < math.inf
            and 0 <= self.margin < math.inf
            and (self.novelty is None or 0 < self.novelty < math.inf)
        ):
            raise ValueError(f"`threshold` and `novelty` are above 0, `margin` is 0 or more. Received: {self}")

    def called(self, p_ai: "np.ndarray") -> "np.ndarray":
        """The class on whose side each picture is, however near: str [N] of p(AI) [N]."""
        import numpy as np

        return np.where(p_ai >= self.threshold, CLASSES[AI], CLASSES[HUMAN])

    def verdicts(self, p_ai: "np.ndarray", novelty: "np.ndarray | None" = None) -> "np.ndarray":
        """AI, human or unsure: str [N] of p(AI) [N] and the novelty scores [N], where the model gives any."""
        import numpy as np

        margin = np.full(len(p_ai), self.margin)
        if novelty is not None and self.novelty is not None:
            margin *= np.maximum(1.0, novelty / self.novelty)
        distance = np.abs(logit(p_ai) - logit(self.threshold))
        return np.where(distance < margin, UNSURE, self.called(p_ai))

    def band(self) -> tuple[float, float]:
        """The p(AI) between which pictures like the training's are unsure."""
        import numpy as np

        middle = logit(self.threshold)
        low, high = (float(np.exp(-np.logaddexp(0, -(middle + side * self.margin)))) for side in (-1, 1))
        return low, high

    def as_dict(self) -> dict[str, Any]:
        """As a model file keeps it; `Rule(**that)` is the inverse."""
        return asdict(self)


def logit(p: "np.ndarray | float") -> "np.ndarray":
    """log(p / (1 - p)), finite for probabilities that were rounded to 0 or 1."""
    import numpy as np

    p = np.clip(np.asarray(p, np.float64), 1e-12, 1 - 1e-12)
    return np.log(p) - np.log1p(-p)
