"""Models from elsewhere: a Python function of pictures, or an ONNX file."""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from artdetect.core import installing
from artdetect.core.errors import ConfigError, ModelError
from artdetect.pictures import images
from artdetect.pictures.images import Geometry

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from artdetect.evaluate.outside_model import Classifier


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
            raise ConfigError(f"ONNX files need onnxruntime: {installing.package('onnxruntime')}") from None
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

        return self.of_squares(np.stack([images.canonical(picture, self.geometry) for picture in pictures]))

    def of_squares(self, squares: np.ndarray) -> np.ndarray:
        """p(AI) of pictures that are squares of its geometry already: float64 [N] of uint8 [N, size, size, 3]."""
        import numpy as np

        pixels = images.to_input(squares)
        pixels = (pixels - self._mean) / self._std
        pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)) if self._channels_first else pixels
        (values,) = self._session.run([self._output or self._session.get_outputs()[0].name], {self._input: pixels})
        values = np.asarray(values, np.float64).reshape(len(squares), -1)
        if values.shape[1] == 1:
            return 1 / (1 + np.exp(-values[:, 0])) if self._logits else values[:, 0]
        if self._logits:
            values = np.exp(values - values.max(axis=1, keepdims=True))
            values /= values.sum(axis=1, keepdims=True)
        return values[:, self._ai]


def load(model: str, **options: Any) -> tuple[Classifier, str]:
    """The model that a name stands for, and what to call it.

    Args:
        model: The path of an ONNX file, or `module:function`. The module is looked for in the working directory, too.
        options: Those of `OnnxClassifier`.

    Raises:
        ModelError: There is no such file, module or function, or it cannot be loaded.
    """
    module, colon, function = model.rpartition(":")
    if Path(model).suffix == ".onnx" or Path(model).is_file():
        if not Path(model).is_file():
            raise ModelError(f"{model}: there is no such file. Name an ONNX file, or MODULE:FUNCTION")
        return OnnxClassifier(model, **options), Path(model).stem
    if not (colon and module and function):
        raise ModelError(f"{model}: expected an ONNX file, or MODULE:FUNCTION, for instance detectors.theirs:p_ai")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = pkgutil.resolve_name(model)
    except (ImportError, AttributeError) as error:
        raise ModelError(f"{model}: {error}") from error
    finally:
        sys.path.remove(str(Path.cwd()))
    if not callable(found):
        raise ModelError(f"{model}: it is not a function, but a {type(found).__name__}")
    return found, function
