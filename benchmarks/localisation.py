"""Whether maps find what was pasted: splices of the test pictures of real data sets.

    python -m benchmarks.localisation WORK [--before MODEL] [--count 240] [--few 12] [--config configs/starter.toml]
        [--set KEY=VALUE ...]

Runs the pipeline of the config below WORK, and measures the maps of its model. MODEL is another model, whose evidence
is measured on the same splices. `--few` is for the methods of many passes. Nothing is chosen by these numbers: this is
the only benchmark of maps that reads test pictures. Results are cached below WORK. Writes sections of results.md.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.harness import cpu_now, publish, table
from benchmarks.map_methods import (
    BEFORE,
    CROPS,
    EVIDENCE,
    GRADCAM,
    REGIONS,
    XRAI,
    Maps,
    all_maps,
    of_many_passes,
    of_one_pass,
    saliency_xrai,
)
from benchmarks.out_of_source import project_parser

if TYPE_CHECKING:
    import numpy as np

    from artdetect.explain.localisation import Pixels
    from artdetect.explain.localisation.splices import Splice
    from artdetect.model.detector import Detector

SEED = 129
STABLE = 12  # pictures of each class whose maps are compared with those of their degraded versions
TIMED = 32  # pictures


@dataclass(frozen=True)
class Project:
    """What the pipeline left: the model, its test pictures and those of each class that it judges rightly."""

    detector: "Detector"
    pixels: "Pixels"
    parents: tuple[list[str], list[str]]


def main() -> None:
    parser = project_parser(__doc__)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--count", type=int, default=240)
    parser.add_argument("--few", type=int, default=12)
    options = parser.parse_args()
    project = opened(options)
    from artdetect.explain.localisation.splices import draw
    from artdetect.model.detector import Detector

    before = Detector.load(options.before) if options.before else None
    splices = draw(*project.parents, options.count, SEED)
    few = splices[: 2 * options.few]
    methods = {name: (maps, splices) for name, maps in of_one_pass(project.detector).items()}
    if before:
        methods[BEFORE] = of_one_pass(before)[EVIDENCE], splices
    methods |= {name: (maps, few) for name, maps in of_many_passes(project.detector).items()}
    values: dict[str, Any] = {}
    for name, (maps, chosen) in methods.items():
        detector = before if before and name == BEFORE else project.detector
        values[name] = measured(name, detector.digest, maps, chosen, project)
        publish("Maps: what they find", found(project, values, splices))
    if project.detector.parts and project.detector.parts.mixed:
        publish("Maps: pictures of mixed origin", mixed(project, splices))
    publish("Maps: cost", cost(project))
    streams = {name: maps for name, (maps, _) in methods.items()}
    publish("Maps: stability", stability(project, {name: maps for name, maps in streams.items() if name != CROPS}))
    streams.pop(BEFORE, None)
    publish("Maps: deletion and insertion beside the truth", agreement(project, streams, values, few))


def opened(options: Any) -> Project:
    """The project of a config below `options.work`, after a run of its pipeline."""
    for name in ("data", "artifacts"):
        os.environ[f"ARTDETECT_{name.upper()}"] = str(options.work / name)
    import pandas as pd

    from artdetect import config as configs
    from artdetect import download
    from artdetect.artifacts import file_names
    from artdetect.cli.flows import run_pipeline
    from artdetect.core import paths
    from artdetect.explain import localisation
    from artdetect.explain.localisation.splices import parents
    from artdetect.model.detector import Detector

    folders = {one.stage: one.artifact.folder for one in run_pipeline(configs.load(options.config, options.set), [])}
    detector, root = Detector.load(folders["train"]), download.folder(folders["download"])
    predictions = pd.read_parquet(folders["evaluate"] / file_names.PREDICTIONS)
    files = {row.sha256: paths.picture(root, row.path) for row in predictions.itertuples()}
    return Project(detector, localisation.pixels_of(detector.geometry, files), parents(predictions))


def measured(name: str, digest: str, maps: Maps, splices: "Sequence[Splice]", project: Project) -> list[dict[str, Any]]:
    """How well each splice's region is found, as `localisation.measured`, cached."""
    from artdetect.core import digests, json_cache
    from artdetect.explain import localisation

    code = (
        digests.code_digests("artdetect.explain.methods"),
        digests.code_digests("artdetect.explain.localisation.splices"),
    )
    key = [name, digest, [asdict(splice) for splice in splices], code]
    return json_cache.cached_json(
        "benchmark-localisation",
        key,
        lambda: [localisation.score(*one) for one in localisation.explained(maps, splices, project.pixels)],
    )


