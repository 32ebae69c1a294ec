"""Exports a detector as ONNX or TensorFlow SavedModel, and checks that the export gives the same outputs.

An export is a folder with `model.onnx` or a SavedModel's files, and the model's card `artdetect.json`. Its input
`picture` is float32 [N, size, size, 3] in [0, 1] for any N. Its outputs have the names of the model's; a single output
is called `probabilities`.
"""

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from artdetect.artifacts import file_names
from artdetect.core import installing
from artdetect.core.errors import ConfigError, ModelError, StorageError
from artdetect.model import onnx_convert, onnx_runtime, output_check
from artdetect.model.card import read_card
from artdetect.model.compiled import outputs_of
from artdetect.model.output_check import Outputs

if TYPE_CHECKING:
    import numpy as np

    from artdetect.model.detector import Detector

Format = Literal["onnx", "saved_model"]
FORMATS: tuple[Format, ...] = get_args(Format)
ONNX_FILE = onnx_runtime.file_name(onnx_runtime.MODEL)
CARD = file_names.CARD
_WRITTEN = {ONNX_FILE, CARD, "saved_model.pb", "fingerprint.pb", "variables", "assets"}


@dataclass(frozen=True)
class ExportResult:
    """What was written, and the largest difference of each output from the model's own, see `output_check`."""

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
    if missing := [] if format == "saved_model" else onnx_convert.missing_packages():
        raise ConfigError(f"ONNX needs {' and '.join(missing)}. Run `{installing.extra('export')}`")
    out = out.absolute()
    if not _may_become_an_export(out):
        raise StorageError(f"{out}: this exists and is not an export. Name a folder that is new or empty")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", suffix=".tmp", dir=out.parent) as scratch:
        folder = Path(scratch, "new")
        folder.mkdir()
        try:
            with onnx_convert.quiet(format):
                exported = _WRITERS[format](detector, folder)
                reference = onnx_convert.reference(partial(outputs_of, detector.model))
                differences = output_check.differences(reference, exported, detector.geometry.size)
            output_check.require_same(differences, format)
        except ModelError as error:
            raise ModelError(f"{detector.id}: {error}. Nothing was written. Try the other format") from error
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


def _write_onnx(detector: "Detector", folder: Path) -> Outputs:
    """Write the graph `MODEL`, and load it without evidence and features, which `onnx_convert.graphs` has checked."""
    from artdetect.model import onnx_convert, onnx_graph
    from artdetect.model.evidence import MARGIN
    from artdetect.model.onnx_runtime import Graph

    content = onnx_graph.content(
        onnx_convert.graphs(detector.model, detector.geometry.size, detector.parts)[onnx_runtime.MODEL]
    )
    (folder / ONNX_FILE).write_bytes(content)
    graph = Graph(content)
    left_out = (MARGIN, onnx_runtime.FEATURES)
    return lambda pictures: {name: its for name, its in graph(pictures).items() if not name.startswith(left_out)}


def _write_saved_model(detector: "Detector", folder: Path) -> Outputs:
    """Write the folder, with endpoint `serve` and signature `serving_default`, and load it."""
    import tensorflow as tf
    from keras.export import ExportArchive

    size = detector.geometry.size
    archive = ExportArchive()
    picture = tf.TensorSpec((None, size, size, 3), tf.float32, onnx_runtime.PICTURE)
    archive.add_endpoint("serve", lambda pictures: outputs_of(detector.model, pictures), [picture])
    archive.write_out(folder, verbose=False)
    loaded = tf.saved_model.load(folder)  # stays referenced: signatures do not hold the weights

    def run(pictures: "np.ndarray") -> "dict[str, np.ndarray]":
        outputs = loaded.signatures["serving_default"](**{picture.name: tf.constant(pictures)})
        return {name: value.numpy() for name, value in outputs.items()}

    return run


_WRITERS: "dict[Format, Callable[[Detector, Path], Outputs]]" = {
    "onnx": _write_onnx,
    "saved_model": _write_saved_model,
}
