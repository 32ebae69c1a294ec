"""The rules of the gate. Each gives a result with its numbers, and a sentence that says how far they can be trusted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from artdetect.evaluate.calibration import expected_calibration_error
from artdetect.evaluate.metrics import headline
from artdetect.formatting.intervals import signed, signed_span
from artdetect.gate.paired_predictions import gains
from artdetect.gate.wording import CHANCE_HELPED, CHANCE_HURT, change, count, doubt, listed, missing, points
from artdetect.pictures.labels import AI, CLASSES, HUMAN
from artdetect.stats.bootstrap import Bootstrap
from artdetect.stats.confidence_intervals import auc_interval
from artdetect.stats.log_loss import log_losses
from artdetect.stats.paired_bootstrap import mean_difference

if TYPE_CHECKING:
    import pandas as pd

    from artdetect.gate.config import GateConfig

SMALL_SAMPLE = 100  # pictures of a class, below which a bootstrap of the AUC is too narrow
HUMAN_ART = {"human_art": "predicted", "human_art_verdicts": "verdict"}  # rule -> column that must not say AI
NO_CHAMPION = "There is no champion yet to compare with."


@dataclass(frozen=True)
class RuleResult:
    """The result of one rule. Numbers are None where the rule does not apply or has no such number.

    Args:
        name: The rule's name.
        passed: None where the rule does not apply.
        sentence: The result in words.
        champion: The champion's score; for "since_first_champion", the first champion's.
        challenger: The challenger's score.
        difference: Challenger minus champion: value, low, high.
        bound: The bound of the difference; for "chance", of the challenger's interval.
    """

    name: str
    passed: bool | None
    sentence: str
    champion: float | None = None
    challenger: float | None = None
    difference: dict[str, float] | None = None
    bound: float | None = None


def apply_rules(
    config: "GateConfig",
    table: "pd.DataFrame",
    degraded: "pd.DataFrame | str",
    golden: Mapping[str, Any],
    out_of_source: Mapping[str, Any] | str = NO_CHAMPION,
    localisation: Mapping[str, Sequence[float]] | str = NO_CHAMPION,
) -> list[RuleResult]:
    """Apply every rule.

    Args:
        config: The bounds.
        table: The result of `paired_predictions.read`.
        degraded: The result of `paired_predictions.degraded_accuracy`.
        golden: The result of `golden.predictions`.
        out_of_source: The result of `paired_predictions.out_of_source`.
        localisation: The result of `localisation.aucs`.
    """
    known, new = (table[table["set"] == name] for name in ("known", "new"))
    compared = "right_champion" in table
    bootstrap = Bootstrap(config.bootstrap_resamples, config.seed)
    human = table[table.label == CLASSES[HUMAN]]
    results = [
        _known(known, config.max_drop_known, bootstrap) if compared else RuleResult("known", None, NO_CHAMPION),
        _since_first_champion(known, config.max_drop_since_first, bootstrap),
        _new(new, config.min_gain_new, bootstrap) if compared else RuleResult("new", None, NO_CHAMPION),
        _golden(golden, compared),
    ]
    if compared:
        results += [_human_art(name, human, config.max_rise_human_as_ai, bootstrap) for name in HUMAN_ART]
        results.append(_out_of_source(out_of_source))
        results.append(_calibration(table, config.max_ece_rise, bootstrap))
        results.append(_robustness(degraded, config.max_robustness_drop, bootstrap))
        results.append(_localisation(localisation, config.max_drop_localisation, bootstrap))
    else:
        names = (*HUMAN_ART, "out_of_source", "calibration", "robustness", "localisation")
        results += [RuleResult(name, None, NO_CHAMPION) for name in names]
    return [*results, _chance(known, bootstrap)]


def _known(known: "pd.DataFrame", max_drop: float, bootstrap: Bootstrap) -> RuleResult:
    """Balanced accuracy on the data set's test pictures; plain accuracy where a class is missing."""
    if known.empty:
        sentence = "There are no known test pictures, so nothing shows whether something was forgotten."
        return RuleResult("known", None, sentence)
    return _limited_drop("known", known, "champion", max_drop, bootstrap)


