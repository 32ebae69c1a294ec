"""The net of a feature extractor as features are computed with it: converted to ONNX, once for all runs.

The graph is in data/cache/backbones, which may be deleted at any time. A net with an operation that ONNX lacks runs on
TensorFlow. `ConvertedBackbone.runtime` says which it is, and is part of the key of cached features.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np

from artdetect.core import atomic, digests, json_cache, paths
from artdetect.core.errors import ModelError
from artdetect.model.compiled import CompiledModel
from artdetect.model.extractor import Extractor
from artdetect.model.onnx_runtime import FEATURES, Graph, OnnxRuntime
from artdetect.pictures import images

PACKAGES = ("keras", "numpy", "onnx", "onnxruntime", "tensorflow", "tf2onnx")  # whose versions shape the features

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ConvertedBackbone:
    """A net that gives features.

    Args:
        features: Canonical pictures, uint8 [n, S, S, 3] -> features float32 [n, D], each as if it were alone.
        width: Number of features, D.
        runtime: "onnxruntime" or "tensorflow".
    """

    features: Callable[[np.ndarray], np.ndarray]
    width: int
    runtime: str


def load(extractor: Extractor, weights_id: str) -> ConvertedBackbone:
    """The extractor's net, converted or read from the cache, and loaded once per process.

    Args:
        extractor: The extractor.
        weights_id: Entry `weights` of its identity, which changes with the content of its files.

    Raises:
        ConfigError, ModelError: As for `Extractor.build`.
    """
    with _LOADING:
        return _loaded(extractor, weights_id)


_LOADING = threading.Lock()


@lru_cache(maxsize=2)
def _loaded(extractor: Extractor, weights_id: str) -> ConvertedBackbone:
    content = _graph(extractor, weights_id)
    size = extractor.geometry.size
    if content is None:
        net = extractor.build()
        compiled = CompiledModel(partial(net, training=False), (size, size, 3), images.to_input)
        return ConvertedBackbone(compiled, net.output_shape[-1], "tensorflow")
    graph = Graph(content, prepare=images.to_input)
    return ConvertedBackbone(lambda pixels: graph(pixels)[FEATURES], graph.shapes[FEATURES][0], OnnxRuntime.name)


def _graph(extractor: Extractor, weights_id: str) -> bytes | None:
    """The ONNX file; None if the net cannot be converted."""
    key = {
        "extractor": asdict(extractor) | {"weights": weights_id},
        "packages": digests.versions(PACKAGES),
        "code": digests.code_digests("artdetect.model.onnx_convert")
        | digests.code_digests("artdetect.model.extractor"),
    }
    convert = partial(_converted, extractor)
    found = json_cache.cached_json("backbone", key, convert)
    if "refused" in found:
        return None
    file = paths.cache() / "backbones" / f"{found['sha256']}.onnx"
    if not file.is_file() or digests.file_digest(file) != found["sha256"]:
        log.warning("%s: missing or damaged, so it is made again", file)
        convert()
    return file.read_bytes()


def _converted(extractor: Extractor) -> dict[str, Any]:
    """Write the ONNX file. Returns its sha256, or why the net cannot be converted."""
    from artdetect.model import onnx_convert, onnx_graph

    net = extractor.build()
    try:
        content = onnx_graph.content(onnx_convert.backbone_graph(net, extractor.geometry.size))
    except ModelError as error:
        log.warning("%s: its features are computed with TensorFlow: %s", extractor.backbone, error)
        return {"refused": str(error)}
    sha256 = digests.bytes_digest(content)
    atomic.write(paths.cache() / "backbones" / f"{sha256}.onnx", content)
    return {"sha256": sha256}
