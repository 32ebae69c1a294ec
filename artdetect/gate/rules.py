"""The rules of the gate. Each gives a ruling with its numbers and a sentence that says what they are worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.evaluate.calibration import expected_calibration_error
from artdetect.evaluate.metrics import headline
from artdetect.gate.paired_predictions import difference, gains
from artdetect.pictures.labels import AI, CLASSES, HUMAN
from artdetect.stats.bootstrap import QUANTILES, draws
from artdetect.stats.confidence_intervals import auc_interval

if TYPE_CHECKING:
    import pandas as pd

    from artdetect.gate.config import GateConfig

MAX_LISTED = 8  # names in a sentence
SMALL_SAMPLE = 100  # pictures of a class, below which a bootstrap of the AUC is too narrow
NO_CHAMPION = "There is no champion yet to compare with."


@dataclass(frozen=True)
class RuleResult:
    """What a rule says; the numbers are None where it does not apply or knows no such thing."""

    name: str
    passed: bool | None  # None: it does not apply
    sentence: str
    champion: float | None = None  # for `drift`: of the first champion
    challenger: float | None = None
    difference: dict[str, float] | None = None  # challenger - champion: value, low, high
    bound: float | None = None  # of the difference; of `chance`, of the challenger's interval


def apply_rules(
    config: "GateConfig", table: "pd.DataFrame", worn: "pd.DataFrame | str", golden: Mapping[str, Any]
) -> list[RuleResult]:
    """Every rule's ruling; arguments as `tables.read`, `tables.worn` and `golden.compared` give them."""
    old, new = (table[table["set"] == name] for name in ("old", "new"))
    compared = "right_champion" in table
    return [
        _old(config, old) if compared else RuleResult("old", None, NO_CHAMPION),
        _drift(config, old),
        _new(config, new) if compared else RuleResult("new", None, NO_CHAMPION),
        _golden(golden, compared),
        _calibration(config, table) if compared else RuleResult("calibration", None, NO_CHAMPION),
        _robustness(config, worn) if compared else RuleResult("robustness", None, NO_CHAMPION),
        _chance(config, old),
    ]


def conclusion(verdict: str, rulings: Sequence[RuleResult], names: Mapping[str, str]) -> str:
    """The verdict in one sentence; `names`: the models' ids by side."""
    failed = _listed([ruling.name for ruling in rulings if ruling.passed is False])
    passed = _listed([ruling.name for ruling in rulings if ruling.passed])
    champion, challenger = names.get("champion"), names["challenger"]
    if verdict == "promote":
        over = f"instead of {champion}" if champion else "as the first champion: there is no champion yet"
        return f"Promote {challenger} {over}; it passes {passed}."
    if champion:
        return f"Keep {champion}: {challenger} fails {failed}."
    return f"Do not promote {challenger}, though there is no champion yet: it fails {failed}."


def _old(config: "GateConfig", old: "pd.DataFrame") -> RuleResult:
    """Balanced accuracy on what was known before; of one class alone where the other is not there."""
    if old.empty:
        return RuleResult("old", None, "There are no old test pictures: nothing says whether something was forgotten.")
    return _no_loss("old", config, old, config.old, "champion")


def _drift(config: "GateConfig", old: "pd.DataFrame") -> RuleResult:
    """The same against the first champion, so that small losses do not add up over many retrainings."""
    if old.empty or "right_reference" not in old:
        return RuleResult("drift", None, "There is no champion before the present one to compare with.")
    return _no_loss("drift", config, old, config.drift, "reference", "Since the first champion: ")


def _no_loss(
    name: str, config: "GateConfig", old: "pd.DataFrame", most: float, than: str, since: str = ""
) -> RuleResult:
    parts = [rows for _, rows in old.groupby("label")]
    said = "Balanced accuracy" if len(parts) == len(CLASSES) else f"Accuracy (all of them {old.label.iloc[0]})"
    numbers = _shares(parts, config, than)
    gain = numbers["difference"]
    passed = gain["value"] >= -most
    return RuleResult(
        name,
        passed,
        f"{since}{said} on {_count(old, 'old test')}: {_change(numbers)}; it may fall by at most {_points(most)}."
        + _doubt(passed, gain, -most),
        bound=-most,
        **numbers,
    )


