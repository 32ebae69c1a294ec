"""What else `benchmarks.localisation` says of maps: whether they are stable, what they cost, and the other check."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.harness import cpu_now, table
from benchmarks.localisation import SEED, Found, Project, interval
from benchmarks.map_methods import CROPS, EVIDENCE, XRAI, Maps, all_maps, of_many_passes, saliency_xrai

if TYPE_CHECKING:
    import numpy as np

    from artdetect.pictures.splices import Splice

STABLE, STABLE_FEW = 24, 3  # pictures of each class whose maps are compared with those of their degraded versions
CHECKED = 12  # splices for deletion and insertion
TIMED, ROUNDS = 32, 21  # pictures a round
UNSPLICED = 150  # pictures of each class and data set


def agreement(project: Project, methods: Mapping[str, Maps], found: Mapping[str, Found]) -> str:
    """What deletion and insertion say of each method and of the true region, beside the AUC on the same splices."""
    from scipy.stats import spearmanr

    from artdetect.core import digests, json_cache
    from artdetect.stats.bootstrap import mean_interval

    data_sets = list(project.parents)
    alone = [each for name in data_sets for each in found[EVIDENCE].splices[name][: 2 * CHECKED // len(data_sets) : 2]]
    code = digests.code_digests("artdetect.explain.localisation")
    key = [project.detector.digest, [asdict(splice) for splice in alone], list(methods), code]
    areas = json_cache.cached_json("benchmark-agreement", key, lambda: curve_areas(project, methods, alone))
    rows, order = [], []
    for name, each in areas.items():
        auc = found[name].summary()["auc"] if name in found else None
        means = [
            mean_interval([one[measure] for one in each], SEED, -1e9, 1e9)
            for measure in ("deletion_margin", "insertion_margin")
        ]
        rows.append([name, interval(auc) if auc else "", *(interval(mean, 2) for mean in means)])
        if auc:
            order.append((auc["value"], *(mean["value"] for mean in means if mean)))
    deletion, insertion = (spearmanr([row[0] for row in order], [row[place] for row in order]) for place in (1, 2))
    return (
        f"{len(alone)} of the splices; the AUC is that over all. Deletion (low is good) and insertion (high is good) "
        "are mean logit margins of the pasted class.\n\n"
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
    from artdetect.explain.model_score import ExplainedScore
    from artdetect.explain.quality.deletion_insertion import deletion_insertion_auc, pixel_order
    from artdetect.pictures.images import to_input
    from artdetect.pictures.splices import spliced

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
        areas_of, _ = deletion_insertion_auc(
            network, to_input(picture), splice.target, orders, localisation.CURVE_STEPS
        )
        for name, one in areas_of.items():
            areas.setdefault(name, []).append(one)
    return areas


def stability(project: Project, one_pass: Mapping[str, Maps], many: Mapping[str, Maps]) -> str:
    """How the maps of AI change when pictures are degraded: rank correlation. Pictures of all data sets in turn."""
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
    sides = [
        [sha256 for pair in zip(*of_class, strict=False) for sha256 in pair]
        for of_class in zip(*project.parents.values(), strict=True)
    ]
    rows = []
    for name, maps in {**one_pass, **many}.items():
        if name == CROPS:
            continue
        count = STABLE if name in one_pass else STABLE_FEW
        chosen = [project.pixels(sha256) for side in sides for sha256 in side[:count]]
        originals = [one.heatmap for one in maps((to_input(pixels) for pixels in chosen), [0] * len(chosen))]
        cells = []
        for change, degrade in changes.items():
            degraded = maps((to_input(degrade(pixels)) for pixels in chosen), [0] * len(chosen))
            if change == "2 % cropped":
                originals = [_inner(heatmap, margin) for heatmap in originals]
            pairs = zip(originals, (one.heatmap for one in degraded), strict=True)
            cells.append(
                interval(mean_interval([spearmanr(a.ravel(), b.ravel()).statistic for a, b in pairs], SEED, -1, 1))
            )
        rows.append([name, len(chosen), *cells])
    return (
        "Rank correlation of the map of AI with that of the same test picture after a change; of a cropped picture, "
        f"with the same part of the map.\n\n{table(['map', 'pictures', *changes], rows)}"
    )


def mixed(project: Project, splices: "Mapping[str, Sequence[Splice]]") -> str:
    """The share of spliced and of unspliced test pictures that get the verdict mixed, by the size of the region."""
    from artdetect.pictures.labels import CLASSES
    from artdetect.pictures.splices import SIZES, spliced
    from artdetect.stats.confidence_intervals import share_interval

    assert project.detector.parts
    rule = project.detector.parts.mixed
    if rule is None:
        return "The model has no such verdict."

    def called(pixels: "np.ndarray") -> bool:
        return rule.region(project.detector.evidence(pixels[None]).margin[0]) is not None

    found: dict[str, list[bool]] = {f"spliced, {name} of the area": [] for *_, name in SIZES}
    controls = found.setdefault("spliced, of the same class", [])
    for splice in (each for of_set in splices.values() for each in of_set):
        picture, mask = spliced(splice, project.pixels(splice.base), project.pixels(splice.donor))
        size = next(name for _, end, name in SIZES if mask.mean() < end)
        (controls if splice.control else found[f"spliced, {size} of the area"]).append(called(picture))
    for number, name in enumerate(CLASSES):
        unspliced = [sha256 for parents in project.parents.values() for sha256 in parents[number][:UNSPLICED]]
        found[f"unspliced, {name}"] = [called(project.pixels(sha256)) for sha256 in unspliced]
    rows = [[name, len(each), interval(share_interval(sum(each), len(each)))] for name, each in found.items() if each]
    return (
        "The share with the verdict `mixed` of test pictures. They are of known sources, and the model judges them "
        f"rightly. The rule was fitted on left-out sources.\n\n{table(['pictures', 'N', 'mixed (95 %)'], rows)}"
    )


def _inner(heatmap: "np.ndarray", margin: int) -> "np.ndarray":
    import numpy as np
    from PIL import Image

    size = heatmap.shape[0]
    inner = Image.fromarray(np.ascontiguousarray(heatmap[margin:-margin, margin:-margin], np.float32))
    return np.asarray(inner.resize((size, size), Image.Resampling.BILINEAR))


def cost(project: Project, one_pass: Mapping[str, Maps]) -> str:
    """CPU of a verdict, of a verdict with its evidence, and of maps, in this process and in turns."""
    import numpy as np

    from artdetect.explain.methods import make
    from artdetect.stats.bootstrap import mean_interval

    detector = project.detector
    pixels = np.stack([project.pixels(sha256) for ai, _ in project.parents.values() for sha256 in ai[: TIMED // 2]])
    xrai, compat = (make("xrai", detector.classifier, **options) for options in ({}, {"compat": "saliency"}))
    jobs: dict[str, tuple[int, int, Callable[[np.ndarray], object]]] = {  # rounds, pictures a round
        "verdict": (ROUNDS, TIMED, detector.scores),
        "verdict and evidence": (ROUNDS, TIMED, detector.evidence),
        **{name: (3, TIMED // 4, partial(all_maps, maps)) for name, maps in one_pass.items()},
        CROPS: (1, 4, partial(all_maps, of_many_passes(detector)[CROPS])),
        XRAI: (3, 1, partial(all_maps, xrai.stream)),
        "XRAI, compat": (3, 1, partial(all_maps, compat.stream)),
        "saliency's XRAI": (3, 1, partial(saliency_xrai, compat)),
    }
    for name, (_, _, run) in jobs.items():
        if name != "saliency's XRAI":
            run(pixels[-1:])  # compiled
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(ROUNDS):
        for name, (rounds, count, run) in jobs.items():
            if turn < rounds:
                first = turn * count % len(pixels)
                start = cpu_now()
                run(pixels[first : first + count])
                seconds[name].append((cpu_now() - start) / count)
    medians = {name: float(np.median(each)) for name, each in seconds.items()}
    ratios = np.divide(seconds["verdict and evidence"], seconds["verdict"])
    ratio = interval(mean_interval(list(ratios), SEED, 0, 1e9))
    rows = [
        [
            name,
            f"{1000 * each:,.0f}",
            f"{each / medians['verdict']:,.2f}",
            f"{each / medians[XRAI]:.4f}",
            jobs[name][0] * jobs[name][1],
        ]
        for name, each in medians.items()
    ]
    saliency = medians["saliency's XRAI"]
    return (
        f"CPU a picture of {project.detector.geometry.size} px, in one process and in turns, medians of rounds. A "
        f"verdict with its evidence costs {ratio} of a verdict, mean of {ROUNDS} rounds with its 95 % interval."
        f" Saliency's XRAI costs {saliency / medians['XRAI, compat']:.1f} times ours with its settings and "
        f"{saliency / medians[XRAI]:.1f} times our defaults.\n\n"
        + table(["", "ms", "in verdicts", "in our XRAI", "pictures"], rows)
    )
