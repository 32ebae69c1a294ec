"""Where the time of a gradient by the pixels goes: eager, compiled, and its convolutions alone.

    python -m benchmarks.gradient [--model FILE ...]

The gradient is nearly all of what integrated gradients and XRAI cost. Nets of random weights at 256 pixels (the
notebook's and a small one), and each `--model`.
"""

import argparse
from pathlib import Path
from typing import Any

from benchmarks.harness import cpu_now, measure, publish, table
from benchmarks.nets import net_and_pictures

GRADIENTS = 16  # pictures in a batch of which the gradient is timed


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, nargs="*", default=[], help="artifact folders or model files")
    publish("Explanations: where a gradient's time goes", gradient_parts(parser.parse_args().model))


def gradient_parts(models: list[Path]) -> str:
    """CPU time of the gradient by the pixels, which is nearly all of what integrated gradients and XRAI cost."""
    nets = [(name, 256) for name in ("notebook", "small")] + [(str(model), 0) for model in models]
    rows = []
    for name, size in nets:
        found = measure("benchmarks.gradient:parts_of_gradient", name, size).result
        convolutions = found["forward"] + found["backward"]
        times = [found[part] for part in ("eager", "compiled", "forward", "backward", "bfloat16")]
        ratios = found["eager"] / found["compiled"], found["eager"] / convolutions
        rows.append(
            [found["model"], found["size"]]
            + [f"{time:.1f}" for time in times]
            + [f"{ratio:.1f}" for ratio in ratios]
            + [f"{found['correlation']:.3f}"]
        )
    text = (
        f"{GRADIENTS} pictures in a batch, CPU milliseconds per picture. Eager is how saliency calls the net, compiled "
        "how ours does; forward and backward are the convolutions of a gradient alone. Ratio: eager to compiled, which "
        "bounds what the same maps may gain. Bound: eager to the convolutions alone, as if all else cost nothing. The "
        "last column is the correlation of gradients in bfloat16 (oneDNN) with exact ones."
    )
    heads = ["net", "px", "eager", "compiled", "forward", "backward", "bfloat16", "ratio", "bound", "bfloat16 to exact"]
    return f"{text}\n\n{table(heads, rows)}"


def parts_of_gradient(name: str, size: int) -> dict[str, Any]:
    """In a process of its own: CPU milliseconds of a gradient and of its convolutions, for each picture.

    Args:
        name: An artifact folder or a model file where `size` is 0, otherwise "notebook" or "small".
        size: Side of the pictures for these two; px.
    """
    import numpy as np
    import tensorflow as tf

    from artdetect.explain.model_score import ExplainedScore
    from artdetect.model import predict, tensorflow_setup

    tensorflow_setup.load_tensorflow()
    if size:
        label, model, _ = net_and_pictures(name, size, 0, None)
    else:
        detector = predict.find_model(Path(name))
        label, model, size = detector.id, detector.classifier, detector.geometry.size
    images = np.random.default_rng(129).random((GRADIENTS, size, size, 3)).astype(np.float32)
    targets = np.zeros(GRADIENTS, np.int64)
    score = ExplainedScore(model, "logit_margin", GRADIENTS)
    classes = tf.one_hot(targets, 2)

    def eager() -> None:
        pictures = tf.constant(images)
        with tf.GradientTape() as tape:
            tape.watch(pictures)
            value = score.compute(pictures, classes)
        tape.gradient(value, pictures)

    forward = backward = 0.0
    for convolve, transpose, inputs in _convolutions(model, images):
        outputs = convolve(inputs)
        forward += _milliseconds(lambda convolve=convolve, inputs=inputs: convolve(inputs))
        backward += _milliseconds(lambda transpose=transpose, outputs=outputs: transpose(outputs))
    exact = score.gradients(images, targets)
    times = {"eager": _milliseconds(eager), "compiled": _milliseconds(lambda: score.gradients(images, targets))}
    tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": True})
    low = ExplainedScore(model, "logit_margin", GRADIENTS)
    rounded = low.gradients(images, targets)
    times["bfloat16"] = _milliseconds(lambda: low.gradients(images, targets))
    correlation = float(np.corrcoef(exact.ravel(), rounded.ravel())[0, 1])
    return {
        "model": label,
        "size": size,
        "correlation": correlation,
        "forward": forward,
        "backward": backward,
        **times,
    }


def _convolutions(model: Any, images: Any) -> Any:
    """The convolutions of a model, each with its gradient by its inputs and with inputs of its size."""
    import keras
    import numpy as np
    import tensorflow as tf

    def layers(one: Any) -> Any:
        for layer in one.layers:
            yield from layers(layer) if isinstance(layer, keras.Model) else [layer]

    backbone = next((layer for layer in model.layers if isinstance(layer, keras.Model)), model)
    chosen = [
        layer for layer in layers(backbone) if isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D))
    ]
    shapes = [tuple(x.shape) for x in keras.Model(backbone.inputs[0], [layer.input for layer in chosen])(images)]
    for layer, shape in zip(chosen, shapes, strict=True):
        kernel, stride, padding = tf.constant(layer.weights[0].numpy()), layer.strides[0], layer.padding.upper()
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            strides = (1, stride, stride, 1)
            convolve = tf.function(lambda x, k=kernel, s=strides, p=padding: tf.nn.depthwise_conv2d(x, k, s, p))
            transpose = tf.function(
                lambda y, k=kernel, s=strides, p=padding, shape=shape: tf.nn.depthwise_conv2d_backprop_input(
                    shape, k, y, s, p
                )
            )
        else:
            convolve = tf.function(lambda x, k=kernel, s=stride, p=padding: tf.nn.conv2d(x, k, s, p))
            transpose = tf.function(
                lambda y, k=kernel, s=stride, p=padding, shape=shape: tf.nn.conv2d_transpose(y, k, shape, s, p)
            )
        yield convolve, transpose, tf.constant(np.random.default_rng(129).random(shape).astype(np.float32))


def _milliseconds(call: Any, times: int = 3) -> float:
    """CPU milliseconds of a call for each of its pictures."""
    call()
    start = cpu_now()
    for _ in range(times):
        call()
    return (cpu_now() - start) / times / GRADIENTS * 1000


if __name__ == "__main__":
    main()
