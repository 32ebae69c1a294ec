"""What native crops give on large pictures from sources that the model does not know.

    python -m benchmarks.native_crops WORK LARGE [--crops 3] [--config configs/starter.toml] [--set KEY=VALUE ...]

LARGE is a folder with larger versions of training pictures of one data set, of the same names below train/. For each
fold a head is fitted on the training pictures without the fold's sources, and judges the larger versions of these.
Writes a section of results.md.
"""

from hashlib import sha256
from pathlib import Path

from benchmarks.adaptation import fitted
from benchmarks.harness import publish, table
from benchmarks.out_of_source import balanced, interval, project_parser


def main() -> None:
    parser = project_parser(__doc__)
    parser.add_argument("large", type=Path)
    parser.add_argument("--crops", type=int, default=3)
    options = parser.parse_args()
    train, _, config = balanced(options)
    import numpy as np
    from PIL import Image

    from artdetect.model.feature_cache import FeatureCache, clean_view
    from artdetect.pictures.native_crops import is_large
    from artdetect.pictures.source_folds import source_folds, source_weights
    from artdetect.stats.verdict_measures import verdict_measures
    from artdetect.train import artnet

    extractor = artnet.make_extractor(config)
    rows, files = [], []
    for row, path in enumerate(train.path):
        file = options.large / path.partition("/")[2]
        if file.is_file() and is_large(np.array([min(Image.open(file).size)]), extractor.geometry.size)[0]:
            rows.append(row)
            files.append((sha256(file.read_bytes()).hexdigest(), file))
    digests = [digest for digest, _ in files]
    features = {}
    for name, view in {
        "the whole, shrunk": FeatureCache(extractor, 0),
        f"whole and {options.crops} crops": clean_view(extractor, options.crops),
    }.items():
        view.ensure(files)
        features[name] = view.read(digests)
    whole, both = features.values()
    features["crops alone"] = 2 * both - whole  # `both` is the mean of the two

    folds = source_folds(train)
    margins = {name: np.full(len(rows), np.nan) for name in ("the smaller version", *features)}
    for number in folds.numbers:
        rest, held_out = folds.split(number)
        posterior, embedding, small = fitted(config, train, rest)
        inside = np.isin(rows, held_out)
        margins["the smaller version"][inside] = posterior.margins(embedding(small[np.array(rows)[inside]]))
        for name, large in features.items():
            margins[name][inside] = posterior.margins(embedding(large[inside]))
    truth, groups = (train.label.iloc[rows] == "AI").to_numpy(), folds.groups[rows]
    weights = source_weights(groups, truth.astype(int))
    lines = []
    for name, found in margins.items():
        measured = verdict_measures(truth, 1 / (1 + np.exp(-found)), np.full(len(rows), "unsure"), weights, groups, 129)
        lines.append([name, interval(measured["roc_auc"]), interval(measured["balanced_accuracy"])])
    publish(
        "Native crops",
        f"{table(('judged by', 'ROC-AUC', 'balanced accuracy'), lines)}\n\n{len(rows)} larger versions of training "
        f"pictures, {truth.sum()} of them AI, of {len(set(groups))} sources; intervals over sources. The head was "
        "fitted on pictures of the canonical size, without the source of the judged picture.",
    )


if __name__ == "__main__":
    main()
