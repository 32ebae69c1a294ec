"""What XRAI's defaults rest on: settings side by side on training pictures, each beside noise in the same regions.

    python -m benchmarks.xrai_ablation MODEL PICTURES [--count 24]

MODEL is an artifact folder or a model file, PICTURES a folder of pictures that it was trained on: the test set is no
place for choices.
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
    found = measure("benchmarks.xrai_ablation:compared", str(chosen.model), str(chosen.pictures), chosen.count).result
    said = (
        f"`{found['model']}`, {chosen.count} training pictures by lot, 95 % intervals. Deletion and insertion are mean "
        "logit margins, less those of noise in the same regions on the same pictures: below 0 is good for "
        "deletion, above 0 for insertion. The last column is the correlation with the default's maps."
    )
    heads = ["setting", "deletion less noise", "insertion less noise", "completeness error", "to the default"]
    publish("Explanations: choices", f"{said}\n\n{table(heads, found['rows'])}")


def compared(name: str, folder: str, count: int) -> dict[str, Any]:
    """In a process of its own."""
    import numpy as np

    from artdetect.explain import quality
    from artdetect.explain.methods.xrai import XRAI
    from benchmarks.explanations import net_and_pictures

    warnings.filterwarnings("ignore")
    label, model, images = net_and_pictures(name, 0, count, folder)
    rows, first = [], None
    for what, settings in CHOICES.items():
        explainer = XRAI(model, **settings)
        found = explainer(images)
        first = first or found
        answer = quality.check(explainer, images, found, seed=129).as_dict()
        noise = next(row for row in answer["rows"] if row["name"] == quality.NOISE)["difference"]
        alike = [
            np.corrcoef(one.ravel(), other.ravel())[0, 1]
            for one, other in zip(found.heatmaps, first.heatmaps, strict=True)
        ]
        rows.append(
            [
                what,
                *(_interval(noise[area]) for area in ("deletion_margin", "insertion_margin")),
                f"{answer['completeness_error']:.3f}",
                f"{np.mean(alike):.3f}",
            ]
        )
    return {"model": label, "rows": rows}


def _interval(value: dict[str, float]) -> str:
    return f"{value['value']:.2f} ({value['low']:.2f} to {value['high']:.2f})"


if __name__ == "__main__":
    main()