def _since_first_champion(known: "pd.DataFrame", max_drop: float, bootstrap: Bootstrap) -> RuleResult:
    """The accuracy of `_known` against the first champion's, so that losses do not add up over many retrainings."""
    name = "since_first_champion"
    if known.empty or "right_reference" not in known:
        return RuleResult(name, None, "There is no champion before the present one to compare with.")
    return _limited_drop(name, known, "reference", max_drop, bootstrap, "Since the first champion: ")


def _limited_drop(
    name: str, known: "pd.DataFrame", side: str, max_drop: float, bootstrap: Bootstrap, prefix: str = ""
) -> RuleResult:
    parts = [rows for _, rows in known.groupby("label")]
    measure = "Balanced accuracy" if len(parts) == len(CLASSES) else f"Accuracy (all are {known.label.iloc[0]})"
    numbers = _accuracies(parts, bootstrap, side)
    gain = numbers["difference"]
    passed = gain["value"] >= -max_drop
    sentence = (
        f"{prefix}{measure} on {count(known, 'known test')}: {change(numbers)}; it may fall by at most "
        f"{points(max_drop)}."
    )
    return RuleResult(name, passed, sentence + doubt(passed, gain, -max_drop), bound=-max_drop, **numbers)


def _new(new: "pd.DataFrame", min_gain: float, bootstrap: Bootstrap) -> RuleResult:
    """The mean accuracy over generators and origins, so that a large one does not hide a small one."""
    if new.empty:
        sentence = "There are no new test pictures, so nothing shows whether it improved on new ones."
        return RuleResult("new", None, sentence)
    parts = [rows for _, rows in new.groupby("group")]
    numbers = _accuracies(parts, bootstrap)
    gain = numbers["difference"]
    pictures = f"{count(new, 'new test')} of {len(parts)} {'origin' if len(parts) == 1 else 'origins'}"
    if numbers["champion"] == numbers["challenger"] == 1:
        sentence = f"Both are right on all {pictures}: there is nothing to gain."
        return RuleResult("new", True, sentence, bound=min_gain, **numbers)
    sentence = f"Mean accuracy on {pictures}: {change(numbers)}; it must rise by more than {points(min_gain)}"
    if gain["value"] == min_gain == 0:  # the accuracy on few pictures is coarse
        losses = [float(np.mean([_log_loss(part, side) for part in parts])) for side in ("champion", "challenger")]
        passed = losses[1] < losses[0]
        sentence += f", or, where it stays the same, the log loss must fall: {losses[0]:.3f} → {losses[1]:.3f}."
    else:
        passed = gain["value"] > min_gain
        sentence += "."
    return RuleResult("new", passed, sentence + doubt(passed, gain, min_gain), bound=min_gain, **numbers)


def _golden(golden: Mapping[str, Any], compared: bool) -> RuleResult:
    """No case may be lost; a first champion must be right on all."""
    cases = [case for case in golden["cases"] if not case["error"]]
    unread = [f"{case['name']} ({case['error']})" for case in golden["cases"] if case["error"]]
    notes = f" Not counted, because they cannot be read: {listed(unread)}." if unread else ""
    if leaked := [case["name"] for case in cases if case["trained_on"]]:
        notes += f" A model was trained on {listed(leaked)}: being right there proves little."
    if not cases:
        return RuleResult("golden", None, f"There are no readable golden cases.{notes}")
    right = {
        side: [case["name"] for case in cases if case["predicted"][side] == case["label"]]
        for side in cases[0]["predicted"]
    }
    required = right["champion"] if compared else [case["name"] for case in cases]
    lost = [name for name in required if name not in right["challenger"]]
    which = "that the champion gets right" if compared else "(a first champion must be right on all)"
    outcome = f"The challenger is wrong on {listed(lost)}." if lost else "The challenger is right on each of them."
    return RuleResult(
        "golden",
        not lost,
        f"Golden cases {which}: {len(required):,} of {len(cases):,}. {outcome}{notes}",
        len(right["champion"]) / len(cases) if compared else None,
        len(right["challenger"]) / len(cases),
    )


