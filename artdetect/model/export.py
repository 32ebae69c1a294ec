"""Exports a detector as ONNX or TensorFlow SavedModel, and checks that the export gives the same outputs.

An export is a folder with `model.onnx` or a SavedModel's files, and the model's card `artdetect.json`. Its input
`picture` is float32 [N, size, size, 3] in [0, 1] for any N. Its outputs have the names of the model's; a single output
is called `probabilities`.
"""

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from artdetect.core.errors import ConfigError, ModelError, StorageError, storage_error
from artdetect.model import tensorflow_setup
from artdetect.model.compiled import outputs_of
from artdetect.model.detector import read_card

if TYPE_CHECKING:
    import keras
    import numpy as np

    from artdetect.model.detector import Detector

    Outputs = Callable[[np.ndarray], dict[str, np.ndarray]]  # pictures -> outputs by name

Format = Literal["onnx", "saved_model"]
FORMATS: tuple[Format, ...] = get_args(Format)
ONNX_FILE = "model.onnx"
CARD = "artdetect.json"
TOLERANCE = 1e-4  # largest difference of probabilities
_LOOSE = 1e-3  # of other outputs, which can be extreme for a picture of one colour
_OPSET = 17  # from 2022: ONNX Runtime 1.12 and later support it
_WRITTEN = {ONNX_FILE, CARD, "saved_model.pb", "fingerprint.pb", "variables", "assets"}


@dataclass(frozen=True)
class ExportResult:
    """What was written, and the largest difference of each output from the model's own.

    Where an output exceeds 1, its difference is relative to its largest value.
    """

    path: Path  # what a runtime loads: the ONNX file, or the SavedModel's folder
    differences: Mapping[str, float]


def export(detector: "Detector", format: Format, out: Path) -> ExportResult:
    """Write a detector to the folder `out`, load the export and compare its outputs with the model's.

    Args:
        detector: The model.
        format: "onnx" or "saved_model".
        out: A folder that is new, empty, or an earlier export, which is replaced.

    Raises:
        ConfigError: The packages that ONNX needs are not installed.
        StorageError: `out` holds something else.
        ModelError: The model cannot be converted, or the export gives other outputs. `out` is left as it was.
    """
    missing = [name for name in ("tf2onnx", "onnxruntime") if format == "onnx" and find_spec(name) is None]
    if missing:
        raise ConfigError(f"ONNX needs {' and '.join(missing)}. Run `pip install 'artdetect[export]'`")
    out = out.absolute()
    if not _may_become_an_export(out):
        raise StorageError(f"{out}: this exists and is not an export. Name a folder that is new or empty")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", suffix=".tmp", dir=out.parent) as scratch:
        folder = Path(scratch, "new")
        folder.mkdir()
        differences = _convert(detector, format, folder)
        for name, difference in differences.items():
            if difference > (allowed := TOLERANCE if name == "probabilities" else _LOOSE):
                raise ModelError(
                    f"{detector.id}: the {format} export gives other outputs: {name} differs by {difference:.2g}, more "
                    f"than the {allowed:g} of rounding. Nothing was written. Try the other format"
                )
        detector.save(saved := Path(scratch, "model.keras"))  # writes the card
        (folder / CARD).write_text(json.dumps(read_card(saved) | {"model": detector.id}, indent=1))
        if out.exists():
            out.rename(Path(scratch, "old"))
        folder.rename(out)
    return ExportResult(out / ONNX_FILE if format == "onnx" else out, differences)


def _may_become_an_export(out: Path) -> bool:
    """Whether `out` is absent, an empty folder, or an export with nothing added."""
    if not out.is_dir():
        return not out.exists()
    names = {path.name for path in out.iterdir()}
    return not names or (CARD in names and names <= _WRITTEN)


