"""Converts a Keras model to ONNX graphs, which ONNX Runtime runs without TensorFlow, and checks their outputs."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from artdetect.core import digests
from artdetect.core.errors import ModelError, storage_error
from artdetect.model import output_check, tensorflow_setup
from artdetect.model.compiled import outputs_of
from artdetect.model.evidence_graph import with_evidence
from artdetect.model.frozen_backbone import LAYER
from artdetect.model.onnx_runtime import BACKBONE, FEATURES, HEAD, MODEL, PICTURE, VERDICT, Graph, file_name
from artdetect.model.output_check import Outputs
from artdetect.model.parts import Parts

if TYPE_CHECKING:
    import keras
    import numpy as np
    import onnx

PACKAGES = ("onnx", "tf2onnx")
OPSET = 17  # from 2022: ONNX Runtime 1.12 and later support it


def missing_packages() -> list[str]:
    """The packages that conversion needs and that are not installed."""
    return [name for name in PACKAGES if find_spec(name) is None]


def graphs(model: "keras.Model", size: int, parts: Parts | None = None) -> "dict[str, onnx.ModelProto]":
    """A model as ONNX graphs, by name. The same model gives the same bytes.

    `MODEL` maps pictures float32 [N, size, size, 3] in [0, 1] to the model's outputs by name, to its evidence if
    `evidence_graph.with_evidence` gives one, and to the features of its frozen part if it has one. The others give the
    outputs without the evidence: if the model has a frozen part, `BACKBONE` maps pictures to its features, and `HEAD`
    features to the outputs; else `VERDICT` pictures to them.

    Args:
        model: The model.
        size: Side of its pictures, in pixels.
        parts: As `evidence_graph.with_evidence` takes them.

    Raises:
        ModelError: It cannot be converted, or a graph gives other outputs than the model.
    """
    import keras

    names = _output_names(model)
    picture = {PICTURE: (size, size, 3)}
    verdict = model.output if isinstance(getattr(model, "output", None), dict) else {names[0]: model.outputs[0]}
    frozen = LAYER in [layer.name for layer in model.layers]
    features = {FEATURES: model.get_layer(LAYER).output} if frozen else {}
    with quiet("onnx"):
        plain = keras.Model(model.inputs[0], verdict | features)
        whole = with_evidence(plain, size, parts) or plain
        net = _converted(partial(outputs_of, whole), size)
        found = {MODEL: _cut(net, picture, sorted(whole.output), MODEL)}
        if frozen:
            found[BACKBONE] = _cut(net, picture, [FEATURES], BACKBONE)
            found[HEAD] = _cut(net, {FEATURES: (int(features[FEATURES].shape[-1]),)}, names, HEAD)
        elif whole is not plain:
            found[VERDICT] = _cut(net, picture, names, VERDICT)
        expected = reference(partial(outputs_of, whole))
        received = [_run(found[name]) for name in (MODEL, VERDICT) if name in found]
        if frozen:
            received.append(_in_two_steps(found))
        for each in received:
            output_check.require_same(output_check.differences(expected, each, size), "onnx")
    return found


def write(graphs: "Mapping[str, onnx.ModelProto]", folder: Path) -> None:
    """Write each graph into a folder."""
    from artdetect.model import onnx_graph

    for name, graph in graphs.items():
        (folder / file_name(name)).write_bytes(onnx_graph.content(graph))


def card_entry(graphs: "Mapping[str, onnx.ModelProto]") -> dict[str, Any]:
    """What a card says of a model's graphs, see `onnx_runtime.OnnxRuntime`."""
    from artdetect.model import onnx_graph

    found = {name: digests.bytes_digest(onnx_graph.content(graph)) for name, graph in graphs.items()}
    return {"graphs": found, "frozen": found.get(BACKBONE, "")[:16]}


