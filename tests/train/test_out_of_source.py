"""Verdicts of held-out sources come from a calibration and a rule that do not know their fold."""

import hashlib
import json

import numpy as np
import pandas as pd
import pytest

from artdetect.model.decision import NEAR, SURE, UNLIKE, UNSURE
from artdetect.pictures.labels import AI, CLASSES
from artdetect.pictures.source_folds import SourceFolds, source_folds, source_weights
from artdetect.stats.confidence_intervals import wilson
from artdetect.stats.verdict_measures import verdict_measures
from artdetect.train import calibration, out_of_source
from artdetect.train.calibration import Abstention, FalsePositiveRate, HeldOutPredictions
from artdetect.train.out_of_source import OutOfSource

Case = tuple[pd.DataFrame, SourceFolds, HeldOutPredictions]
ABSTAIN = Abstention()


def case(sources: int = 7, each: int = 40, novelty: bool = True, views: int = 2, spread: float = 1.0) -> Case:
    """Pictures of so many sources of each class, whose logits differ by source."""
    rng = np.random.default_rng(5)
    rows = [
        (label, f"{label} {number}") for label in CLASSES for number in range(sources) for _ in range(each + number)
    ]
    train = pd.DataFrame(rows, columns=["label", "source"])
    train["generator"] = np.where(train.label == "AI", train.source, "human")
    train["sha256"] = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(len(rows))]
    train["group"] = None
    classes = train.label.map(CLASSES.index).to_numpy(np.int64)
    shift = {name: rng.normal(0, spread) for name in sorted(set(train.source))}
    logits = (
        np.where(classes == AI, 2.0, -2.0) + train.source.map(shift).to_numpy() + rng.normal(0, 1, (views, len(rows)))
    )
    folds = source_folds(train)
    unlike = rng.gamma(3, 1 / 3, logits.shape) if novelty else None
    return train, folds, HeldOutPredictions(logits, classes, source_weights(folds.groups, classes), unlike)


def part(given: HeldOutPredictions, rows: np.ndarray) -> HeldOutPredictions:
    novelty = None if given.novelty is None else given.novelty[:, rows]
    return HeldOutPredictions(given.logits[:, rows], given.classes[rows], given.weights[rows], novelty)


@pytest.mark.parametrize("threshold", [0.5, FalsePositiveRate(fpr=0.05)])
def test_each_verdict_is_that_of_a_calibration_and_a_rule_fitted_on_the_other_folds(
    threshold: float | FalsePositiveRate,
) -> None:
    train, folds, given = case()
    found = out_of_source.cross_calibrated(train, folds, given, threshold, ABSTAIN)
    assert found.table.sha256.tolist() == train.sha256.tolist()
    assert found.table.fold.tolist() == folds.folds.tolist()
    assert found.table.weight.to_numpy() == pytest.approx(given.weights)
    for fold in folds.numbers:
        inside = folds.folds == fold
        others = part(given, ~inside)
        mapping = calibration.fit_calibration(others)
        rule = calibration.fit_decision_rule(others, mapping, threshold, ABSTAIN)
        p = mapping(given.logits[0, inside])
        rows = found.table[inside]
        np.testing.assert_array_equal(rows.p_ai, p)
        reasons = rule.reasons(p, given.novelty[0, inside])
        assert rows.reason.tolist() == reasons.tolist()
        assert rows.verdict.tolist() == rule.verdicts(p, reasons).tolist()
    assert set(found.table.reason) == {SURE, NEAR, UNLIKE}
    assert (found.sources, found.enough) == ({"AI": 7, "human": 7}, True)


def test_a_folds_own_labels_and_logits_do_not_change_its_probabilities() -> None:
    train, folds, given = case()
    before = out_of_source.cross_calibrated(train, folds, given, 0.5, ABSTAIN).table
    inside = folds.folds == 2
    flipped = HeldOutPredictions(
        given.logits, np.where(inside, 1 - given.classes, given.classes), given.weights, given.novelty
    )
    after = out_of_source.cross_calibrated(train, folds, flipped, 0.5, ABSTAIN).table
    for name in ("p_ai", "verdict", "reason"):
        assert before[name][inside].tolist() == after[name][inside].tolist()
    assert (before.p_ai != after.p_ai)[~inside].all()


def test_without_novelty_there_is_no_such_column_and_no_such_reason() -> None:
    found = out_of_source.cross_calibrated(*case(novelty=False), 0.5, ABSTAIN)
    assert "novelty" not in found.table
    assert UNLIKE not in set(found.table.reason)
    with_it = out_of_source.cross_calibrated(*case(), 0.5, ABSTAIN).table
    np.testing.assert_array_equal(with_it.novelty, case()[2].novelty[0])


def test_pictures_whose_other_folds_lack_a_class_are_left_out() -> None:
    """Of human art only fold 0 is left, so nothing can be fitted without it."""
    train, folds, given = case(sources=2)
    keep = ~((folds.folds == 1) & (given.classes != AI))
    known = train[keep].reset_index(drop=True)
    found = out_of_source.cross_calibrated(known, folds.part(keep), part(given, keep), 0.5, ABSTAIN)
    assert found.table.sha256.tolist() == known.sha256[folds.folds[keep] != 0].tolist()
    assert (found.sources, found.enough) == ({"AI": 2, "human": 1}, False)
    assert out_of_source.summary(found) is None  # no human picture has a verdict


