"""What verdicts, evidence and features cost with ONNX Runtime, and with TensorFlow as before; both say the same.

    python -m benchmarks.runtimes WORK MODEL PICTURES

MODEL is an artifact of stage train with ONNX graphs, of preset artnet; PICTURES a folder. Both runtimes run the same
model: without the graphs beside it, TensorFlow runs it. The two take turns in one process, with pixels in memory, and
the medians of the rounds are compared. CPU times are those of all threads. The verdict alone and the verdict with its
evidence take turns picture by picture.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.harness import cpu_now, measure, publish, table, timed

if TYPE_CHECKING:
    from artdetect.pictures.picture_views import PictureViews

RUNTIMES = ("tensorflow", "onnxruntime")
ROUNDS = 5


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("work", "model", "pictures"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--only", choices=["evidence"], help="only the cost of the evidence, which needs no TensorFlow")
    options = parser.parse_args()
    _evidence(options.model, options.pictures, options.count)
    if options.only:
        return
    models = {"onnxruntime": options.model, "tensorflow": _without_graphs(options.model, options.work / "tensorflow")}
    first = next(file for file in sorted(options.pictures.rglob("*")) if file.suffix in (".jpg", ".png"))
    cold: dict[str, list[float]] = {name: [] for name in RUNTIMES}
    for _ in range(3):
        for name in RUNTIMES:
            command = [sys.executable, "-m", "artdetect.cli", "predict", "--model", str(models[name]), str(first)]
            cold[name].append(timed(command).cpu)
    found = measure(
        "benchmarks.runtimes:measured", *(models[name] for name in RUNTIMES), options.pictures, options.count
    ).result
    rows = [
        [
            "first verdict: `artdetect predict` of one picture, CPU s",
            *_row(*(statistics.median(cold[n]) for n in RUNTIMES)),
        ]
    ]
    rows += [[what, *_row(*costs)] for what, costs in found["costs"].items()]
    text = (
        f"{found['model']}, {found['pictures']} pictures of {found['size']} px, {found['features']} features; medians "
        f"of {ROUNDS} rounds in one process, CPU ms a picture; decoding one picture: {found['decode']:.1f} ms."
    )
    same = (
        f"The two differ by at most {found['logits']:.1e} in logits and {found['p_ai']:.1e} in p(AI); "
        f"{found['verdicts']} of {found['pictures']} verdicts differ."
    )
    heads = ["", *RUNTIMES, "times less"]
    publish("Runtimes", f"{text}\n\n{table(heads, rows)}\n\n{same}")


def measured(tensorflow: str, onnxruntime: str, folder: str, count: int) -> dict[str, Any]:
    """Both runtimes of one model, in turns."""
    import numpy as np

    from artdetect.model import predict
    from artdetect.model.decision import logit
    from artdetect.model.detector import Detector
    from artdetect.pictures import picture_views

    detectors = [Detector.load(Path(tensorflow)), Detector.load(Path(onnxruntime))]
    assert [each.runtime.name for each in detectors] == list(RUNTIMES)
    one = detectors[0]
    assert one.frozen
    files = list(predict.find_pictures([Path(folder)]))[:count]
    before = cpu_now()
    views = [picture_views.load(file, one.geometry, one.native_crops) for file in files]
    decode = (cpu_now() - before) / len(files) * 1e3
    works: dict[str, Callable[[Detector, list[PictureViews]], Any]] = {
        "one picture a request": lambda detector, some: [detector.scores_of([each]) for each in some],
        "features, in batches of 32": lambda detector, some: detector.features(np.stack([v.whole for v in some])),
        "verdict and evidence": lambda detector, some: [detector.scores_with_evidence([each]) for each in some[:8]],
    }
    costs = {}
    for what, work in works.items():
        taken: list[list[float]] = [[], []]
        number = 8 if what == "verdict and evidence" else 32
        for turn in range(ROUNDS + 1):
            for runtime, detector in enumerate(detectors):
                before = cpu_now()
                work(detector, views[:32])
                if turn:  # the first one compiles
                    taken[runtime].append((cpu_now() - before) / number * 1e3)
        costs[what] = [statistics.median(times) for times in taken]
    scores = [detector.scores_of(views) for detector in detectors]
    rows = [
        [each.verdict for each in predict.verdicts(detector, list(zip(files, views, strict=True)))]
        for detector in detectors
    ]
    return {
        "model": one.id,
        "pictures": len(files),
        "size": one.geometry.size,
        "features": one.frozen.width,
        "decode": decode,
        "costs": costs,
        "logits": float(np.abs(logit(scores[0].p_ai) - logit(scores[1].p_ai)).max()),
        "p_ai": float(np.abs(scores[0].p_ai - scores[1].p_ai).max()),
        "verdicts": sum(a != b for a, b in zip(*rows, strict=True)),
    }


def _evidence(model: Path, pictures: Path, count: int) -> None:
    """Publish what a verdict with its evidence costs beside the verdict alone."""
    found = measure("benchmarks.runtimes:ratio", model, pictures, count).result
    rows = [
        ["verdict", f"{found['verdict']:.2f}", ""],
        ["verdict and evidence", f"{found['both']:.2f}", "{:.3f} ({:.3f} to {:.3f})".format(*found["ratio"])],
    ]
    text = f"{found['model']}, {found['pictures']} pictures of {found['size']} px, which take turns; ONNX Runtime."
    publish("Verdict with evidence", f"{text}\n\n{table(['', 'CPU ms, median', 'in verdicts'], rows)}")


def ratio(model: str, folder: str, count: int) -> dict[str, Any]:
    """The cost of verdicts alone and with their evidence, picture by picture in turns; and a bootstrap interval."""
    import numpy as np

    from artdetect.model import predict
    from artdetect.model.detector import Detector
    from artdetect.pictures import picture_views

    detector = Detector.load(Path(model))
    files = list(predict.find_pictures([Path(folder)]))[:count]
    works: list[Callable[[list[PictureViews]], Any]] = [detector.scores_of, detector.scores_with_evidence]
    costs: list[list[float]] = []
    for number, file in enumerate([files[0], *files]):  # the first one prepares the graphs
        views = [picture_views.load(file, detector.geometry)]
        costs.append([0.0, 0.0])
        for which in (0, 1) if number % 2 else (1, 0):
            before = time.process_time()
            works[which](views)
            costs[-1][which] = (time.process_time() - before) * 1e3
    taken = np.array(costs[1:])
    ratios, draw = taken[:, 1] / taken[:, 0], np.random.default_rng(0)
    medians = [np.median(draw.choice(ratios, len(ratios))) for _ in range(2000)]
    return {
        "model": detector.id,
        "pictures": len(files),
        "size": detector.geometry.size,
        "verdict": float(np.median(taken[:, 0])),
        "both": float(np.median(taken[:, 1])),
        "ratio": [float(np.median(ratios)), *map(float, np.percentile(medians, (2.5, 97.5)))],
    }


def _row(before: float, after: float) -> list[str]:
    return [f"{before:.2f}", f"{after:.2f}", f"{before / after:.1f}"]


def _without_graphs(model: Path, folder: Path) -> Path:
    """A copy of a model's artifact that TensorFlow runs."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(model, folder, ignore=shutil.ignore_patterns("*.onnx"))
    return folder


if __name__ == "__main__":
    main()
