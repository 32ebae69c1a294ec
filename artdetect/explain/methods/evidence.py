"""The evidence of a verdict: what each part of a picture says alone, from the forward pass that gives the verdict.

See `artdetect.model.evidence`. It needs neither a baseline nor a gradient by pixels.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.explain.method_settings import EvidenceSettings
from artdetect.explain.methods.pixel_method import PixelMethod
from artdetect.model.evidence import EvidenceNet
from artdetect.pictures.labels import AI

if TYPE_CHECKING:
    import keras


class Evidence(PixelMethod):
    """The evidence: for each place the margin, in logits, of the parts of the picture around it.

    The values of one class are those of the other with the opposite sign. Arguments and errors as for `Explainer`.

    Raises:
        ValueError: A picture is not square.
    """

    settings_class = EvidenceSettings

    def __init__(self, model: keras.Model, **options: Any):
        super().__init__(model, **options)
        self._net = lru_cache(maxsize=1)(lambda size: EvidenceNet(model, size))

    def _attribute(self, images, targets):
        height, width = images.shape[1:3]
        if height != width:
            raise ValueError(f"a picture to explain by its evidence must be square. Received: {list(images.shape[1:])}")
        net = self._net(height)
        margin = net.evidence(net.outputs(images)).margin
        return margin * np.where(targets == AI, 1, -1)[:, None, None].astype(np.float32), [None] * len(images)