def found(project: Project, values: Mapping[str, Any], splices: "Sequence[Splice]") -> str:
    """The tables of what maps find: over all, and by size and edge."""
    import numpy as np

    from artdetect.explain import localisation
    from artdetect.explain.localisation import metrics

    rows, groups = [], {}
    for name, each in values.items():
        summary = localisation.summary(splices[: len(each)], each, SEED)
        groups[name] = {(group["by"], group["name"]): group for group in summary["groups"]}
        three = [_interval(summary[metric]) for metric in metrics.METRICS]
        rows.append(
            [
                name,
                summary["splices"],
                *three,
                _interval(summary["noise"]["auc"]),
                _interval(summary["controls"]["auc"]),
            ]
        )
    columns = list(groups[EVIDENCE])
    by_group = [
        [f"{by}: {name}", *(_interval(groups[method].get((by, name), {}).get("auc")) for method in groups)]
        for by, name in columns
    ]
    sizes = ", ".join(f"{groups[EVIDENCE][column]['splices']} {column[1]}" for column in columns)
    areas = [row["area"] for row in values[EVIDENCE][::2]]
    chance = metrics.expected_by_chance(float(np.mean(areas)))
    heads = ["map of the pasted class", "splices", "AUC", "pointing", "IoU", "noise: AUC", "controls: AUC"]
    ai, human = map(len, project.parents)
    return (
        f"`{project.detector.id}` ({project.detector.geometry.size} px), splices of its test pictures, half of them "
        f"into each class, of {ai} AI and {human} human pictures that it judges rightly. Regions of 5 to 50 % of the "
        f"area, mean {np.mean(areas):.0%}; no place is favoured, so that a fixed map scores 0.5. 95 % intervals over "
        f"splices. By chance: AUC 0.5, pointing {chance['pointing']:.2f}, IoU {chance['iou']:.2f}. Noise is the map's "
        "own values in other places. In a control a part of the same class is pasted: same base, region and edge.\n\n"
        f"{table(heads, rows)}\n\nAUC by group ({sizes}):\n\n{table(['', *groups], by_group)}"
    )


def agreement(
    project: Project, methods: Mapping[str, Maps], values: Mapping[str, Any], splices: "Sequence[Splice]"
) -> str:
    """What deletion and insertion say of each method and of the true region, beside the AUC on the same splices."""
    from scipy.stats import spearmanr

    from artdetect.core import digests, json_cache
    from artdetect.explain import localisation
    from artdetect.stats.bootstrap import mean_interval

    alone = splices[::2]
    code = digests.code_digests("artdetect.explain.localisation")
    key = [project.detector.digest, [asdict(splice) for splice in alone], list(methods), code]
    areas = json_cache.cached_json("benchmark-agreement", key, lambda: curve_areas(project, methods, alone))
    rows, order = [], []
    for name, each in areas.items():
        auc = None
        if name in values:
            auc = localisation.summary(splices, values[name][: len(splices)], SEED)["auc"]
        means = [
            mean_interval([one[measure] for one in each], SEED, -1e9, 1e9)
            for measure in ("deletion_margin", "insertion_margin")
        ]
        rows.append([name, _interval(auc) if auc else "", *(_interval(mean, 2) for mean in means)])
        if auc:
            order.append((auc["value"], *(mean["value"] for mean in means if mean)))
    deletion, insertion = (spearmanr([row[0] for row in order], [row[place] for row in order]) for place in (1, 2))
    return (
        f"{len(alone)} of the splices. Deletion (low is good) and insertion (high is good) are mean logit margins of "
        "the pasted class.\n\n"
        + table(["map", "AUC", "deletion", "insertion"], rows)
        + f"\n\nOver the {len(order)} methods, the rank correlation with the AUC is {-deletion.statistic:.2f} (p "
        f"{deletion.pvalue:.2f}) for deletion, counted so that 1 is agreement, and {insertion.statistic:.2f} (p "
        f"{insertion.pvalue:.2f}) for insertion."
    )


