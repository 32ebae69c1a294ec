"""Whether maps find what was pasted: splices of real pictures, of known sources and of sources left out of training.

    python -m benchmarks.localisation WORK [--model FILE] [--count 120] [--few 120] [--minutes 60] [--only SECTION ...]
        [--config configs/starter.toml] [--set KEY=VALUE ...]

Runs the pipeline of the config below WORK, and measures the maps of its model; or those of another model, such as the
starter, on the pictures that the newest artifacts there name. `--count` splices of the test pictures
of each data set are measured with methods of one pass, and `--few` of these with methods of many passes, as far as
`--minutes` of processor time suffice for each. Nothing is chosen by these numbers: this is the only benchmark of maps
that reads test pictures. Results are cached below WORK by parts, so that an interrupted run resumes. Writes sections of
results.md.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.harness import cpu_now, publish, table
from benchmarks.map_methods import EVIDENCE, Maps, of_many_passes, of_one_pass, on_places
from benchmarks.out_of_source import project_parser

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from artdetect.explain.localisation import Pixels
    from artdetect.model.detector import Detector
    from artdetect.pictures.splices import Splice
    from artdetect.train.config import TrainConfig

SEED = 129
PART = 12  # splices whose results are one file of the cache
SECTIONS = ("found", "left-out", "mixed", "cost", "stability", "agreement")
LEFT_OUT = 480  # splices of sources that the judging head does not know, beside as many controls


@dataclass(frozen=True)
class Project:
    """What the pipeline left: the model, its pictures, and its splices by data set.

    Args:
        detector: The model.
        config: Section `train`.
        train: The training pictures, with the column `file`.
        pixels: Gives test and training pictures.
        parents: The test pictures that the model judges rightly, AI and human, of each data set.
    """

    detector: "Detector"
    config: "TrainConfig"
    train: "pd.DataFrame"
    pixels: "Pixels"
    parents: dict[str, tuple[list[str], list[str]]]

    def splices(self, count: int) -> "dict[str, list[Splice]]":
        """Up to `count` splices of the pictures of each data set, each with its control after it."""
        from artdetect.pictures.splices import draw

        return {name: draw(*parents, count, SEED) for name, parents in self.parents.items()}


@dataclass(frozen=True)
class Found:
    """How well a method finds the regions of some splices of each data set.

    Args:
        splices: Data set -> the splices.
        values: Data set -> the results of `localisation.score` for them.
    """

    splices: "dict[str, list[Splice]]"
    values: dict[str, list[dict[str, Any]]]

    def summary(self, name: str | None = None) -> dict[str, Any]:
        """`localisation.summary` of a data set, or of all together."""
        from artdetect.explain import localisation

        names = [name] if name else list(self.splices)
        splices, values = ([one for each in names for one in part[each]] for part in (self.splices, self.values))
        return localisation.summary(splices, values, SEED)


def main() -> None:
    from benchmarks import map_checks

    parser = project_parser(__doc__)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--few", type=int, default=120)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS)
    options = parser.parse_args()
    project = opened(options)
    one_pass, many = of_one_pass(project.detector), of_many_passes(project.detector)
    found: dict[str, Found] = {}
    if {"found", "agreement"} & {*options.only}:
        splices = project.splices(options.count)
        few = {name: each[: 2 * options.few : 2] for name, each in splices.items()}  # without controls
        jobs = [(name, maps, splices, float("inf")) for name, maps in one_pass.items()]
        jobs += [(name, maps, few, options.minutes) for name, maps in many.items()]
        for name, maps, chosen, minutes in jobs:
            found[name] = measured(name, maps, chosen, project, minutes)
            publish("Maps: what they find", found_tables(project, found))
    if "left-out" in options.only:
        publish("Maps: sources that the model does not know", left_out(project))
    if "mixed" in options.only:
        publish("Maps: pictures of mixed origin", map_checks.mixed(project, project.splices(options.count)))
    if "stability" in options.only:
        publish("Maps: stability", map_checks.stability(project, one_pass, many))
    if "agreement" in options.only:
        publish("Maps: deletion and insertion beside the truth", map_checks.agreement(project, one_pass | many, found))
    if "cost" in options.only:
        publish("Maps: cost", map_checks.cost(project, one_pass))


def opened(options: Any) -> Project:
    """The project of a config below `options.work`, after a run of its pipeline; or its pictures, and another model."""
    for name in ("data", "artifacts"):
        os.environ[f"ARTDETECT_{name.upper()}"] = str(options.work / name)
    import pandas as pd

    from artdetect import config as configs
    from artdetect import download
    from artdetect.artifacts import file_names, store
    from artdetect.cli.flows import run_pipeline
    from artdetect.core import paths
    from artdetect.explain import localisation
    from artdetect.model import cached_scores
    from artdetect.model.detector import Detector
    from artdetect.pictures.pixel_cache import PixelCache
    from artdetect.pictures.splices import parents

    loaded = configs.load(options.config, options.set)
    if options.model:
        found = {stage: store.newest(stage) for stage in ("download", "balance")}
        folders = {stage: artifact.folder for stage, artifact in found.items() if artifact}
    else:
        folders = {one.stage: one.artifact.folder for one in run_pipeline(loaded, [])}
    detector, root = Detector.load(options.model or folders["train"]), download.folder(folders["download"])
    used = pd.read_parquet(folders["balance"] / file_names.BALANCE)
    used["file"] = [paths.picture(root, path) for path in used.path]
    train, test = (used[used.split == split].reset_index(drop=True) for split in ("train", "test"))
    pixels, crops = PixelCache(detector.geometry), cached_scores.crop_cache(detector)
    for cache in (pixels, crops):
        if cache is not None:
            cache.ensure(list(zip(test.sha256, test.file, strict=True)))
    p_ai = cached_scores.scores(detector, pixels, list(test.sha256)).p_ai
    test = test.assign(predicted=detector.rule.predicted(p_ai))
    data_set = test.path.str.partition("/")[0].str.partition("-")[0]  # realart-incoming is realart's, too
    by_set = {str(name): parents(test[data_set == name]) for name in sorted(set(data_set))}
    files = dict(zip(used.sha256, used.file, strict=True))
    return Project(detector, loaded.train, train, localisation.pixels_of(detector.geometry, files), by_set)


def measured(
    name: str, maps: Maps, splices: "Mapping[str, Sequence[Splice]]", project: Project, minutes: float
) -> Found:
    """How well each splice's region is found, cached by parts; data sets in turn, until the time is over."""
    from artdetect.core import digests, json_cache
    from artdetect.explain import localisation

    code = [digests.code_digests(module) for module in ("artdetect.explain.methods", "artdetect.pictures.splices")]
    done: dict[str, list[Splice]] = {data_set: [] for data_set in splices}
    values: dict[str, list[dict[str, Any]]] = {data_set: [] for data_set in splices}
    start = cpu_now()
    for first in range(0, max(map(len, splices.values())), PART):
        for data_set, each in splices.items():
            part = each[first : first + PART]
            if not part or cpu_now() - start > 60 * minutes:
                continue
            key = [name, project.detector.digest, [asdict(splice) for splice in part], code]

            def compute(part: "Sequence[Splice]" = part) -> list[dict[str, Any]]:
                return [localisation.score(*one) for one in localisation.explained(maps, part, project.pixels)]

            values[data_set] += json_cache.cached_json("benchmark-localisation", key, compute)
            done[data_set] += part
    return Found(done, values)