def test_too_few_sources_get_the_stricter_rule() -> None:
    asked = Abstention(min_accuracy=0.9, max_share=0.5)
    assert out_of_source.abstention(asked, True) == asked
    assert out_of_source.abstention(asked, False) == Abstention(min_accuracy=0.95, max_share=0.5)
    few, enough = (out_of_source.cross_calibrated(*case(sources), 0.5, ABSTAIN) for sources in (3, 4))
    assert (few.enough, enough.enough) == (False, True)
    _, folds, given = case(3)
    inside = folds.folds == 0
    others = part(given, ~inside)
    mapping = calibration.fit_calibration(others)
    plain, strict = (
        calibration.fit_decision_rule(others, mapping, 0.5, Abstention(min_accuracy=accuracy))
        for accuracy in (0.95, 0.975)
    )
    assert plain != strict
    rows = few.table[inside]
    expected = [rule.reasons(rows.p_ai.to_numpy(), rows.novelty.to_numpy()).tolist() for rule in (plain, strict)]
    assert rows.reason.tolist() == expected[1] != expected[0]


def judged() -> OutOfSource:
    """Verdicts of three human sources and two AI sources by hand."""
    rows = [
        ("human", "oil", "human", 6, 6, 0), ("human", "ink", "human", 20, 10, 2), ("human", "few", "human", 3, 3, 3),
        ("AI", "flux", "flux", 30, 20, 1), ("AI", "sd", "sd", 10, 0, 0),
    ]  # fmt: skip
    table = []
    for label, source, generator, pictures, firm, wrong in rows:
        other = "human" if label == "AI" else "AI"
        verdicts = [other] * wrong + [label] * (firm - wrong) + [UNSURE] * (pictures - firm)
        for number, verdict in enumerate(verdicts):
            called = verdict if verdict != UNSURE else label
            p_ai = {"AI": 0.9, "human": 0.1}[called] + 0.001 * number
            table.append((f"{source}{number}", label, source, generator, source, 0, 1.0, p_ai, verdict, SURE))
    columns = ["sha256", "label", "source", "generator", "group", "fold", "weight", "p_ai", "verdict", "reason"]
    return OutOfSource(pd.DataFrame(table, columns=columns), {"AI": 2, "human": 3})


def test_the_summary_counts_verdicts_source_by_source_and_names_the_worst() -> None:
    found = out_of_source.summary(judged())
    assert found is not None
    assert (found["pictures"], found["sources"], found["enough_sources"]) == (69, {"AI": 2, "human": 3}, False)
    by_source = {row["source"]: row for row in found["by_source"]}
    assert {name: (row["label"], row["pictures"], row["firm"], row["right"]) for name, row in by_source.items()} == {
        "flux": ("AI", 30, 20, 19), "sd": ("AI", 10, 0, 0),
        "oil": ("human", 6, 6, 6), "ink": ("human", 20, 10, 8), "few": ("human", 3, 3, 0),
    }  # fmt: skip
    assert by_source["ink"]["accuracy"]["value"] == pytest.approx(18 / 20)
    assert by_source["few"]["mean_p_ai"] == pytest.approx(0.901)
    assert found["judged_sources"] == 3  # sd and few have fewer than five verdicts
    assert found["held"]["value"] == pytest.approx(2 / 3)
    assert (found["held"]["low"], found["held"]["high"]) == pytest.approx(wilson(2, 3))
    assert found["worst"] == by_source["ink"]
    json.dumps(found)


def test_the_summary_has_intervals_over_sources_and_over_pictures() -> None:
    found = out_of_source.cross_calibrated(*case(spread=2.0), 0.5, ABSTAIN)
    said, table = out_of_source.summary(found), found.table
    assert said is not None
    arguments = (
        (table.label == "AI").to_numpy(),
        table.p_ai.to_numpy(),
        table.verdict.to_numpy(),
        table.weight.to_numpy(),
    )
    for name, expected in verdict_measures(*arguments, table.group.to_numpy(str), out_of_source.SEED).items():
        assert said[name] == expected
    assert said["over_pictures"]["log_loss"]["value"] == said["log_loss"]["value"]
    widths = [x["log_loss"]["high"] - x["log_loss"]["low"] for x in (said, said["over_pictures"])]
    assert widths[0] > 2 * widths[1]


def test_where_no_source_has_enough_verdicts_nothing_is_held_and_none_is_worst() -> None:
    few = judged()
    unsure = OutOfSource(few.table.assign(verdict=UNSURE), few.sources)
    found = out_of_source.summary(unsure)
    assert found is not None
    assert (found["held"], found["worst"], found["judged_sources"]) == (None, None, 0)
    assert (found["right_ai"], found["right_human"], found["firm"]["value"]) == (None, None, 0.0)