def curve_areas(
    project: Project, methods: Mapping[str, Maps], splices: "Sequence[Splice]"
) -> dict[str, list[dict[str, float]]]:
    """Deletion and insertion of each method's maps, of the true regions and of noise."""
    import numpy as np

    from artdetect.explain import localisation
    from artdetect.explain.localisation import metrics
    from artdetect.explain.localisation.splices import spliced
    from artdetect.explain.model_score import ExplainedScore
    from artdetect.explain.quality.deletion_insertion import deletion_insertion_auc, pixel_order
    from artdetect.pictures.images import to_input

    network = ExplainedScore(project.detector.classifier, "logit_margin", 64)
    maps = {
        name: [one for *_, one in localisation.explained(each, splices, project.pixels)]
        for name, each in methods.items()
    }
    areas: dict[str, list[dict[str, float]]] = {}
    for number, splice in enumerate(splices):
        picture, mask = spliced(splice, project.pixels(splice.base), project.pixels(splice.donor))
        draw = np.random.default_rng([SEED, number])
        drawn = {name: (each[number].heatmap, each[number].ranks) for name, each in maps.items()}
        drawn["the true region"] = mask.astype(np.float32), None
        drawn["noise as smooth as the evidence"] = metrics.uninformed(maps[EVIDENCE][number], draw), None
        orders = {name: pixel_order(*each, mask.shape, draw) for name, each in drawn.items()}
        found, _ = deletion_insertion_auc(network, to_input(picture), splice.target, orders, localisation.CURVE_STEPS)
        for name, one in found.items():
            areas.setdefault(name, []).append(one)
    return areas


def stability(project: Project, methods: Mapping[str, Maps]) -> str:
    """How the maps of AI change when pictures are degraded: rank correlation."""
    import numpy as np
    from PIL import Image
    from scipy.stats import spearmanr

    from artdetect.pictures import degradations
    from artdetect.pictures.images import to_input
    from artdetect.stats.bootstrap import mean_interval

    size = project.detector.geometry.size
    margin = round(0.01 * size)  # cut from each side: 2 %

    def cropped(pixels: "np.ndarray") -> "np.ndarray":
        inner = Image.fromarray(pixels[margin:-margin, margin:-margin])
        return np.asarray(inner.resize((size, size), Image.Resampling.BICUBIC))

    changes: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "JPEG 90": partial(degradations.save, format="JPEG", quality=90),
        "95 % size": partial(degradations.rescale, factor=0.95),
        "2 % cropped": cropped,
    }
    pictures = [project.pixels(sha256) for side in project.parents for sha256 in side[:STABLE]]
    rows = []
    for name, maps in methods.items():
        chosen = pictures if name in (EVIDENCE, BEFORE, REGIONS, GRADCAM) else pictures[STABLE - 2 : STABLE + 2]
        originals = [one.heatmap for one in maps((to_input(pixels) for pixels in chosen), [0] * len(chosen))]
        cells = []
        for change, degrade in changes.items():
            degraded = maps((to_input(degrade(pixels)) for pixels in chosen), [0] * len(chosen))
            if change == "2 % cropped":
                originals = [_inner(heatmap, margin) for heatmap in originals]
            pairs = zip(originals, (one.heatmap for one in degraded), strict=True)
            cells.append(
                _interval(mean_interval([spearmanr(a.ravel(), b.ravel()).statistic for a, b in pairs], SEED, -1, 1))
            )
        rows.append([name, len(chosen), *cells])
    return (
        "Rank correlation of the map of AI with that of the same test picture after a change; of a cropped picture, "
        f"with the same part of the map.\n\n{table(['map', 'pictures', *changes], rows)}"
    )