def net_graph(net: "keras.Model", size: int) -> "onnx.ModelProto":
    """A net that maps pictures to a dict of outputs, as the graph `BACKBONE`. Arguments and errors as for `graphs`."""
    function = partial(outputs_of, net)
    with quiet("onnx"):
        graph = _cut(_converted(function, size), {PICTURE: (size, size, 3)}, sorted(net.output), BACKBONE)
        output_check.require_same(output_check.differences(reference(function), _run(graph), size), "onnx")
    return graph


@contextmanager
def quiet(format: str) -> Iterator[None]:
    """Keep what converters write from stderr, and turn what they raise into a ModelError.

    Args:
        format: What they write.
    """
    try:
        with Path(os.devnull).open("wb") as nowhere, tensorflow_setup.redirect_stderr(nowhere):
            yield
    except ModelError:
        raise
    except Exception as error:  # converters and runtimes raise all kinds of errors
        if isinstance(error, OSError) and (known := storage_error(error)):
            raise known from error
        reason = (str(error).splitlines() or [type(error).__name__])[0][-200:]
        raise ModelError(f"it cannot be exported as {format} ({reason})") from error


def _output_names(model: "keras.Model") -> list[str]:
    outputs = getattr(model, "output", None)  # a loaded Sequential has none
    return sorted(outputs) if isinstance(outputs, dict) else ["probabilities"]


def _converted(function: Any, size: int) -> "onnx.ModelProto":
    """A function of pictures as tf2onnx writes it.

    Args:
        function: Maps pictures to a dict of tensors, whose names the graph's outputs get.
        size: Side of the pictures.
    """
    import tensorflow as tf
    import tf2onnx
    from tf2onnx import optimizer

    picture = tf.TensorSpec((None, size, size, 3), tf.float32, PICTURE)
    traced = tf.function(lambda pictures: function(pictures), autograph=False).get_concrete_function(picture)
    # convert.from_function would make inputs of a layer's constants, such as those of Normalization.
    inputs = {f"{PICTURE}:0": PICTURE}
    outputs = {tensor.name: name for name, tensor in traced.structured_outputs.items()}
    definition = tf2onnx.tf_loader.from_function(traced, [*inputs], [*outputs])
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(definition, name="")
        converted = tf2onnx.tfonnx.process_tf_graph(
            graph, opset=OPSET, input_names=[*inputs], output_names=[*outputs], tensors_to_rename=inputs | outputs
        )
    # Not among these steps: "optimize_transpose", whose order depends on the process, and which ONNX Runtime does
    # itself; "global_pool_optimizer", since ONNX Runtime adds up a GlobalAveragePool one number after the other. The
    # deviations of nearly constant activations, roots close to 0, magnify what that loses to as much as themselves.
    steps = {
        "fold_constants": optimizer.ConstFoldOptimizer,
        "merge_duplication": optimizer.MergeDuplicatedNodesOptimizer,
        "remove_identity": optimizer.IdentityOptimizer,
        "remove_back_to_back": optimizer.BackToBackOptimizer,
    }
    return optimizer.optimize_graph(converted, catch_errors=False, optimizers=steps).make_model(MODEL)


def _cut(
    net: "onnx.ModelProto", inputs: Mapping[str, Sequence[int]], outputs: Sequence[str], name: str
) -> "onnx.ModelProto":
    from artdetect.model import onnx_graph

    return onnx_graph.subgraph(net, inputs, outputs, name)


def reference(function: Any) -> Outputs:
    """A function of pictures that gives a dict of tensors, run by TensorFlow, as one that gives arrays."""
    import tensorflow as tf

    def run(pictures: "np.ndarray") -> "dict[str, np.ndarray]":
        with tf.device("CPU"):  # GPUs may compute float32 with fewer bits
            return {name: value.numpy() for name, value in function(pictures).items()}

    return run


def _run(graph: "onnx.ModelProto") -> Outputs:
    from artdetect.model import onnx_graph

    return Graph(onnx_graph.content(graph))


def _in_two_steps(found: "Mapping[str, onnx.ModelProto]") -> Outputs:
    backbone, head = _run(found[BACKBONE]), _run(found[HEAD])

    return lambda pictures: head(backbone(pictures)[FEATURES])
