"""Cuts subgraphs out of an ONNX graph, in a canonical form: the same computation gives the same bytes.

tf2onnx names tensors after scopes and running numbers, which depend on what the process did before.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from artdetect.core.errors import ModelError

EXTERNAL = "weights"  # where a tensor's data are, if the runtime gets them separately
MIN_EXTERNAL = 1024  # numbers in a tensor that is worth it


def subgraph(
    net: onnx.ModelProto, inputs: Mapping[str, Sequence[int]], outputs: Sequence[str], name: str
) -> onnx.ModelProto:
    """What computes some tensors of a graph from others.

    Args:
        net: The whole graph. It has no nested graphs.
        inputs: Names of tensors -> their float32 shape without the first axis, N.
        outputs: Names of outputs of the whole graph.
        name: Name of the new graph.

    Raises:
        ModelError: The outputs depend on more than these inputs.
    """
    source = {output: node for node in net.graph.node for output in node.output}
    constants = {tensor.name: tensor for tensor in net.graph.initializer}

    def origin(tensor: str) -> str:
        """The tensor of which this one is a copy."""
        while tensor in source and source[tensor].op_type == "Identity":
            tensor = source[tensor].input[0]
        return tensor

    names = {origin(tensor): tensor for tensor in inputs}
    nodes: list[onnx.NodeProto] = []
    initializers: list[onnx.TensorProto] = []
    waiting = [origin(tensor) for tensor in reversed(outputs)]
    while waiting:
        tensor = waiting[-1]
        if not tensor or tensor in names:
            waiting.pop()
        elif tensor in constants:
            names[tensor] = f"w{len(initializers)}"
            initializers.append(_tensor(constants[tensor], names[tensor]))
        elif tensor not in source:
            raise ModelError(f"graph {name}: its outputs depend on {tensor}, which is none of {', '.join(inputs)}")
        elif missing := [each for each in map(origin, source[tensor].input) if each and each not in names]:
            waiting += reversed(missing)
        else:
            node = onnx.NodeProto()
            node.CopyFrom(source[tensor])
            node.name = f"n{len(nodes)}"
            for number, output in enumerate(node.output):
                names[output] = f"{node.name}_{number}" if output else ""
            node.input[:] = [names[origin(each)] if each else "" for each in node.input]
            node.output[:] = [names[each] if each else "" for each in node.output]
            node.ClearField("doc_string")
            nodes += _in_onnx(node)
    nodes += [onnx.helper.make_node("Identity", [names[origin(output)]], [output]) for output in outputs]
    return onnx.helper.make_model(
        onnx.helper.make_graph(
            nodes,
            name,
            [_value_info(tensor, shape) for tensor, shape in inputs.items()],
            [
                _value_info(output, _shape(next(each for each in net.graph.output if each.name == output)))
                for output in outputs
            ],
            initializers,
        ),
        opset_imports=net.opset_import,
        ir_version=net.ir_version,
        producer_name="artdetect",
    )


def _in_onnx(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """A node as nodes that ONNX has. It lacks erfc, of which TensorFlow makes GELU: erfc(x) = 1 - erf(x)."""
    if node.op_type != "Erfc":
        return [node]
    (x,), (result,) = node.input, node.output
    one = numpy_helper.from_array(np.ones((), np.float32), f"{node.name}_one")
    return [
        onnx.helper.make_node("Erf", [x], [f"{node.name}_erf"], f"{node.name}_erf"),
        onnx.helper.make_node("Constant", [], [one.name], one.name, value=one),
        onnx.helper.make_node("Sub", [one.name, f"{node.name}_erf"], [result], node.name),
    ]


def _tensor(constant: onnx.TensorProto, name: str) -> onnx.TensorProto:
    return numpy_helper.from_array(np.ascontiguousarray(numpy_helper.to_array(constant)), name)


def _value_info(name: str, shape: Sequence[int | None]) -> onnx.ValueInfoProto:
    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", *shape])


def _shape(output: onnx.ValueInfoProto) -> list[int | None]:
    """The shape without the first axis."""
    return [each.dim_value or None for each in output.type.tensor_type.shape.dim[1:]]


def content(net: onnx.ModelProto) -> bytes:
    """The bytes of the file."""
    return net.SerializeToString(deterministic=True)


def without_weights(net: onnx.ModelProto, weights: Mapping[str, np.ndarray]) -> tuple[onnx.ModelProto, list[str]]:
    """The graph without tensors that are known, and the names of those that it lacks, which are those in `weights`.

    Args:
        net: The graph. It is not changed.
        weights: Tensors by name, as ONNX lays them out.
    """
    known = {_key(array): name for name, array in weights.items() if array.size >= MIN_EXTERNAL}
    skeleton = onnx.ModelProto()
    skeleton.CopyFrom(net)
    renamed: dict[str, str] = {}
    for tensor in skeleton.graph.initializer:
        name = known.get(_key(numpy_helper.to_array(tensor)))
        if name and name not in renamed.values():
            renamed[tensor.name] = name
            tensor.name = name
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=EXTERNAL)
    for node in skeleton.graph.node:
        node.input[:] = [renamed.get(each, each) for each in node.input]
    return skeleton, sorted(renamed.values())


def _key(array: np.ndarray) -> Any:
    return array.shape, array.dtype.str, array.tobytes()
