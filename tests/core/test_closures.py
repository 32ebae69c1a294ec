"""Which code a stage's key depends on. A new entry here is a decision: from then on, an edit there reruns the stage."""

import pytest

from artdetect.artifacts.stages import CHAIN, STAGES
from artdetect.core import digests

# Stage -> modules of other stages that its closure may contain, without "artdetect.".
OTHER_STAGES = {
    "download": set(),
    "index": set(),
    "audit": set(),
    "balance": set(),
    "train": set(),
    "evaluate": set(),
    "explain": set(),
    "report": {  # the labels of the methods; which pictures a subgroup has, for a second model's figures
        "evaluate.slice_discovery",
        "evaluate.subgroups",
        "explain.method_settings",
    },
    "gate": {  # it measures champion and challenger as evaluate does, and their maps as explain does
        "evaluate.calibration",
        "evaluate.metrics",
        "evaluate.selective_prediction",
        "evaluate.subgroups",
        "explain.explanation",
        "explain.localisation",
        "explain.localisation.metrics",
        "explain.map_values",
        "explain.method_settings",
        "explain.methods.artworks",
        "explain.methods.evidence",
        "explain.methods.explainer",
        "explain.model_score",
        "explain.pointing",
        "explain.quality.deletion_insertion",
        "explain.regions",
        "explain.regions.compact",
        "explain.regions.ranking",
        "explain.regions.segmentation",
    },
}
# Rooms whose code shapes artifacts; services, monitoring and commands never do.
SHARED = {"artifacts", "formatting", "model", "pictures", "stats"}


def closure(stage: str) -> set[str]:
    return {name.removeprefix("artdetect.") for name in digests.code_digests(STAGES[stage].module)}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_contains_of_other_stages_only_what_was_decided(stage: str) -> None:
    others = {name for name in closure(stage) if name.split(".")[0] in set(STAGES) - {stage}}
    assert others == OTHER_STAGES[stage]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_contains_of_the_rest_only_shared_rooms(stage: str) -> None:
    assert {name.split(".")[0] for name in closure(stage)} - set(STAGES) <= SHARED


def test_no_stage_contains_the_code_of_a_later_one() -> None:
    names = [stage.name for stage in CHAIN]
    for place, name in enumerate(names):
        assert not {module.split(".")[0] for module in closure(name)} & set(names[place + 1 :]), name


def test_a_constant_of_the_worst_errors_sheet_reruns_evaluate_alone() -> None:
    """It was in the keys of explain and report, too, and of the cached check of the maps."""
    modules = {name: set(digests.code_digests(stage.module)) for name, stage in STAGES.items()}
    containing = {name for name, found in modules.items() if "artdetect.evaluate.worst_errors" in found}
    assert containing == {"evaluate"}
    assert "artdetect.evaluate.worst_errors" not in digests.code_digests("artdetect.explain.quality")