def _inner(heatmap: "np.ndarray", margin: int) -> "np.ndarray":
    import numpy as np
    from PIL import Image

    size = heatmap.shape[0]
    inner = Image.fromarray(np.ascontiguousarray(heatmap[margin:-margin, margin:-margin], np.float32))
    return np.asarray(inner.resize((size, size), Image.Resampling.BILINEAR))


def mixed(project: Project, splices: "Sequence[Splice]") -> str:
    """How many splices get the verdict mixed, by the size of the region; and how many pictures of one origin."""
    from artdetect.explain.localisation import SIZES
    from artdetect.explain.localisation.splices import spliced
    from artdetect.model.mixed import region
    from artdetect.pictures.labels import CLASSES
    from artdetect.stats.confidence_intervals import share_interval

    assert project.detector.parts
    rule = project.detector.parts.mixed
    assert rule

    def share(name: str, pictures: "Iterable[np.ndarray]") -> list[str]:
        regions = [region(project.detector.evidence(one[None]).margin[0]) for one in pictures]
        called = [found is not None and found.firmness >= rule.firmness for found in regions]
        return [name, f"{len(called):,}", _interval(share_interval(sum(called), len(called)))] if called else []

    made: dict[str, list[np.ndarray]] = {name: [] for *_, name in SIZES}
    controls: list[np.ndarray] = []
    for splice in splices:
        picture, mask = spliced(splice, project.pixels(splice.base), project.pixels(splice.donor))
        group = next(name for _, end, name in SIZES if mask.mean() < end)
        (controls if splice.control else made[group]).append(picture)
    rows = [share(f"spliced, {name} of the area", pictures) for name, pictures in made.items()]
    rows.append(share("controls: a part of the same class", controls))
    for name, side in zip(CLASSES, project.parents, strict=True):
        rows.append(share(f"unspliced, {name}", map(project.pixels, side)))
    return (
        f"The share with the verdict `mixed`, at the threshold fitted on left-out sources ({rule.false_alarms:.1%} "
        "false alarms there). Test pictures are of known sources, and those that the model judges rightly.\n\n"
        + table(["pictures", "N", "mixed (95 %)"], [row for row in rows if row])
    )


def cost(project: Project) -> str:
    """CPU of a verdict, of a verdict with its evidence, and of maps, in this process."""
    import numpy as np

    from artdetect.explain.methods import make

    detector = project.detector
    pixels = np.stack([project.pixels(sha256) for sha256 in project.parents[0][:TIMED]])
    runs: dict[str, tuple[int, Callable[[np.ndarray], object]]] = {"verdict": (TIMED, detector.scores)}
    runs["verdict and evidence"] = TIMED, detector.evidence
    for name, maps in of_one_pass(detector).items():
        runs[name] = TIMED, partial(all_maps, maps)
    many = of_many_passes(detector)
    compat = make("xrai", detector.classifier, compat="saliency")
    runs |= {name: (2, partial(all_maps, many[name])) for name in (XRAI, CROPS)}
    runs |= {
        "XRAI, compat": (1, partial(all_maps, compat.stream)),
        "saliency's XRAI": (1, partial(saliency_xrai, compat)),
    }
    seconds = {}
    for name, (count, run) in runs.items():
        if name != "saliency's XRAI":
            run(pixels[:1])  # compiled
        parts = []
        for _ in range(3 if count == TIMED else 1):
            start = cpu_now()
            run(pixels[:count])
            parts.append((cpu_now() - start) / count)
        seconds[name] = min(parts)
    rows = [[name, f"{1000 * each:,.0f}", f"{each / seconds['verdict']:.2f}"] for name, each in seconds.items()]
    text = "CPU a picture, in one process; the least of three runs for methods of one pass."
    return f"{text}\n\n{table(['', 'ms', 'in verdicts'], rows)}"


def _interval(value: Mapping[str, Any] | None, digits: int = 3) -> str:
    if value is None:
        return ""
    if value["low"] is None:
        return f"{value['value']:.{digits}f}"
    return f"{value['value']:.{digits}f} ({value['low']:.{digits}f} to {value['high']:.{digits}f})"


if __name__ == "__main__":
    main()
