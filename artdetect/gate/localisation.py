"""Whether the maps of two models find regions that were pasted into the same test pictures.

The method is `evidence`, which costs about as much as a verdict and works for every model. See
`artdetect.explain.localisation`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from artdetect.core import paths

if TYPE_CHECKING:
    import pandas as pd


def aucs(
    models: Mapping[str, Path], table: "pd.DataFrame", pictures: Path, count: int, seed: int
) -> dict[str, list[float]] | str:
    """The AUC of both models' maps on each of some splices. They are cached by model.

    Args:
        models: Side -> the model's artifact.
        table: The test pictures, see `paired_predictions`. Splices are made of those that both models judge rightly.
        pictures: The root of the data set.
        count: The most splices.
        seed: The seed.

    Returns:
        Side -> AUCs, in the same order; or the reason why there are none.
    """
    if not count:
        return "gate.localisation is 0"
    from artdetect.explain import localisation
    from artdetect.explain.methods.evidence import Evidence
    from artdetect.model.detector import Detector
    from artdetect.pictures.splices import draw, parents, shortage

    right = table[table.right_champion & table.right_challenger]
    contents = parents(right.assign(predicted=right.label))
    if reason := shortage(*map(len, contents)):
        return reason
    splices = draw(*contents, count, seed)[::2]  # without controls: the other model is the control
    files = {row.sha256: paths.picture(pictures, row.path) for row in table.itertuples()}
    found = {}
    for side, model in models.items():
        detector = Detector.load(model)
        pixels = localisation.pixels_of(detector.geometry, files)
        explainer = Evidence(detector)
        rows = localisation.measured(detector.digest, explainer, splices, pixels)
        found[side] = [row["auc"] for row in rows]
    return found
