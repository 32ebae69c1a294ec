"""What `artdetect adapt` gives on sources that the model does not know, by the number of own pictures.

    python -m benchmarks.adaptation WORK [--config configs/starter.toml] [--set KEY=VALUE ...]

For each fold a head is fitted without the fold's sources. Half of the pictures of these sources are one's own, of which
some are adapted to; the other half is judged. Writes a section of results.md.
"""

from collections import defaultdict
from statistics import mean
from typing import TYPE_CHECKING, Any

from benchmarks.harness import publish, table
from benchmarks.out_of_source import balanced, project_parser

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from artdetect.adapt.posterior import Posterior
    from artdetect.model.artnet_model import Embedding

OWN = {"none": (0, 0), "20 + 20": (20, 20), "50 + 50": (50, 50), "200 + 200": (200, 200), "50 human": (0, 50)}
WEIGHTS = (1.0, 3.0, 10.0, 30.0, 100.0)
DRAWS = 3  # of the halves, in each fold
PENALTY = 0.1
Scores = dict[tuple[str, float], list[tuple[float, float, float]]]


def main() -> None:
    train, _, config = balanced(project_parser(__doc__).parse_args())
    scores: Scores = defaultdict(list)
    from artdetect.pictures.source_folds import source_folds

    folds = source_folds(train)
    for number in folds.numbers:
        rest, held_out = folds.split(number)
        posterior, embedding, features = fitted(config, train, rest)
        x = embedding(features[held_out])
        _judge(posterior, x, (train.label.iloc[held_out] == "AI").to_numpy(), scores, number)
        print(f"fold {number} done", flush=True)
    rows = [
        [own, f"{weight:g}" if weight else "", *(f"{mean(column):.3f}" for column in zip(*found, strict=True))]
        for (own, weight), found in scores.items()
    ]
    heads = ("own pictures, human + AI", "weight", "ROC-AUC", "balanced accuracy", "log loss")
    publish(
        "Adapting to own pictures",
        f"{table(heads, rows)}\n\nMeans over {len(folds.numbers)} folds of sources left out and {DRAWS} draws each. "
        f"{len(train):,} training pictures. A weight of 10 means that an own picture counts as ten old ones. Log loss "
        "is that of uncalibrated logits.",
    )


def fitted(config: Any, train: "pd.DataFrame", rest: Any) -> "tuple[Posterior, Embedding, np.ndarray]":
    """The posterior of a head fitted on clean views of some pictures, its embedding, and the features of all."""
    import numpy as np

    from artdetect.adapt.posterior import Posterior
    from artdetect.model.feature_cache import FeatureCache
    from artdetect.pictures.labels import CLASSES
    from artdetect.train import artnet, heads

    cache = FeatureCache(artnet.make_extractor(config), 0)
    features = cache.read(list(train.sha256))
    y = train.label.map(CLASSES.index).to_numpy(np.int64)[rest]
    moments = heads.Moments.of([features[rest]], features[:256].mean(axis=0))
    embedding = heads.fit_embedding(moments, config.pca_components)
    x = embedding(features[rest])
    weights = heads.balanced_weights(y, np.ones(len(y), np.float32))
    head = heads.fit(x, y, weights, "linear", PENALTY, 0)
    precision = heads.precision(x, y, weights, head, PENALTY)
    return Posterior.of_head(*head.layers[-1], precision, len(rest)), embedding, features


def _judge(posterior: "Posterior", x: "np.ndarray", is_ai: "np.ndarray", scores: Scores, fold: int) -> None:
    """Adapt to some pictures of the first half, and judge the second."""
    import numpy as np
    from sklearn.metrics import log_loss, roc_auc_score

    for draw in range(DRAWS):
        order = np.random.default_rng([129, fold, draw]).permutation(len(x))
        sides = [order[is_ai[order]], order[~is_ai[order]]]
        judged = np.concatenate([side[len(side) // 2 :] for side in sides])
        for own, (ai, human) in OWN.items():
            rows = np.concatenate(
                [side[: min(count, len(side) // 2)] for side, count in zip(sides, (ai, human), strict=True)]
            )
            for weight in WEIGHTS if len(rows) else (0.0,):
                adapted = posterior.updated(x[rows], is_ai[rows], weight) if len(rows) else posterior
                margins, truth = adapted.margins(x[judged]), is_ai[judged]
                weights = np.where(truth, 0.5 / truth.sum(), 0.5 / (~truth).sum())
                scores[own, weight].append(
                    (
                        float(roc_auc_score(truth, margins)),
                        float(weights @ ((margins > 0) == truth)),
                        float(log_loss(truth, 1 / (1 + np.exp(-margins)), sample_weight=weights)),
                    )
                )


if __name__ == "__main__":
    main()