def _convert(detector: "Detector", format: Format, folder: Path) -> dict[str, float]:
    """Write the export, run it and the model, and return the largest difference of each output."""
    import tensorflow as tf

    size = detector.geometry.size
    try:
        with (
            Path(os.devnull).open("wb") as nowhere,
            tensorflow_setup.redirect_stderr(nowhere),
        ):  # converters write there
            exported = _WRITERS[format](
                detector.model, tf.TensorSpec((None, size, size, 3), tf.float32, "picture"), folder
            )
            with tf.device("CPU"):  # GPUs may compute float32 with fewer bits
                return _differences(lambda pictures: _numpy(outputs_of(detector.model, pictures)), exported, size)
    except Exception as error:  # converters and runtimes raise all kinds of errors
        if isinstance(error, OSError) and (known := storage_error(error)):
            raise known from error
        reason = (str(error).splitlines() or [type(error).__name__])[0][-200:]
        raise ModelError(f"{detector.id}: cannot be exported as {format} ({reason}). Try the other format") from error


def _numpy(outputs: Mapping[str, Any]) -> "dict[str, np.ndarray]":
    return {name: value.numpy() for name, value in outputs.items()}


def _write_onnx(model: "keras.Model", picture: Any, folder: Path) -> "Outputs":
    """Write the file and load it. The same model gives the same bytes in a new process."""
    import onnxruntime
    import tensorflow as tf
    import tf2onnx

    function = tf.function(lambda pictures: outputs_of(model, pictures), autograph=False).get_concrete_function(picture)
    # convert.from_function would make inputs of a layer's constants, such as those of Normalization.
    inputs = {f"{picture.name}:0": picture.name}
    outputs = {tensor.name: name for name, tensor in function.structured_outputs.items()}
    graph = tf2onnx.tf_loader.from_function(function, [*inputs], [*outputs])
    net, _ = tf2onnx.convert.from_graph_def(
        graph, input_names=[*inputs], output_names=[*outputs], tensors_to_rename=inputs | outputs, opset=_OPSET
    )
    net.graph.ClearField("doc_string")  # holds a running number
    for tensor in (*net.graph.input, *net.graph.output):
        for batch in tensor.type.tensor_type.shape.dim[:1]:
            batch.dim_param = "N"  # its default holds a running number
    path = folder / ONNX_FILE
    path.write_bytes(net.SerializeToString(deterministic=True))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda pictures: dict(zip(names, session.run(names, {picture.name: pictures}), strict=True))


def _write_saved_model(model: "keras.Model", picture: Any, folder: Path) -> "Outputs":
    """Write the folder, with the endpoint `serve` and the signature `serving_default`, and load it."""
    import tensorflow as tf
    from keras.export import ExportArchive

    archive = ExportArchive()
    archive.add_endpoint("serve", lambda pictures: outputs_of(model, pictures), [picture])
    archive.write_out(folder, verbose=False)
    loaded = tf.saved_model.load(folder)  # stays referenced: signatures do not hold the weights
    return lambda pictures: _numpy(loaded.signatures["serving_default"](**{picture.name: tf.constant(pictures)}))


_WRITERS: "dict[Format, Callable[[keras.Model, Any, Path], Outputs]]" = {
    "onnx": _write_onnx,
    "saved_model": _write_saved_model,
}


def _differences(expected: "Outputs", exported: "Outputs", size: int) -> dict[str, float]:
    """The largest difference of each output, over several batch sizes."""
    pictures = _pictures(size)
    largest: dict[str, float] = {}
    for number in (1, 3, len(pictures)):
        wanted, received = expected(pictures[:number]), exported(pictures[:number])
        for name in sorted(wanted.keys() | received.keys()):
            largest[name] = max(largest.get(name, 0.0), _difference(wanted.get(name), received.get(name)))
    return largest


def _difference(wanted: "np.ndarray | None", received: "np.ndarray | None") -> float:
    """The largest difference, infinite where an output is missing, not finite, or of another shape."""
    import numpy as np

    if wanted is None or received is None or wanted.shape != received.shape:
        return np.inf
    scale = max(1.0, np.abs(wanted).max())
    return float(np.nan_to_num(np.abs(wanted - received).max() / scale, nan=np.inf))


def _pictures(size: int) -> "np.ndarray":
    """Fixed test pictures, float32 [5, size, size, 3] in [0, 1]: noise, black, white, and two gradients."""
    import numpy as np

    noise = np.random.default_rng(0).random((size, size, 3), np.float32)
    gradient = np.zeros_like(noise) + np.linspace(0, 1, size, dtype=np.float32)[:, None]
    return np.stack([noise, np.zeros_like(noise), np.ones_like(noise), gradient, gradient.transpose(1, 0, 2)])