def _new(config: "GateConfig", new: "pd.DataFrame") -> RuleResult:
    """The mean over generators and origins, so that a large one does not hide a small one."""
    if new.empty:
        return RuleResult(
            "new", None, "There are no new test pictures: nothing says whether it got better on new ones."
        )
    parts = [rows for _, rows in new.groupby("group")]
    numbers = _shares(parts, config)
    gain = numbers["difference"]
    of = f"{_count(new, 'new test')} of {len(parts)} {'origin' if len(parts) == 1 else 'origins'}"
    if numbers["champion"] == numbers["challenger"] == 1:
        return RuleResult(
            "new", True, f"Both are right on all {of}: there is nothing to gain.", bound=config.new, **numbers
        )
    said = f"Mean share called right of {of}: {_change(numbers)}; it must rise by more than {_points(config.new)}"
    if gain["value"] == config.new == 0:  # shares of few pictures are coarse
        losses = [float(np.mean([_log_loss(part, side) for part in parts])) for side in ("champion", "challenger")]
        passed = losses[1] < losses[0]
        said += f", or their log loss must fall where it stays the same: {losses[0]:.3f} → {losses[1]:.3f}."
    else:
        passed = gain["value"] > config.new
        said += "."
    return RuleResult("new", passed, said + _doubt(passed, gain, config.new), bound=config.new, **numbers)


def _golden(golden: Mapping[str, Any], compared: bool) -> RuleResult:
    """No case may be lost; a first model must be right on all."""
    cases = [case for case in golden["cases"] if not case["error"]]
    unread = [f"{case['name']} ({case['error']})" for case in golden["cases"] if case["error"]]
    trouble = f" Not judged, because they cannot be read: {_listed(unread)}." if unread else ""
    if learnt := [case["name"] for case in cases if case["learnt"]]:
        trouble += f" A model learnt from {_listed(learnt)}: being right there says little."
    if not cases:
        return RuleResult("golden", None, f"There are no golden cases that can be judged.{trouble}")
    right = {
        side: [case["name"] for case in cases if case["called"][side] == case["label"]] for side in cases[0]["called"]
    }
    must = right["champion"] if compared else [case["name"] for case in cases]
    lost = [name for name in must if name not in right["challenger"]]
    whose = "that the champion calls right" if compared else "(a first champion must be right on all)"
    said = f"It is wrong on {_listed(lost)}." if lost else "It is right on each."
    return RuleResult(
        "golden",
        not lost,
        f"Golden cases {whose}: {len(must):,} of {len(cases):,}. {said}{trouble}",
        len(right["champion"]) / len(cases) if compared else None,
        len(right["challenger"]) / len(cases),
    )


def _calibration(config: "GateConfig", table: "pd.DataFrame") -> RuleResult:
    """The ECE over all test pictures; see `evaluate.calibration`."""
    truth = (table.label == CLASSES[AI]).to_numpy()
    if truth.all() or not truth.any():
        return RuleResult("calibration", None, f"There are no test pictures of both classes: {_lacking(truth)}.")
    errors = [
        expected_calibration_error(truth, table[f"p_ai_{side}"].to_numpy(float)) for side in ("champion", "challenger")
    ]
    champion, challenger = (float(of(np.ones((1, len(truth)), np.int64))[0]) for of in errors)
    drawn = np.concatenate(
        [errors[1](counts) - errors[0](counts) for counts in draws(truth, config.resamples, config.seed)]
    )
    low, high = np.quantile(drawn, QUANTILES)
    rise = {"value": challenger - champion, "low": float(low), "high": float(high)}
    numbers: dict[str, Any] = {"champion": champion, "challenger": challenger, "difference": rise}
    passed = rise["value"] <= config.calibration
    fall = {"low": -rise["high"], "high": -rise["low"]}
    return RuleResult(
        "calibration",
        passed,
        f"Calibration error (ECE) on {_count(table, 'test')}: {_change(numbers)}; it may rise by at most "
        f"{_points(config.calibration)}." + _doubt(passed, fall, -config.calibration),
        bound=config.calibration,
        **numbers,
    )


