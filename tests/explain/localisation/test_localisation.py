"""The check of maps on splices, with a model whose evidence is known."""

import json
from pathlib import Path

import numpy as np
import pytest

from artdetect.explain import localisation
from artdetect.explain.method_settings import IntegratedGradientsSettings
from artdetect.explain.methods import make
from artdetect.explain.methods.explainer import Explainer
from artdetect.pictures.labels import AI
from tests.explain.conftest import SIZE, patch_detector

AI_ART = [f"{number:064x}" for number in range(100, 120)]
HUMAN_ART = [f"{number:064x}" for number in range(200, 220)]


def pixels(sha256: str) -> np.ndarray:
    """AI art is bright and human art dark, which is what the model reacts to."""
    draw = np.random.default_rng(int(sha256, 16))
    return (draw.integers(0, 40, (SIZE, SIZE, 3)) + (210 if sha256 in AI_ART else 20)).astype(np.uint8)


def check(explainers: dict[str, Explainer], count: int = 30, load=pixels, ai=AI_ART) -> dict:
    return localisation.check("model", explainers, (ai, HUMAN_ART), load, count=count, seed=7)


@pytest.fixture(scope="module")
def explainers() -> dict[str, Explainer]:
    model = patch_detector(patch_means=AI)
    return {"integrated_gradients": make("integrated_gradients", model, steps=2), "xrai": make("xrai", model, steps=2)}


@pytest.fixture(scope="module")
def found(explainers: dict[str, Explainer], tmp_path_factory: pytest.TempPathFactory) -> dict:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARTDETECT_DATA", str(tmp_path_factory.mktemp("localisation")))
        patch.setattr(IntegratedGradientsSettings, "one_pass", True)
        return check(explainers)


def group(found: dict, name: str) -> dict:
    (chosen,) = (each for each in found["rows"][0]["groups"] if each["name"] == name)
    return chosen


def test_maps_find_the_pasted_regions_of_a_model_whose_evidence_is_known(found: dict) -> None:
    assert found["reason"] is None
    assert found["splices"] == 30
    for edge in ("hard", "feathered"):
        assert all(group(found, edge)[name]["value"] > 0.95 for name in ("auc", "pointing", "iou")), edge
    assert all(group(found, direction)["auc"]["value"] > 0.8 for direction in ("AI in human", "human in AI"))
    row = found["rows"][0]
    assert row["above_noise"]["low"] > 0
    assert row["above_controls"]["low"] > 0
    assert found["rows"][1]["auc"]["value"] > 0.75


def test_colours_that_match_hide_the_region_from_a_model_that_sees_nothing_but_brightness(found: dict) -> None:
    assert group(found, "colour-matched")["auc"]["value"] < 0.65


def test_controls_and_noise_score_one_half(found: dict) -> None:
    for name in ("controls", "noise"):
        score = found["rows"][0][name]["auc"]
        assert score["low"] - 0.03 <= 0.5 <= score["high"] + 0.03, name


def test_a_method_of_many_passes_gets_fewer_splices_and_no_controls(found: dict) -> None:
    assert [row["splices"] for row in found["rows"]] == [30, 6]
    assert found["rows"][1]["controls"]["auc"] is None
    assert found["rows"][1]["above_controls"] is None


def test_groups_cover_all_splices_by_size_edge_region_and_direction(found: dict) -> None:
    for by in ("size", "edge", "region", "direction"):
        assert sum(each["splices"] for each in found["rows"][0]["groups"] if each["by"] == by) == 30, by


def test_what_deletion_and_insertion_say_of_the_true_region_stands_beside(found: dict) -> None:
    rows = {row["name"]: row for row in found["curves"]["rows"]}
    assert set(rows) == {"explanation", "true region", "noise"}
    assert rows["true region"]["deletion_margin"]["value"] < rows["noise"]["deletion_margin"]["value"] - 1
    assert found["curves"]["splices"] == localisation.CURVES


def test_each_splice_has_its_score_and_a_row_says_how_it_was_measured(
    found: dict, explainers: dict[str, Explainer]
) -> None:
    for row, explainer in zip(found["rows"], explainers.values(), strict=True):
        assert len({(one["base"], one["donor"]) for one in row["pasted"]}) == row["splices"]
        assert np.mean([one["auc"] for one in row["pasted"]]) == pytest.approx(row["auc"]["value"])
        assert row["measured_by"]["settings"] == explainer.config
    fewer, all_of_them = found["rows"][1]["pasted"], found["rows"][0]["pasted"]
    assert [one["base"] for one in fewer] == [one["base"] for one in all_of_them[: len(fewer)]]
    assert found["rows"][0]["measured_by"]["code"] != found["rows"][1]["measured_by"]["code"]


def test_the_result_is_json_with_finite_numbers(found: dict) -> None:
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_second_check_computes_nothing(explainers: dict[str, Explainer], roots: Path) -> None:
    first = check(dict([*explainers.items()][:1]), count=8)

    def fail(sha256: str) -> np.ndarray:
        raise AssertionError("a picture was loaded again")

    assert check(dict([*explainers.items()][:1]), count=8, load=fail) == first


def test_too_few_pictures_are_said_in_words_and_nothing_is_computed(explainers: dict[str, Explainer]) -> None:
    found = check(explainers, ai=AI_ART[:7])
    assert "7 AI and 20 human" in found["reason"]
    assert found["rows"] == []
    assert found["splices"] == 0
    assert found["curves"] is None