def found_tables(project: Project, found: Mapping[str, Found]) -> str:
    """The tables of what maps find: over all, by data set, and by size and edge."""
    import numpy as np

    from artdetect.explain.localisation import metrics

    rows = []
    for name, each in found.items():
        for data_set in (None, *project.parents):
            summary = each.summary(data_set)
            parts = [summary[metric] for metric in metrics.METRICS]
            parts += [summary["noise"]["auc"], summary["controls"]["auc"]]
            rows.append([name, data_set or "all", summary["splices"], *map(interval, parts)])
    groups = {
        name: {(group["by"], group["name"]): group for group in each.summary()["groups"]}
        for name, each in found.items()
    }
    columns = list(groups[EVIDENCE])
    by_group = [
        [f"{by}: {name}", groups[EVIDENCE][by, name]["splices"]]
        + [interval(groups[method].get((by, name), {}).get("auc")) for method in groups]
        for by, name in columns
    ]
    areas = [row["area"] for each in found[EVIDENCE].values.values() for row in each[::2]]
    chance = metrics.expected_by_chance(float(np.mean(areas)))
    heads = ["map of the pasted class", "pictures of", "N", "AUC", "pointing", "IoU", "noise: AUC", "controls: AUC"]
    parents = "; ".join(
        f"{len(ai)} AI and {len(human)} human of {name}" for name, (ai, human) in project.parents.items()
    )
    return (
        f"`{project.detector.id}` ({project.detector.geometry.size} px), splices of its test pictures, half of them "
        f"into each class, of those that it judges rightly: {parents}. Regions of 5 to 50 % of the area, mean "
        f"{np.mean(areas):.0%}; no place is favoured, so that a fixed map scores 0.5. 95 % intervals over splices. By "
        f"chance: AUC 0.5, pointing {chance['pointing']:.2f}, IoU {chance['iou']:.2f}. Noise is the map's own values "
        "in other places. In a control a part of the same class is pasted: same base, region and edge.\n\n"
        f"{table(heads, rows)}\n\nAUC by group, N of the evidence:\n\n"
        f"{table(['', 'N', *groups], by_group)}"
    )


