"""Runs a model's ONNX graphs with ONNX Runtime: one picture and one thread a pass.

So a picture's outputs depend neither on its neighbours in a batch nor on how busy the machine is. Python threads may
share a graph: their passes run side by side, each on its own thread.
"""

import json
import zipfile
from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.core import digests
from artdetect.core.errors import ModelError
from artdetect.model import head_file
from artdetect.pictures import images

if TYPE_CHECKING:
    import keras

    from artdetect.model.evidence import EvidenceNet
    from artdetect.model.parts import Parts

PICTURE, FEATURES = "picture", "features"  # names of inputs
MODEL, VERDICT, BACKBONE, HEAD = "model", "verdict", "backbone", "head"  # names of graphs, see `onnx_convert.graphs`
ENTRY = "onnx"  # of a card: what belongs to the model, see `OnnxRuntime`


class Graph:
    """A function of arrays [n, *shape] that processes one array per pass.

    Args:
        content: The ONNX file.
        weights: Tensors that the file leaves out, by name.
        prepare: Converts arrays of a call to the float32 arrays that the graph takes.
    """

    def __init__(
        self,
        content: bytes,
        weights: Mapping[str, np.ndarray] | None = None,
        prepare: Callable[[np.ndarray], np.ndarray] = np.asarray,
    ):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 3  # errors
        if weights:
            values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in weights.values()]
            options.add_external_initializers(list(weights), values)
        self._prepare = prepare
        self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self.shapes: dict[str, tuple[int, ...]] = {
            output.name: tuple(output.shape[1:]) for output in self._session.get_outputs()
        }

    def __call__(self, arrays: np.ndarray) -> dict[str, np.ndarray]:
        """The outputs by name for arrays [n, *shape], each bit for bit as if its array were alone."""
        names = list(self.shapes)
        inputs = (self._prepare(arrays[row : row + 1]) for row in range(len(arrays)))
        passes = [self._session.run(names, {self._input: one}) for one in inputs]
        if not passes:
            return {name: np.empty((0, *shape), np.float32) for name, shape in self.shapes.items()}
        return {name: np.concatenate(parts) for name, parts in zip(names, zip(*passes, strict=True), strict=True)}


class FrozenGraphs:
    """See `artdetect.model.runtime.FrozenPart`.

    Args:
        backbone: The graph `BACKBONE`, of pictures uint8.
        head: The graph `HEAD`.
        id: The id of the backbone.
    """

    def __init__(self, backbone: Graph, head: Graph, id: str):
        self.id = id
        self.head = head
        self._backbone = backbone

    @property
    def width(self) -> int:
        """Number of features of a picture, D."""
        return self._backbone.shapes[FEATURES][0]

    def features(self, pixels: np.ndarray) -> np.ndarray:
        """Canonical pictures, uint8 [n, size, size, 3] -> features float32 [n, D]."""
        return self._backbone(pixels)[FEATURES]


class OnnxRuntime:
    """See `artdetect.model.runtime.Runtime`.

    Args:
        file: The model file. Its graphs are beside it, or in it if it is a head file.
        card: Its card. Entry `ENTRY` has `graphs`, the sha256 of each graph by name; `frozen`, the id of the backbone;
            and in a head file `weights`, the tensors that each graph leaves out.

    Raises:
        ModelError: A graph is damaged, or does not belong to the model file.
    """

    name = "onnxruntime"
    packages: tuple[str, ...] = ("onnxruntime",)

    def __init__(self, file: Path, card: Mapping[str, Any]):
        self._file, self._card = file, card
        self.frozen: FrozenGraphs | None = None
        graphs = card[ENTRY]["graphs"]
        if BACKBONE in graphs:
            backbone, head = self._graph(BACKBONE, images.to_input), self._graph(HEAD)
            self.frozen = FrozenGraphs(backbone, head, card[ENTRY]["frozen"])
            shapes = head.shapes
        else:
            self._whole = self._graph(VERDICT if VERDICT in graphs else MODEL, images.to_input)
            shapes = self._whole.shapes
        self.outputs = {name: shape[-1] for name, shape in shapes.items()}

    def __call__(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """The outputs by name for canonical pictures uint8 [n, size, size, 3]."""
        return self.frozen.head(self.frozen.features(pixels)) if self.frozen else self._whole(pixels)

    @cached_property
    def keras_model(self) -> "keras.Model":
        """The Keras model, loaded with TensorFlow."""
        from artdetect.model import keras_model_file

        return keras_model_file.load(self._file, self._card)

    def evidence_net(self, parts: "Parts | None") -> "EvidenceNet":
        """The model that gives its evidence with its verdict. The parts are in its graph."""
        from artdetect.model.evidence import EvidenceNet

        return EvidenceNet(self._graph(MODEL), self._card["geometry"]["size"])

    def _graph(self, name: str, prepare: Callable[[np.ndarray], np.ndarray] = np.asarray) -> Graph:
        content = self._read(name)
        if digests.bytes_digest(content) != self._card[ENTRY]["graphs"][name]:
            raise ModelError(
                f"{_place(self._file, name)}: it is damaged, or belongs to another model than {self._file.name}. "
                "Restore both, or train the model again"
            )
        missing = self._card[ENTRY].get("weights", {}).get(name, ())
        try:
            weights = head_file.tensors(self._file, self._card, missing) if missing else None
            return Graph(content, weights, prepare)
        except ModelError:
            raise
        except Exception as error:  # whatever NumPy and ONNX Runtime raise on damaged arrays and foreign graphs
            reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise ModelError(f"{_place(self._file, name)}: ONNX Runtime cannot load it ({reason})") from error

    def _read(self, graph: str) -> bytes:
        if not head_file.is_head_file(self._file):
            return _place(self._file, graph).read_bytes()
        with zipfile.ZipFile(self._file) as archive:
            return archive.read(file_name(graph))

    def __reduce__(self) -> Any:
        return _opened, (self._file, json.dumps(self._card))


@lru_cache(maxsize=2)
def _opened(file: Path, card: str) -> OnnxRuntime:
    """The runtime of a file, in another process."""
    return OnnxRuntime(file, json.loads(card))


def has_graphs(file: Path, card: Mapping[str, Any]) -> bool:
    """Whether a model file has its graphs.

    Args:
        file: The model file.
        card: Its card.
    """
    graphs = card.get(ENTRY, {}).get("graphs", {})
    return bool(graphs) and (head_file.is_head_file(file) or all(_place(file, name).is_file() for name in graphs))


def file_name(graph: str) -> str:
    """The name of a graph's file."""
    return f"{graph}.onnx"


def _place(file: Path, graph: str) -> Path:
    return file.with_name(file_name(graph))
