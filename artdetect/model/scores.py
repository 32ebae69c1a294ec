"""A model's outputs for pictures, without their names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from artdetect.pictures import labels

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Scores:
    """A model's outputs for N pictures. None stands for an output that the model does not have."""

    p_ai: "np.ndarray"  # float64 [N]: calibrated probability of AI, for equally frequent classes
    novelty: "np.ndarray | None" = None  # float64 [N]: distance from the training data, on average 1 within it
    generators: "np.ndarray | None" = None  # float64 [N, G]: probabilities of the generator families, given AI
    embedding: "np.ndarray | None" = None  # float64 [N, K]: similar pictures are close to each other

    @staticmethod
    def concatenate(parts: "Sequence[Scores]") -> "Scores":
        """The scores of several batches, at least one, in order."""
        import numpy as np

        optional = zip(*(part._optional() for part in parts), strict=True)
        return Scores(
            np.concatenate([part.p_ai for part in parts]),
            *(None if column[0] is None else np.concatenate(column) for column in optional),
        )

    @staticmethod
    def of(outputs: "Mapping[str, np.ndarray]") -> "Scores":
        """The scores in a model's outputs by name."""
        import numpy as np

        arrays = {name: np.asarray(output, np.float64) for name, output in outputs.items()}
        novelty = arrays.get("novelty")
        return Scores(
            arrays["probabilities"][:, labels.AI],
            None if novelty is None else novelty[:, 0],
            arrays.get("generators"),
            arrays.get("embedding"),
        )

    def _optional(self) -> "tuple[np.ndarray | None, ...]":
        return self.novelty, self.generators, self.embedding