def left_out(project: Project) -> str:
    """What the evidence finds on training pictures, judged by heads that know neither source nor generator."""
    import numpy as np

    from artdetect.explain import localisation
    from artdetect.train import artnet, mixed, parts

    extractor = artnet.make_extractor(project.config)
    fitted = parts.fit(project.config, extractor, project.train)
    assert fitted
    judge = mixed.HeldOutJudge(extractor, fitted)
    splices = mixed.splices_of_folds(fitted, LEFT_OUT)

    def maps(pictures: "Iterable[np.ndarray]", targets: Iterable[int]) -> Iterator[Any]:
        for splice, picture, target in zip(splices, pictures, targets, strict=True):
            pixels = np.rint(255 * picture).astype(np.uint8)
            yield on_places(judge.margin(pixels, splice.base), picture.shape[:2], target)

    values = [localisation.score(*one) for one in localisation.explained(maps, splices, project.pixels)]
    summary = localisation.summary(splices, values, SEED)
    source = dict(zip(project.train.sha256, project.train.source, strict=True))
    over_sources = _interval_over([source[one.base] for one in splices[::2]], [one["auc"] for one in values[::2]])
    rows = [
        ["all", summary["splices"], over_sources],
        ["controls", summary["splices"], interval(summary["controls"]["auc"])],
    ]
    rows += [[f"{each['by']}: {each['name']}", each["splices"], interval(each["auc"])] for each in summary["groups"]]
    return (
        f"Training pictures of left-out sources: {fitted.measured['pictures']:,} pictures of "
        f"{len(set(source.values()))} sources took part. Base and donor are of one fold, and the head for parts was "
        "fitted without that fold. Map: evidence, without regions. Intervals over splices, in the first row over the "
        "sources of the bases.\n\n"
        f"{table(['splices', 'N', 'AUC'], rows)}\n\n{mixed_table(mixed.judged(fitted, extractor))}"
    )


def mixed_table(judged: Any) -> str:
    """How many splices of left-out sources get the verdict mixed, by the size of the region."""
    from artdetect.pictures.splices import SIZES
    from artdetect.stats.confidence_intervals import share_interval
    from artdetect.train import mixed

    rule = mixed.rule(judged)
    if rule is None:
        return "No rule for the verdict `mixed` has few enough false alarms."
    rows = [["human-made, of one origin", rule.human_pictures, f"{rule.false_alarms:.1%} (at most {rule.upper:.1%})"]]
    for smallest, largest, name in SIZES:
        inside = judged.spliced[(judged.areas >= smallest) & (judged.areas < largest)]
        share = share_interval(int((inside >= rule.firmness).sum()), len(inside))
        rows.append([f"spliced, {name} of the area", len(inside), interval(share)])
    return "The verdict `mixed`, with false alarms of sources that the rule was not fitted on:\n\n" + table(
        ["pictures", "N", "called mixed (95 %)"], rows
    )


def _interval_over(names: Sequence[str], values: Sequence[float]) -> str:
    """The mean of some values with its interval over whole groups of them, by the bootstrap."""
    import numpy as np

    from artdetect.stats.bootstrap import MEAN_RESAMPLES, Bootstrap

    _, members = np.unique(names, return_inverse=True)
    totals, counts = np.bincount(members, values), np.bincount(members)
    bootstrap = Bootstrap(MEAN_RESAMPLES, SEED)
    found = bootstrap.intervals(lambda drawn: {"mean": drawn @ totals / (drawn @ counts)}, np.ones(len(counts), bool))
    return interval(found["mean"])


def interval(value: Mapping[str, Any] | None, digits: int = 3) -> str:
    """A value with its interval, as text."""
    if value is None:
        return ""
    if value["low"] is None:
        return f"{value['value']:.{digits}f}"
    return f"{value['value']:.{digits}f} ({value['low']:.{digits}f} to {value['high']:.{digits}f})"


if __name__ == "__main__":
    main()
