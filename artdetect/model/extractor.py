"""The feature extractor: a pretrained net, and the statistics of its activations that are features."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from artdetect import compute
from artdetect.core.errors import ConfigError
from artdetect.model import backbones, tensorflow_setup
from artdetect.pictures.images import Geometry

if TYPE_CHECKING:
    import keras

BATCH_BYTES = 16 * 224 * 224 * 3  # size of the pictures that a worker takes at a time
EPSILON = 1e-6  # added to variances: in a picture of one colour they are 0, where a root has no gradient


@dataclass(frozen=True)
class Extractor:
    """How features are extracted: the net, the activations they summarise, and the geometry of pictures.

    Args:
        backbone: A net's name, see `backbones.load`.
        blocks: Names of `backbones.block_outputs`, in the order of the features. "a..b" stands for all from a to b.
        geometry: How pictures become canonical.
        weights: The net's weights, see `backbones.load`.
    """

    backbone: str
    blocks: tuple[str, ...]
    geometry: Geometry
    weights: str = backbones.DEFAULT_WEIGHTS

    @property
    def identity(self) -> dict[str, str]:
        """What identifies the net in a cache key, see `backbones.identity`. It reads all of a net's files."""
        return backbones.identity(self.backbone, self.weights)

    @property
    def batch(self) -> int:
        """Number of pictures that a worker takes at a time."""
        return self.geometry.max_batch(compute.WORKER_CHUNK, BATCH_BYTES)

    def statistics(self, activations: "Mapping[str, keras.KerasTensor]") -> "keras.KerasTensor":
        """The features [N, D] of activations [N, h, w, C] by name: per block C means, then C standard deviations.

        An activation of one position, such as a class token, has no deviations.

        Raises:
            ConfigError: The backbone has no such block.
        """
        from keras import ops

        names = list(activations)
        ends = [block.partition("..")[::2] for block in self.blocks]
        if unknown := [name for first, last in ends for name in (first, last or first) if name not in activations]:
            raise ConfigError(f"{self.backbone} has no block {unknown[0]!r}. Its blocks are {', '.join(activations)}")
        spans = [names[names.index(first) : names.index(last or first) + 1] for first, last in ends]
        if not any(spans):
            raise ConfigError(
                f"train.feature_blocks = {list(self.blocks)} names no block. The blocks of {self.backbone} are "
                f"{', '.join(activations)}"
            )
        parts = []
        for name in chain.from_iterable(spans):
            x = activations[name]
            parts.append(ops.mean(x, axis=(1, 2)))
            if tuple(x.shape[1:3]) != (1, 1):
                parts.append(ops.sqrt(ops.var(x, axis=(1, 2)) + EPSILON))
        return ops.concatenate(parts, axis=-1)

    def build(self) -> "keras.Model":
        """The net up to the last block needed: pictures float32 [N, S, S, 3] in [0, 1] -> features float32 [N, D].

        Raises:
            ConfigError: There is no such net or block, or the net does not take pictures of this size.
            ModelError: The weights are not available.
        """
        tensorflow_setup.load_tensorflow()
        import keras

        net = backbones.load(self.backbone, self.weights, self.geometry.size)
        return keras.Model(net.input, self.statistics(backbones.block_outputs(net)), name="features")