def _human_art(name: str, human: "pd.DataFrame", max_rise: float, bootstrap: Bootstrap) -> RuleResult:
    """The share of human test pictures that are called AI, by prediction or by verdict: the expensive mistake.

    It fails where the share rises by more than the bound, and where the whole interval of the rise lies above 0.
    """
    if human.empty:
        return RuleResult(name, None, "There are no human test pictures.")
    column = HUMAN_ART[name]
    called = {side: (human[f"{column}_{side}"] == CLASSES[AI]).to_numpy(float) for side in ("champion", "challenger")}
    rise = mean_difference([called["challenger"] - called["champion"]], bootstrap)
    numbers = _numbers(called["champion"].mean(), called["challenger"].mean(), rise)
    clear = rise["low"] > 0
    passed = rise["value"] <= max_rise and not clear
    what = "predicted AI" if column == "predicted" else "given the verdict AI"
    sentence = (
        f"Human art {what}, of {count(human, 'human test')}: {change(numbers)}; it may rise by at most "
        f"{points(max_rise)}, and not so that its whole interval lies above 0."
    )
    if not clear and not passed:
        sentence += CHANCE_HURT
    if passed and rise["high"] > max_rise:
        sentence += CHANCE_HELPED
    return RuleResult(name, passed, sentence, bound=max_rise, **numbers)


def _out_of_source(found: Mapping[str, Any] | str) -> RuleResult:
    """The log loss on art from other sources: it may not rise so that its whole interval lies above 0."""
    name = "out_of_source"
    if isinstance(found, str):
        return RuleResult(name, None, f"Art from other sources was not compared: {found}.")
    rise = found["change"]
    passed = rise["low"] <= 0
    sentence = (
        f"Log loss on {found['pictures']:,} pictures of {found['sources']:,} sources, each judged by heads that know "
        f"neither its source nor its generator: {found['old']:.3f} → {found['new']:.3f}, {signed(rise['value'])} "
        f"(95 % over sources: {signed_span(rise)}); the whole interval may not lie above 0."
    )
    return RuleResult(name, passed, sentence, found["old"], found["new"], rise, 0.0)


def _calibration(table: "pd.DataFrame", max_rise: float, bootstrap: Bootstrap) -> RuleResult:
    """The ECE over all test pictures; see `evaluate.calibration`."""
    truth = (table.label == CLASSES[AI]).to_numpy()
    if truth.all() or not truth.any():
        return RuleResult("calibration", None, f"There are no test pictures of both classes: {missing(truth)}.")
    champion, challenger = (
        expected_calibration_error(truth, table[f"p_ai_{side}"].to_numpy(float)) for side in ("champion", "challenger")
    )
    rise = bootstrap.intervals(lambda counts: {"rise": challenger(counts) - champion(counts)}, truth)["rise"]
    once = np.ones((1, len(truth)), np.int64)
    numbers = _numbers(champion(once)[0], challenger(once)[0], rise)
    passed = rise["value"] <= max_rise
    fall = {"low": -rise["high"], "high": -rise["low"]}
    sentence = (
        f"Calibration error (ECE) on {count(table, 'test')}: {change(numbers)}; it may rise by at most "
        f"{points(max_rise)}."
    )
    return RuleResult("calibration", passed, sentence + doubt(passed, fall, -max_rise), bound=max_rise, **numbers)


