"""Explanations beside those of the saliency package: their cost, whether they are the same, and how good they are.

    python -m benchmarks.explanations [--model FILE ...] [--pictures FOLDER] [--endless 1000] [--only SECTION ...]

Costs are measured with nets of random weights at 32 and 256 pixels (the notebook's, and a small one at 256) and with
each `--model`; steps, completeness and quality only with these models, on random pictures of FOLDER.
"""

import argparse
import itertools
import warnings
from pathlib import Path
from typing import Any

from benchmarks.harness import cpu_now, measure, part, publish, table
from benchmarks.nets import net_and_pictures, synthetic

BLOCK = 128  # pictures: a multiple of the group that an explainer works on
STEPS = (16, 24, 32, 48, 64, 100)  # of integrated gradients, whose maps are compared
STEP_PICTURES = 12
SECTIONS = ("cost", "steps", "pace", "quality")
TIMED = 3  # pictures that saliency explains; ours explains as many or more


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, nargs="*", default=[], help="artifact folders or model files")
    parser.add_argument("--pictures", type=Path, help="a folder of pictures")
    parser.add_argument("--endless", type=int, default=1024, help="pictures in the test of memory and pace")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS)
    chosen = parser.parse_args()
    if "cost" in chosen.only:
        publish("Explanations: cost", costs(chosen.model, chosen.pictures))
    if "steps" in chosen.only and chosen.model and chosen.pictures:
        publish("Explanations: how many steps", steps(chosen.model, chosen.pictures))
    if "pace" in chosen.only:
        publish("Explanations: memory and pace", pace(chosen.endless))
    if "quality" in chosen.only and chosen.model and chosen.pictures:
        publish("Explanations: completeness and quality", quality(chosen.model, chosen.pictures))


def costs(models: list[Path], pictures: Path | None) -> str:
    """CPU seconds per picture of ours and of saliency, and how far the maps are apart."""
    rows = []
    for name, size, batch, count in (("notebook", 32, 1, 32), ("notebook", 256, 100, 3), ("small", 256, 100, 3)):
        measured = measure("benchmarks.explanations:compare", name, size, batch, count, None)
        rows.append(_row(f"{name} net, random weights", measured))
    for model in models if pictures else []:
        measured = measure("benchmarks.explanations:compare", str(model), 0, 100, TIMED, str(pictures))
        rows.append(_row(f"`{measured.result['model']}`, real pictures", measured))
    heads = ["net", "px", "saliency, batch", "compat", "ratio", "apart", "regions", "default", "to 100 steps"]
    text = (
        "CPU seconds per picture of saliency's XRAI (eager gradients in batches as given, 100 steps), of ours with "
        '`compat="saliency"`, the ratio, and the largest difference of the maps as a share of their range. "regions": '
        "by which factor segmentation, dilation and ranking alone are faster, with identical results. "
        '"default": the ratio for our default settings, and the correlation of their maps with those of 100 steps.'
    )
    return f"{text}\n\n{table(heads, rows)}"


def _row(name: str, measured: Any) -> list[Any]:
    result = measured.result
    theirs, ours, default = (measured.cost(name).cpu / result[name] for name in ("saliency", "compat", "default"))
    regions = measured.cost("their regions").cpu / measured.cost("our regions").cpu
    correlation = result["correlation"]
    return [
        name,
        result["size"],
        f"{theirs:.2f}, {result['batch']}",
        f"{ours:.3f}",
        f"{theirs / ours:.1f}",
        f"{result['apart']:.0e}",
        f"{regions:.1f}",
        f"{theirs / default:.1f}",
        f"{sum(correlation) / len(correlation):.4f} (lowest {min(correlation):.4f})",
    ]


