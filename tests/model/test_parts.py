"""How a model judges parts of a picture: stored with the model, calibrated by size, and pictures of mixed origin."""

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from artdetect.core.errors import ModelError
from artdetect.model import mixed, predict
from artdetect.model.decision import DecisionRule
from artdetect.model.detector import Detector
from artdetect.model.mixed import MixedRule
from artdetect.model.parts import MEMBER, Parts
from artdetect.model.pooled_net import Layers
from artdetect.model.probabilities import Calibration
from artdetect.pictures.picture_views import PictureViews
from tests.model.test_head_file import PIXELS, made

RULE = MixedRule(0.5, 0.01, 0.02, 300, {"25 to 50 %": 0.4}, 200)
SIDE = 18  # of the windows on pictures of 64 px


@pytest.fixture(scope="module")
def layers() -> Layers:
    """A random head for windows, whose median over these pictures is 0."""
    detector = made((), views=1)
    assert detector.frozen
    kernel = np.random.default_rng(9).standard_normal((detector.frozen.width, 1)).astype(np.float32)
    zero = replace(detector, parts=Parts([(kernel, np.zeros(1, np.float32))], {})).evidence(PIXELS).margin
    return [(kernel, -np.median(zero, keepdims=True)[0, 0])]


def with_parts(layers: Layers, calibration: Calibration | None, rule: MixedRule | None = None) -> Detector:
    parts = Parts(layers, {SIDE: calibration}, rule)
    return replace(made((), views=1), parts=parts, rule=DecisionRule(0.5, 0.2, 0.8))


def test_parts_have_a_head_and_a_calibration_of_their_own_and_the_verdict_stays(layers: Layers) -> None:
    plain, detector = made((), views=1), with_parts(layers, Calibration(2.0, 0.1, 0.9))
    raw, found = with_parts(layers, None).evidence(PIXELS), detector.evidence(PIXELS)
    np.testing.assert_allclose(found.windows[SIDE], raw.windows[SIDE] / 2, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found.additive, plain.evidence(PIXELS).additive)
    np.testing.assert_array_equal(detector.p_ai(PIXELS), plain.p_ai(PIXELS))
    assert not np.allclose(raw.margin, plain.evidence(PIXELS).margin)
    assert np.isnan(raw.p_ai).all()  # windows of a size that is not calibrated say nothing
    assert ((found.p_ai > 0.1) & (found.p_ai < 0.9)).all()
    assert np.corrcoef(found.p_ai.ravel(), found.margin.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("head", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_model_file_holds_the_parts(head: bool, layers: Layers, tmp_path: Path) -> None:
    detector = with_parts(layers, Calibration(2.0, 0.1, 0.9), RULE)
    path = tmp_path / ("model.npz" if head else "model.keras")
    (detector.save_head if head else detector.save)(path)
    loaded = Detector.load(path)
    assert loaded.parts is not None
    assert loaded.parts.calibrations == {SIDE: Calibration(2.0, 0.1, 0.9)}
    assert loaded.parts.mixed == RULE
    np.testing.assert_allclose(loaded.evidence(PIXELS).margin, detector.evidence(PIXELS).margin, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(loaded.evidence(PIXELS).p_ai, detector.evidence(PIXELS).p_ai, atol=1e-4)
    first = path.read_bytes()
    (detector.save_head if head else detector.save)(path)
    assert path.read_bytes() == first
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, b"no arrays" if name == MEMBER else content)
    with pytest.raises(ModelError, match="how it judges parts of a picture is damaged"):
        Detector.load(path)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_region_is_mixed_if_it_and_the_rest_are_firm(sign: int) -> None:
    margin = np.full((14, 14), -2.0 * sign)
    margin[2:6, 4:11] = 3.0 * sign
    margin[12, 1] = 0.1 * sign  # a speck is part of the rest
    found = mixed.region(margin)
    assert found is not None
    if sign > 0:
        assert found.box == (4 / 14, 2 / 14, 11 / 14, 6 / 14)
        assert found.area == pytest.approx(28 / 196)
    else:
        assert found.area == pytest.approx(1 - 28 / 196)
        assert found.box == (0, 0, 1, 1)
        assert found.human_box == (4 / 14, 2 / 14, 11 / 14, 6 / 14)
    name = "AI" if sign > 0 else "human"
    words = mixed.in_words(found.box, found.human_box, found.area)
    assert words == f"{name} at 29 to 79 % from the left, 14 to 43 % from the top"
    assert found.firmness == pytest.approx((2 * 167 - 0.1) / 168)
    again = RULE.region(margin)
    assert again is not None
    np.testing.assert_array_equal(again.ai, found.ai)
    assert replace(RULE, firmness=2.5).region(margin) is None


def test_a_picture_of_one_side_or_with_a_speck_alone_has_no_region() -> None:
    assert mixed.region(np.ones((14, 14))) is None
    speck = np.ones((14, 14))
    speck[3, 3] = -5
    assert mixed.region(speck) is None


@pytest.mark.parametrize(("ai_area", "name"), [(0.2, "AI"), (0.8, "human")])
def test_what_stands_out_of_a_mixed_picture_is_the_smaller_part(ai_area: float, name: str) -> None:
    boxes = (0.25, 0.0, 0.5, 0.75), (0.0, 0.0, 1.0, 1.0)
    ai, human = boxes if ai_area < 0.5 else boxes[::-1]
    row = predict.Verdict(
        "a.jpg", "mixed", "parts differ", 0.6, "m", None, ai_region=ai, ai_area=ai_area, human_region=human
    )
    assert row.standing_out == (name, row.region) == (name, boxes[0])
    assert row.words == f"mixed: {name} at 25 to 50 % from the left, 0 to 75 % from the top"


def test_a_mixed_picture_is_called_so_with_its_region_unless_it_is_unlike_the_training_art(layers: Layers) -> None:
    found = {}
    for firmness in (0.0, 50.0):
        detector = with_parts(layers, Calibration(1.0), replace(RULE, firmness=firmness))
        loaded = [(f"{number}", PictureViews(pixels, pixels[:0, None], 64)) for number, pixels in enumerate(PIXELS)]
        rows = list(predict.verdicts(detector, loaded))
        regions = [mixed.region(margin) for margin in detector.evidence(PIXELS).margin]
        found[firmness] = [row.verdict == "mixed" for row in rows]
        assert found[firmness] == [region is not None and region.firmness >= firmness for region in regions]
        for row, region in zip(rows, regions, strict=True):
            if row.verdict == "mixed":
                assert region is not None
                assert (row.reason, row.ai_region, row.ai_area) == ("parts differ", region.box, region.area)
                assert row.human_region == region.human_box
                assert row.region == (region.box if region.area <= 0.5 else region.human_box)
                assert row.words.startswith(("mixed: AI at ", "mixed: human at "))
            else:
                assert row.ai_region is row.region is row.standing_out is None
                assert row.words in (row.verdict, f"unsure: {row.reason}")
        plain = predict.verdicts(replace(detector, parts=None), loaded)
        assert [row.p_ai for row in rows] == pytest.approx([row.p_ai for row in plain], abs=1e-6)
        stern = replace(detector, rule=replace(detector.rule, novelty=1e-9))
        assert {row.reason for row in predict.verdicts(stern, loaded)} == {"unlike the training art"}
    assert any(found[0.0])
    assert not any(found[50.0])