def _robustness(degraded: "pd.DataFrame | str", max_drop: float, bootstrap: Bootstrap) -> RuleResult:
    """The mean accuracy over degradations."""
    if isinstance(degraded, str):
        return RuleResult("robustness", None, f"Robustness was not compared: {degraded}.")
    gain = mean_difference([(degraded.challenger - degraded.champion).to_numpy()], bootstrap)
    numbers = _numbers(degraded.champion.mean(), degraded.challenger.mean(), gain)
    passed = gain["value"] >= -max_drop
    sentence = (
        f"Mean accuracy on {count(degraded, 'degraded test')}: {change(numbers)}; it may fall by at most "
        f"{points(max_drop)}."
    )
    return RuleResult("robustness", passed, sentence + doubt(passed, gain, -max_drop), bound=-max_drop, **numbers)


def _localisation(found: Mapping[str, Sequence[float]] | str, max_drop: float, bootstrap: Bootstrap) -> RuleResult:
    """The mean AUC with which maps find pasted regions: a model whose maps find less explains less."""
    name = "localisation"
    if isinstance(found, str):
        return RuleResult(name, None, f"The maps were not compared: {found.removesuffix('.')}.")
    champion, challenger = (np.array(found[side]) for side in ("champion", "challenger"))
    gain = mean_difference([challenger - champion], bootstrap)
    numbers = _numbers(champion.mean(), challenger.mean(), gain)
    passed = gain["value"] >= -max_drop
    sentence = (
        f"Mean AUC of the maps on {len(champion):,} spliced test pictures, whose pasted region they must find: "
        f"{numbers['champion']:.3f} → {numbers['challenger']:.3f}, {signed(gain['value'])} (95 %: "
        f"{signed_span(gain)}); it may fall by at most {max_drop:g}."
    )
    return RuleResult(name, passed, sentence + doubt(passed, gain, -max_drop), bound=-max_drop, **numbers)


def _chance(known: "pd.DataFrame", bootstrap: Bootstrap) -> RuleResult:
    """Whether the challenger tells AI from human at all. Where that cannot be measured, it is not promoted."""
    truth = (known.label == CLASSES[AI]).to_numpy()
    if not len(known) or truth.all() or not truth.any():
        sentence = f"Whether the challenger is better than chance cannot be measured: {missing(truth)}."
        return RuleResult("chance", False, sentence)
    p_ai = known.p_ai_challenger.to_numpy(float)
    predicted_ai = (known.predicted_challenger == CLASSES[AI]).to_numpy()
    auc = headline(truth, p_ai, predicted_ai, bootstrap)["roc_auc"]
    value, low, high = auc["value"], auc["low"], auc["high"]
    ai, human = int(truth.sum()), int((~truth).sum())
    if min(ai, human) < SMALL_SAMPLE:
        low, high = auc_interval(value, ai, human)
    passed = low > 0.5
    return RuleResult(
        "chance",
        passed,
        f"The challenger's ROC-AUC on {ai:,} AI and {human:,} human known test pictures is {value:.3f} "
        f"(95 %: {low:.3f} to {high:.3f}); the whole interval must lie above 0.5, which is chance."
        + ("" if passed or value <= 0.5 else " There may be too few pictures to tell."),
        challenger=value,
        bound=0.5,
    )


def _accuracies(parts: "Sequence[pd.DataFrame]", bootstrap: Bootstrap, side: str = "champion") -> dict[str, Any]:
    """The mean accuracy over parts: of `side`, under the name champion; of the challenger; and their difference."""
    former, challenger = (np.mean([part[f"right_{name}"].mean() for part in parts]) for name in (side, "challenger"))
    return _numbers(former, challenger, mean_difference([gains(part, side) for part in parts], bootstrap))


def _numbers(champion: float, challenger: float, difference: dict[str, float]) -> dict[str, Any]:
    return {"champion": float(champion), "challenger": float(challenger), "difference": difference}


def _log_loss(rows: "pd.DataFrame", side: str) -> float:
    truth = (rows.label == CLASSES[AI]).to_numpy()
    return float(log_losses(truth, rows[f"p_ai_{side}"].to_numpy(float)).mean())
