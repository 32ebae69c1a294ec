"""Models from elsewhere for `Pipeline.evaluate`: a Python function of pictures, or an ONNX file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from artdetect.core.errors import ConfigError, ModelError
from artdetect.evaluate.outside_model import Score
from artdetect.pictures import images
from artdetect.pictures.images import Geometry

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

Classifier = Callable[["list[Image.Image]"], Any]  # upright RGB pictures at full size -> p(AI) [N]


class OnnxClassifier:
    """A classifier in an ONNX file, as a function of pictures.

    Args:
        path: The file. Its input is float32 [N, size, size, 3] or [N, 3, size, size], told apart by where the 3 is.
        size: The side of its input; needed where the file leaves it open.
        fit: How a picture becomes a square: "squash" resizes it, "crop" takes the middle.
        mean: What is subtracted from pixels in [0, 1], for each channel.
        std: What they are divided by after that, for each channel.
        output: The name of the output; by default the first one.
        ai: Which column of the output is AI's. An output with one column is AI's.
        logits: Whether the output is logits, to which softmax, or sigmoid for one column, is applied.

    Raises:
        ConfigError: ONNX Runtime is not installed.
        ModelError: It cannot be loaded, or its input is of another form.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        size: int | None = None,
        fit: Literal["squash", "crop"] = "squash",
        mean: Sequence[float] = (0.0, 0.0, 0.0),
        std: Sequence[float] = (1.0, 1.0, 1.0),
        output: str | None = None,
        ai: int = 0,
        logits: bool = False,
    ):
        import numpy as np

        try:
            import onnxruntime
        except ModuleNotFoundError:
            raise ConfigError("ONNX files need onnxruntime: pip install onnxruntime") from None
        try:
            self._session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has a class of its own for each fault
            raise ModelError(f"{path}: ONNX Runtime cannot load it ({str(error).splitlines()[0][:200]})") from error
        first = self._session.get_inputs()[0]
        shape = first.shape
        if len(shape) != 4 or 3 not in (shape[1], shape[3]):
            raise ModelError(f"{path}: its input has shape {shape}, expected [N, size, size, 3] or [N, 3, size, size]")
        self._channels_first = shape[3] != 3
        given = shape[2]
        if not isinstance(given, int) and size is None:
            raise ModelError(f"{path}: its input has shape {shape}: give its side as `size`")
        self.geometry = Geometry(given if isinstance(given, int) else int(size or 0), fit)
        self._input, self._output, self._ai, self._logits = first.name, output, ai, logits
        self._mean, self._std = np.array(mean, np.float32), np.array(std, np.float32)

    def __call__(self, pictures: Sequence[Image.Image]) -> np.ndarray:
        """p(AI) of upright RGB pictures, float64 [N]."""
        import numpy as np

        pixels = np.stack([images.to_input(images.canonical(picture, self.geometry)) for picture in pictures])
        pixels = (pixels - self._mean) / self._std
        pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)) if self._channels_first else pixels
        (values,) = self._session.run([self._output or self._session.get_outputs()[0].name], {self._input: pixels})
        values = np.asarray(values, np.float64).reshape(len(pictures), -1)
        if values.shape[1] == 1:
            return 1 / (1 + np.exp(-values[:, 0])) if self._logits else values[:, 0]
        if self._logits:
            values = np.exp(values - values.max(axis=1, keepdims=True))
            values /= values.sum(axis=1, keepdims=True)
        return values[:, self._ai]


def of_files(classify: Classifier) -> Score:
    """The same classifier as a function of files."""

    def score(files: Sequence[Path]) -> Any:
        return classify([images.decode(file) for file in files])

    return score
