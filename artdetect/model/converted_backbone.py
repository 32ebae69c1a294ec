"""The net of a feature extractor as features are computed with it: converted to ONNX, once for all runs.

So is the net that gives the features of windows. The graphs are in data/cache/backbones, which may be deleted at any
time. A net with an operation that ONNX lacks runs on TensorFlow. `runtime` says which it is, and is part of the key of
cached features.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.core import atomic, digests, json_cache, paths
from artdetect.core.errors import ModelError
from artdetect.model.compiled import CompiledModel
from artdetect.model.extractor import Extractor
from artdetect.model.onnx_runtime import FEATURES, Graph, OnnxRuntime
from artdetect.model.pooled_net import blocks_behind
from artdetect.model.window_grid import WindowGrid
from artdetect.model.window_statistics import WindowStatistics
from artdetect.pictures import images

if TYPE_CHECKING:
    import keras

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


@dataclass(frozen=True)
class ConvertedWindows:
    """The same net, which gives the features of windows.

    Args:
        windows: Canonical pictures, uint8 [n, S, S, 3] -> side of windows as text -> their features, float32
            [n, g, g, D], see `WindowStatistics.within`.
        width: Number of features, D.
        runtime: "onnxruntime" or "tensorflow".
    """

    windows: Callable[[np.ndarray], Mapping[str, np.ndarray]]
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


def load_windows(extractor: Extractor, weights_id: str) -> ConvertedWindows:
    """The net that gives the features of windows; arguments and errors as for `load`."""
    with _LOADING:
        return _loaded_windows(extractor, weights_id)


_LOADING = threading.Lock()


@lru_cache(maxsize=2)
def _loaded(extractor: Extractor, weights_id: str) -> ConvertedBackbone:
    net, runtime = _run(extractor, weights_id, _features)
    shape = net(np.zeros((0, *_picture_shape(extractor)), np.uint8))[FEATURES].shape
    return ConvertedBackbone(lambda pixels: net(pixels)[FEATURES], shape[-1], runtime)


@lru_cache(maxsize=1)
def _loaded_windows(extractor: Extractor, weights_id: str) -> ConvertedWindows:
    net, runtime = _run(extractor, weights_id, _windows)
    shapes = net(np.zeros((0, *_picture_shape(extractor)), np.uint8))
    return ConvertedWindows(net, next(iter(shapes.values())).shape[-1], runtime)


Net = Callable[[np.ndarray], dict[str, np.ndarray]]


def _run(extractor: Extractor, weights_id: str, build: "Callable[[Extractor], keras.Model]") -> tuple[Net, str]:
    """A net on pictures that gives a dict, and what runs it."""
    content = _graph(extractor, weights_id, build)
    if content is None:
        net = partial(build(extractor), training=False)
        return CompiledModel(net, _picture_shape(extractor), images.to_input), "tensorflow"
    return Graph(content, prepare=images.to_input), OnnxRuntime.name


def _picture_shape(extractor: Extractor) -> tuple[int, int, int]:
    return extractor.geometry.size, extractor.geometry.size, 3


def _features(extractor: Extractor) -> "keras.Model":
    """The net: pictures -> `FEATURES`."""
    import keras

    net = extractor.build()
    return keras.Model(net.input, {FEATURES: net.output})


def _windows(extractor: Extractor) -> "keras.Model":
    """The net: pictures -> side of windows -> their features."""
    import keras

    size, net = extractor.geometry.size, extractor.build()
    blocks = blocks_behind(net.output)
    inner = keras.Model(net.input, [net.output, *(block.activations for block in blocks)])
    picture = keras.Input((size, size, 3), name="picture")
    features, *activations = inner(picture)
    statistics = WindowStatistics.of(blocks, features, activations, WindowGrid(size))
    return keras.Model(picture, {str(side): statistics.within(side) for side in statistics.grid.sides})


def _graph(extractor: Extractor, weights_id: str, build: "Callable[[Extractor], keras.Model]") -> bytes | None:
    """The ONNX file; None if the net cannot be converted."""
    key = {
        "extractor": asdict(extractor) | {"weights": weights_id},
        "net": build.__name__,
        "packages": digests.versions(PACKAGES),
        "code": digests.code_digests("artdetect.model.onnx_convert")
        | digests.code_digests("artdetect.model.extractor"),
    }
    convert = partial(_converted, extractor, build)
    found = json_cache.cached_json("backbone", key, convert)
    if "refused" in found:
        return None
    file = paths.cache() / "backbones" / f"{found['sha256']}.onnx"
    if not file.is_file() or digests.file_digest(file) != found["sha256"]:
        log.warning("%s: missing or damaged, so it is made again", file)
        convert()
    return file.read_bytes()


def _converted(extractor: Extractor, build: "Callable[[Extractor], keras.Model]") -> dict[str, Any]:
    """Write the ONNX file. Returns its sha256, or why the net cannot be converted."""
    from artdetect.model import onnx_convert, onnx_graph

    net = build(extractor)
    try:
        content = onnx_graph.content(onnx_convert.net_graph(net, extractor.geometry.size))
    except ModelError as error:
        log.warning("%s: its features are computed with TensorFlow: %s", extractor.backbone, error)
        return {"refused": str(error)}
    sha256 = digests.bytes_digest(content)
    atomic.write(paths.cache() / "backbones" / f"{sha256}.onnx", content)
    return {"sha256": sha256}
