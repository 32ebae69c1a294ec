"""How a model judges a part of a picture alone: a head for windows, and what its verdicts are worth by window size.

A part has other statistics than a whole picture: less varied ones, for instance. So it has a head and calibrations of
its own, and the verdict of the whole picture does not depend on them.
"""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from artdetect.core.errors import ModelError
from artdetect.model.mixed import MixedRule
from artdetect.model.pooled_net import Layers
from artdetect.model.probabilities import Calibration

CARD, MEMBER = "parts", "parts.npz"  # entry of the model's card, and the member of the model file with the layers


@dataclass(frozen=True)
class Parts:
    """What training adds to a model for its parts.

    Args:
        layers: From the features of a window [D] to its logit of AI minus that of human, [1]; see `PooledNet.layers`.
        calibrations: Side of the windows in pixels -> how these logits become probabilities; None where windows of this
            size say nothing about art of other sources.
        mixed: When a picture is called mixed; None for never.
    """

    layers: Layers
    calibrations: Mapping[int, Calibration | None]
    mixed: MixedRule | None = None

    @property
    def calibrated(self) -> dict[int, Calibration]:
        """The calibrations that there are."""
        return {side: found for side, found in self.calibrations.items() if found}

    def card(self) -> dict[str, Any]:
        """What the model's card says of them."""
        calibrations = {str(side): fitted and asdict(fitted) for side, fitted in self.calibrations.items()}
        return {"calibrations": calibrations, "mixed": self.mixed and asdict(self.mixed)}

    def arrays(self) -> bytes:
        """The layers as an .npz file. The same layers give the same bytes."""
        named = {f"{part}{number}": array for number, layer in enumerate(self.layers)
                 for part, array in zip(("kernel", "bias"), layer, strict=True)}  # fmt: skip
        np.savez(buffer := io.BytesIO(), allow_pickle=False, **named)
        return buffer.getvalue()

    @staticmethod
    def load(file: Path, card: Mapping[str, Any]) -> "Parts":
        """Those of a model file whose card says this; the inverse of `card` and `arrays`.

        Raises:
            ModelError: They are damaged.
        """
        try:
            with (
                zipfile.ZipFile(file) as archive,
                np.load(io.BytesIO(archive.read(MEMBER)), allow_pickle=False) as named,
            ):
                layers = [(named[f"kernel{number}"], named[f"bias{number}"]) for number in range(len(named.files) // 2)]
            fitted = {int(side): values and Calibration(**values) for side, values in card["calibrations"].items()}
            return Parts(layers, fitted, card["mixed"] and MixedRule(**card["mixed"]))
        except Exception as error:  # whatever NumPy and zipfile raise on damaged data
            raise ModelError(f"{file}: how it judges parts of a picture is damaged. Train it again") from error
