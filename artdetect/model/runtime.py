"""What computes a model's outputs: ONNX Runtime where the model file has ONNX graphs, else TensorFlow.

This is the one place that decides. Each runtime gives the same bits for a picture whatever its neighbours, but the two
differ in the last bits, so features of one are never cached for the other: `Runtime.packages` is part of their keys.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from artdetect.core import digests
from artdetect.model import onnx_runtime

if TYPE_CHECKING:
    import keras
    import numpy as np

    from artdetect.model.evidence import EvidenceNet
    from artdetect.model.parts import Parts

    Outputs = Mapping[str, np.ndarray]


class FrozenPart(Protocol):
    """A model in two steps: pictures -> features (the backbone), and features -> outputs (the head)."""

    @property
    def id(self) -> str:
        """A digest of all that determines the features but the runtime."""

    @property
    def width(self) -> int:
        """Number of features of a picture, D."""

    def features(self, pixels: "np.ndarray", /) -> "np.ndarray":
        """Canonical pictures, uint8 [n, size, size, 3] -> features float32 [n, D]."""

    def head(self, features: "np.ndarray", /) -> "Outputs":
        """Features, float32 [n, D] -> the model's outputs by name."""


class Runtime(Protocol):
    """A model that can be run. Threads may share it."""

    name: str
    packages: tuple[str, ...]  # whose versions shape the last bits of its outputs

    @property
    def outputs(self) -> Mapping[str, int]:
        """Name and width of each output."""

    @property
    def frozen(self) -> FrozenPart | None:
        """The model in two steps, where it has a part that training does not change."""

    @property
    def keras_model(self) -> "keras.Model":
        """The Keras model, for gradients. It is loaded when it is first asked for, with TensorFlow."""

    def evidence_net(self, parts: "Parts | None") -> "EvidenceNet":
        """The model that gives its evidence with its verdict, with the parts of its detector."""

    def __call__(self, pixels: "np.ndarray", /) -> "Outputs":
        """The outputs by name for canonical pictures uint8 [n, size, size, 3]."""


def open_runtime(file: Path, card: Mapping[str, Any]) -> Runtime:
    """The runtime for a model file.

    Args:
        file: The model file.
        card: Its card.

    Raises:
        ModelError: The file, or an ONNX graph that belongs to it, is damaged; or it has no graph, and TensorFlow is not
            installed.
    """
    if onnx_runtime.has_graphs(file, card):
        return onnx_runtime.OnnxRuntime(file, card)
    from artdetect.model import keras_runtime

    return keras_runtime.load(file, card)


def description(runtime: Runtime) -> dict[str, str]:
    """What records say of a runtime: its name, and the versions of its packages."""
    return {"name": runtime.name, **digests.versions(runtime.packages)}