def compare(name: str, size: int, batch: int, count: int, folder: str | None) -> dict[str, Any]:
    """In a process of its own: run saliency and ours on the same pictures and net.

    Args:
        name: As for `net_and_pictures`.
        size: As for `net_and_pictures`.
        batch: Pictures per call of the net by saliency.
        count: Pictures that ours explains.
        folder: As for `net_and_pictures`.
    """
    import numpy as np
    import saliency.core as saliency
    import tensorflow as tf

    from artdetect.explain import regions
    from artdetect.explain.methods.xrai import XRAI
    from artdetect.explain.model_score import logits
    from artdetect.explain.regions import ranking

    warnings.filterwarnings("ignore")
    label, model, images = net_and_pictures(name, size, count, folder)
    network = logits(model)

    def call(pictures, call_model_args=None, expected_keys=None):
        pictures = tf.convert_to_tensor(pictures, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(pictures)
            outputs = network(pictures)
            margin = outputs[:, call_model_args] - outputs[:, 1 - call_model_args]
        return {saliency.INPUT_OUTPUT_GRADIENTS: np.array(tape.gradient(margin, pictures))}

    compat, default, long = XRAI(model, compat="saliency"), XRAI(model), XRAI(model, steps=100)
    compat(images[:1]), default(images[:1])  # compiled
    with part("compat"):
        ours = compat(images)
    with part("default"):
        defaults = default(images)
    reference = long(images)
    parameters = saliency.XRAIParameters(steps=100, return_xrai_segments=True)
    targets = [one.target for one in ours]
    saliency.XRAI().GetMask(images[0], call, targets[0], batch_size=batch)
    theirs = []
    with part("saliency"):
        for image, target in zip(images[:TIMED], targets, strict=False):
            theirs.append(
                saliency.XRAI().GetMaskWithDetails(image, call, target, batch_size=batch, extra_parameters=parameters)
            )
    for image, one in zip(images[:TIMED], ours, strict=False):
        attributions = one.attributions.max(axis=-1)
        with part("our regions"):
            heatmap, ranks = ranking.rank(attributions, regions.as_saliency(image, 5), "full", 50)
        with part("their regions"):
            expected = saliency.XRAI().GetMaskWithDetails(
                image, call, None, base_attribution=one.attributions, extra_parameters=parameters
            )
        assert np.array_equal(heatmap, expected.attribution_mask.astype(np.float32))
        assert np.array_equal(ranks, expected.segments)
    apart = [
        float(np.abs(one.heatmap - expected.attribution_mask).max() / np.ptp(expected.attribution_mask))
        for one, expected in zip(ours, theirs, strict=False)
    ]
    assert all(np.array_equal(one.ranks, expected.segments) for one, expected in zip(ours, theirs, strict=False))
    return {
        "model": label,
        "size": images.shape[1],
        "batch": batch,
        "saliency": len(theirs),
        "compat": len(images),
        "default": len(images),
        "apart": max(apart),
        "correlation": [
            float(np.corrcoef(one.heatmap.ravel(), other.heatmap.ravel())[0, 1])
            for one, other in zip(defaults, reference, strict=True)
        ],
    }


def steps(models: list[Path], pictures: Path) -> str:
    """How far maps of few steps are from those of many: whether an adaptive rule could stop early."""
    rows = []
    for model in models:
        found = measure("benchmarks.explanations:maps_by_steps", str(model), str(pictures)).result
        for count, to_next, to_last in zip(STEPS, found["next"], found["last"], strict=False):
            rows.append(
                [f"`{found['model']}`", count, *(f"{mean:.3f} (lowest {low:.3f})" for mean, low in (to_next, to_last))]
            )
    text = (
        f"XRAI's maps of {STEP_PICTURES} pictures by the steps of integrated gradients for each baseline; correlation, "
        f"mean over pictures, with the maps of the next row's steps and with those of {STEPS[-1]}."
    )
    return f"{text}\n\n{table(['model', 'steps', 'to the next', f'to {STEPS[-1]}'], rows)}"


def maps_by_steps(name: str, folder: str) -> dict[str, Any]:
    """In a process of its own: mean and lowest correlation of maps of `STEPS`, with the next and with the last."""
    import numpy as np

    from artdetect.explain.methods.xrai import XRAI

    label, model, images = net_and_pictures(name, 0, STEP_PICTURES, folder)
    maps = [[one.heatmap.ravel() for one in XRAI(model, steps=count)(images)] for count in STEPS]

    def alike(some: list[Any], others: list[Any]) -> tuple[float, float]:
        found = [float(np.corrcoef(one, other)[0, 1]) for one, other in zip(some, others, strict=True)]
        return float(np.mean(found)), min(found)

    return {
        "model": label,
        "next": [alike(*pair) for pair in itertools.pairwise(maps)],
        "last": [alike(each, maps[-1]) for each in maps[:-1]],
    }


def pace(count: int) -> str:
    """Memory and pace of a long stream."""
    blocks = measure("benchmarks.explanations:endless", count).result["blocks"]
    ratio = blocks[-1]["cpu"] / blocks[0]["cpu"]
    return (
        f"{count:,} pictures of 64 pixels as one stream, the notebook's net with random weights, regions from artworks "
        f"of 256 pixels. Memory after the first {BLOCK} {blocks[0]['mb']:.0f} MB, after the last "
        f"{blocks[-1]['mb']:.0f} MB (at most {max(row['mb'] for row in blocks):.0f}). CPU seconds of the "
        f"last {BLOCK} pictures to those of the first: {ratio:.2f}."
    )


def endless(count: int) -> dict[str, Any]:
    """In a process of its own: memory (MB, resident) and cost of each `BLOCK` pictures."""
    import re
    import time

    import numpy as np

    from artdetect.explain.methods.xrai import XRAI

    _, model, images = net_and_pictures("notebook", 64, 1, None)
    explainer = XRAI(model, steps=8)
    explainer(images, artworks=[np.zeros((256, 256, 3), np.uint8)])

    def artworks():
        return ((synthetic(256, number) * 255).astype(np.uint8) for number in range(count))

    blocks, cpu, wall = [], cpu_now(), time.perf_counter()
    pictures = (synthetic(64, number) for number in range(count))
    for number, _ in enumerate(explainer.stream(pictures, None, artworks()), 1):
        if number % BLOCK == 0:
            memory = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
            now = cpu_now(), time.perf_counter()
            blocks.append({"mb": int(memory[1]) / 1024, "cpu": now[0] - cpu, "wall": now[1] - wall})
            cpu, wall = now
    return {"blocks": blocks}


def quality(models: list[Path], pictures: Path) -> str:
    """Completeness with our settings and with saliency's, and the check of the maps."""
    parts = []
    for model in models:
        result = measure("benchmarks.explanations:check", str(model), str(pictures)).result
        errors = result["completeness"]
        parts.append(
            f"`{result['model']}`, {result['pictures']} pictures. Completeness error of the default settings "
            f"{errors['default']:.3f}, of saliency's 100 steps {errors['saliency']:.3f} (same baselines), where the "
            f"score is {result['score']:.2f} on average.\n\n{result['table']}"
        )
    return "\n\n".join(parts)


def check(name: str, folder: str) -> dict[str, Any]:
    """In a process of its own: check the explanations of a model."""
    import numpy as np

    from artdetect.explain import quality
    from artdetect.explain.methods.xrai import XRAI
    from artdetect.explain.render import quality_table

    label, model, images = net_and_pictures(name, 0, 24, folder)
    explainer = XRAI(model)
    explanations = explainer(images)
    theirs = XRAI(model, steps=100, quadrature="saliency")(images)
    result = quality.check(explainer, images, explanations, seed=129).as_dict()
    return {
        "model": label,
        "pictures": len(images),
        "score": result["mean_abs_score"],
        "completeness": {
            "default": result["completeness_error"],
            "saliency": float(np.mean([one.completeness_error for one in theirs])),
        },
        "table": quality_table(result),
    }


if __name__ == "__main__":
    main()
