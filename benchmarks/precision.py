"""Whether the backbone's features can be computed with fewer bits: verdicts, size and CPU time of each precision.

    python -m benchmarks.precision WORK PICTURES

PICTURES is a folder of training pictures; the first 60 of a seeded order calibrate the int8 ones, the others are
judged. The model is the starter, whose head stays as it is. All precisions take turns picture by picture.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.harness import measure, publish, table

CALIBRATE, SEED = 60, 0


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("work", "pictures"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--count", type=int, default=260)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    found = measure(
        "benchmarks.precision:compared", options.work, options.pictures, options.count, data=options.work / "data"
    ).result
    shown = {"mb": ".1f", "ms": ".1f", "times": ".2f", "mean": ".3f", "largest": ".2f", "verdicts": "", "opposite": ""}
    rows = [[name, *(f"{one[key]:{form}}" for key, form in shown.items())] for name, one in found["rows"].items()]
    heads = ["features by", "graph MB", "CPU ms", "times less", "logits apart, mean", "most"]
    heads += ["other verdicts", "opposite ones"]
    text = f"{found['model']}, features of {found['pictures']} training pictures of `realart.zip`, one thread."
    publish("Precision", f"{text}\n\n{table(heads, rows)}")


def compared(work: str, folder: str, count: int) -> dict[str, Any]:
    """Judge pictures by features of each precision."""
    import numpy as np
    import onnxruntime

    from artdetect import starter
    from artdetect.model import converted_backbone, predict
    from artdetect.model.decision import logit
    from artdetect.model.detector import Detector
    from artdetect.model.extractor import Extractor
    from artdetect.pictures import images

    detector = Detector.load(Path(starter.__file__).parent / "model.npz")
    net = detector.metadata["net"]
    extractor = Extractor(net["backbone"], tuple(net["feature_blocks"]), detector.geometry)
    content = converted_backbone._graph(extractor, extractor.identity["weights"], converted_backbone._features)
    assert content
    files = list(predict.find_pictures([Path(folder)]))
    order = np.random.default_rng(SEED).permutation(len(files))[:count]
    pictures = [images.load(files[number], detector.geometry)[None] for number in order]
    inputs = [images.to_input(picture) for picture in pictures]
    graphs = dict(_graphs(content, Path(work), inputs[:CALIBRATE]))
    sessions, times = {}, {name: [] for name in graphs}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    for name, file in graphs.items():
        sessions[name] = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    features: dict[str, list[Any]] = {name: [] for name in graphs}
    draw = np.random.default_rng(SEED)
    for one in inputs[CALIBRATE:]:
        for name in draw.permutation(list(sessions)):
            before = time.process_time()
            (row,) = sessions[name].run(None, {"picture": one})
            times[name].append(time.process_time() - before)
            features[name].append(row[0])
    rows: dict[str, Any] = {}
    first = next(iter(graphs))
    contrasts = np.array([images.contrast(picture[0]) for picture in pictures[CALIBRATE:]])
    sides = np.full(len(contrasts), detector.geometry.size)
    judged = {}
    for name in graphs:
        scores = detector.scores_from_features(np.array(features[name], np.float32))
        none = np.zeros(len(sides), bool)
        reasons = detector.rule.reasons(scores.p_ai, scores.novelty, sides, contrasts, none)
        judged[name] = logit(scores.p_ai), detector.rule.verdicts(scores.p_ai, reasons)
        apart = np.abs(judged[name][0] - judged[first][0])
        pairs = list(zip(judged[name][1], judged[first][1], strict=True))
        rows[name] = {
            "mb": graphs[name].stat().st_size / 1e6,
            "ms": statistics.median(times[name]) * 1e3,
            "times": statistics.median(a / b for a, b in zip(times[first], times[name], strict=True)),
            "mean": float(apart.mean()),
            "largest": float(apart.max()),
            "verdicts": sum(a != b for a, b in pairs),
            "opposite": sum({a, b} == {"AI", "human"} for a, b in pairs),
        }
    return {"model": detector.id, "pictures": len(sides), "rows": rows}


def _graphs(content: bytes, work: Path, calibration: list[Any]) -> Iterator[tuple[str, Path]]:
    """Name and file of the backbone's graph in each precision."""
    import numpy as np
    import onnx
    from onnx import numpy_helper
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    yield "float32", (plain := work / "float32.onnx")
    plain.write_bytes(content)

    class Pictures(CalibrationDataReader):
        def __init__(self) -> None:
            self._left = iter(calibration)

        def get_next(self) -> Any:
            picture = next(self._left, None)
            return None if picture is None else {"picture": picture}

    net = onnx.load(plain)
    for tensor in net.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype == np.float32:
            tensor.CopyFrom(numpy_helper.from_array(array.astype(np.float16).astype(np.float32), tensor.name))
    onnx.save(net, rounded := work / "float16.onnx")
    yield "weights rounded to float16", rounded
    quant_pre_process(str(plain), str(work / "prepared.onnx"), skip_symbolic_shape=True)
    for name, method in (("min-max", CalibrationMethod.MinMax), ("percentile", CalibrationMethod.Percentile)):
        file = work / f"int8-{name}.onnx"
        quantize_static(
            str(work / "prepared.onnx"), str(file), Pictures(), per_channel=True, op_types_to_quantize=["Conv"],
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, calibrate_method=method,
        )  # fmt: skip
        yield f"int8 convolutions, {name}", file


if __name__ == "__main__":
    main()
