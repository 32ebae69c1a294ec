"""The evidence for XRAI's defaults: settings side by side on training pictures, each beside noise in the same regions.

    python -m benchmarks.xrai_ablation MODEL PICTURES [--count 24]

MODEL is an artifact folder or a model file, PICTURES a folder of pictures that it was trained on: settings must not be
chosen on the test set.
"""

import argparse
import warnings
from pathlib import Path
from typing import Any

from benchmarks.harness import measure, publish, table

CHOICES: dict[str, dict[str, Any]] = {
    "default": {},
    "largest channel instead of the sum": {"channel_reduce": "max"},
    "the picture's mean colour as the only baseline": {"baselines": "mean"},
    "100 steps": {"steps": 100},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--count", type=int, default=24)
    chosen = parser.parse_args()
    result = measure("benchmarks.xrai_ablation:compare", str(chosen.model), str(chosen.pictures), chosen.count).result
    text = (
        f"`{result['model']}`, {chosen.count} random training pictures, 95 % intervals. Deletion and insertion are "
        "mean logit margins, less those of noise in the same regions on the same pictures: below 0 is good for "
        "deletion, above 0 for insertion. The last column is the correlation with the maps of the default."
    )
    heads = ["setting", "deletion less noise", "insertion less noise", "completeness error", "to the default"]
    publish("Explanations: choices", f"{text}\n\n{table(heads, result['rows'])}")


def compare(name: str, folder: str, count: int) -> dict[str, Any]:
    """In a process of its own: check the maps of all `CHOICES`.

    Args:
        name: An artifact folder or a model file.
        folder: A folder of pictures.
        count: Pictures that are explained.
    """
    import numpy as np

    from artdetect.explain import quality
    from artdetect.explain.methods.xrai import XRAI
    from benchmarks.nets import net_and_pictures

    warnings.filterwarnings("ignore")
    label, model, images = net_and_pictures(name, 0, count, folder)
    rows, defaults = [], None
    for choice, settings in CHOICES.items():
        explainer = XRAI(model, **settings)
        explanations = explainer(images)
        defaults = defaults or explanations
        result = quality.check(explainer, images, explanations, seed=129).as_dict()
        noise = next(row for row in result["rows"] if row["name"] == quality.NOISE)["difference"]
        correlations = [
            np.corrcoef(one.heatmap.ravel(), other.heatmap.ravel())[0, 1]
            for one, other in zip(explanations, defaults, strict=True)
        ]
        rows.append(
            [
                choice,
                *(_interval(noise[area]) for area in ("deletion_margin", "insertion_margin")),
                f"{result['completeness_error']:.3f}",
                f"{np.mean(correlations):.3f}",
            ]
        )
    return {"model": label, "rows": rows}


def _interval(value: dict[str, float]) -> str:
    return f"{value['value']:.2f} ({value['low']:.2f} to {value['high']:.2f})"


if __name__ == "__main__":
    main()