def _robustness(config: "GateConfig", worn: "pd.DataFrame | str") -> RuleResult:
    if isinstance(worn, str):
        return RuleResult("robustness", None, f"Nothing says how it bears degraded pictures: {worn}.")
    gain = difference([(worn.challenger - worn.champion).to_numpy()], config.resamples, config.seed)
    numbers: dict[str, Any] = {
        "champion": float(worn.champion.mean()),
        "challenger": float(worn.challenger.mean()),
        "difference": gain,
    }
    passed = gain["value"] >= -config.robustness
    return RuleResult(
        "robustness",
        passed,
        f"Mean accuracy on {_count(worn, 'degraded test')}: {_change(numbers)}; it may fall by at most "
        f"{_points(config.robustness)}." + _doubt(passed, gain, -config.robustness),
        bound=-config.robustness,
        **numbers,
    )


def _chance(config: "GateConfig", old: "pd.DataFrame") -> RuleResult:
    """Whether it tells AI from human at all; what cannot be told is no ground to promote."""
    truth = (old.label == CLASSES[AI]).to_numpy()
    if not len(old) or truth.all() or not truth.any():
        return RuleResult("chance", False, f"Whether it is better than chance cannot be told: {_lacking(truth)}.")
    p_ai, called = old.p_ai_challenger.to_numpy(float), (old.called_challenger == CLASSES[AI]).to_numpy()
    auc = headline(truth, p_ai, called, config.resamples, config.seed)["roc_auc"]
    value, low, high = auc["value"], auc["low"], auc["high"]
    ai, human = int(truth.sum()), int((~truth).sum())
    if min(ai, human) < SMALL_SAMPLE:
        low, high = auc_interval(value, ai, human)
    passed = low > 0.5
    return RuleResult(
        "chance",
        passed,
        f"The challenger's ROC-AUC on {ai:,} AI and {human:,} human old test pictures is {value:.3f} "
        f"(95 %: {low:.3f} to {high:.3f}); the whole interval must lie above 0.5, which is chance."
        + ("" if passed or value <= 0.5 else " There may be too few pictures to tell."),
        challenger=value,
        bound=0.5,
    )


def _shares(parts: "Sequence[pd.DataFrame]", config: "GateConfig", than: str = "champion") -> dict[str, Any]:
    """Means over parts of the share that each model calls right, and of their difference.

    What stands under champion is of the model `than`, a side of the table.
    """
    means = [float(np.mean([part[f"right_{side}"].mean() for part in parts])) for side in (than, "challenger")]
    change = difference([gains(part, than) for part in parts], config.resamples, config.seed)
    return {"champion": means[0], "challenger": means[1], "difference": change}


def _log_loss(rows: "pd.DataFrame", side: str) -> float:
    p_ai = rows[f"p_ai_{side}"].to_numpy(float).clip(1e-6, 1 - 1e-6)
    return float(-np.log(np.where(rows.label == CLASSES[AI], p_ai, 1 - p_ai)).mean())


def _lacking(truth: np.ndarray) -> str:
    return "there are none" if not len(truth) else f"all are {CLASSES[AI if truth.all() else HUMAN]}"


def _count(rows: "pd.DataFrame", what: str) -> str:
    return f"{len(rows):,} {what} {'picture' if len(rows) == 1 else 'pictures'}"


def _change(numbers: Mapping[str, Any]) -> str:
    change = numbers["difference"]
    low, high = (f"{100 * change[end]:+.1f}" for end in ("low", "high"))
    return (
        f"{100 * numbers['champion']:.1f} % → {100 * numbers['challenger']:.1f} %, {100 * change['value']:+.1f} points "
        f"(95 %: {low} to {high})"
    )


def _points(bound: float) -> str:
    return f"{100 * bound:g} points"


def _doubt(passed: bool, gain: Mapping[str, float], least: float) -> str:
    """What to add where chance alone could have turned the ruling; `gain`: more is better, `least`: its bound."""
    if passed and gain["low"] < least:
        return " The interval holds values that would fail, too: chance may have helped."
    if not passed and gain["high"] > least:
        return " The interval holds values that would pass, too: chance may have hurt."
    return ""


def _listed(names: Sequence[str]) -> str:
    more = [f"{len(names) - MAX_LISTED:,} more"] if len(names) > MAX_LISTED else []
    return ", ".join([*names[:MAX_LISTED], *more])
