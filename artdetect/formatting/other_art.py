"""What training found out about art from sources that the model does not know, in words and in rows of a table.

Throughout, `metrics` is the content of train's metrics.json.
"""

from collections.abc import Mapping
from typing import Any

from artdetect.formatting.intervals import percent, percent_span, span
from artdetect.formatting.text import printable

Metrics = Mapping[str, Any]
MEASURES = {  # of `artdetect.stats.verdict_measures`, the verdicts first
    "firm": "share with a verdict",
    "right_ai": "right of the verdicts AI",
    "right_human": "right of the verdicts human",
    "balanced_accuracy": "balanced accuracy",
    "roc_auc": "ROC-AUC",
    "log_loss": "log loss (less is better)",
    "ece": "calibration error (ECE)",
}
SHARES = ("firm", "right_ai", "right_human", "balanced_accuracy")  # measures that are written in per cent


def unknown(metrics: Metrics) -> str | None:
    """Why nothing is known about art from other sources, as a sentence; None if something is."""
    measured = metrics.get("out_of_source")
    if measured and measured["enough_sources"]:
        return None
    if adapted := metrics.get("adapted"):
        number = sum(adapted["pictures"].values())
        return f"it was adapted to {number:,} own pictures of its user, and no source was left out for that"
    if measured:
        human, ai = measured["sources"]["human"], measured["sources"]["AI"]
        return (
            f"the training pictures are of {human:,} human and {ai:,} AI {_plural('source', ai)}, too few to leave "
            "some out"
        )
    return "no source was left out of training to test the model on it"


def measured(metrics: Metrics) -> Mapping[str, Any] | None:
    """The measures on pictures of sources that were left out, if there are enough sources."""
    return None if unknown(metrics) else metrics["out_of_source"]


def sentences(metrics: Metrics) -> list[str]:
    """What is known about verdicts on art from other sources: the share of verdicts, how many are right, and where."""
    if reason := unknown(metrics):
        if adapted := metrics.get("adapted"):
            return [
                f"Nothing is known about its verdicts on art from other sources: {reason}. Its unsure band is that of "
                f"{adapted['base']}, which it was adapted from."
            ]
        return [
            f"Nothing is known about its verdicts on art from other sources: {reason}. To allow for that, the unsure "
            "band is wider: it was fitted with half the errors."
        ]
    found = metrics["out_of_source"]
    number = sum(found["sources"].values())
    result = [
        "On art from sources that it has never seen, the model gives a verdict on "
        f"{percent(found['firm']['value'])} of the pictures (95 % interval over {number:,} sources: "
        f"{percent_span(found['firm'])}). " + " ".join(_right(found, label) for label in ("AI", "human"))
    ]
    if held := found["held"]:
        worst, judged = found["worst"], found["judged_sources"]
        name = printable(worst["source"]).replace("_", " ")
        result.append(
            f"Of the {judged:,} sources with at least {found['min_firm']} verdicts, {percent(held['value'])} "
            f"({percent_span(held)}) have at least {100 * found['held_from']:.0f} % of them right. The worst is {name} "
            f"({worst['label']}): {worst['right']:,} of {worst['firm']:,} verdicts are right."
        )
    else:
        result.append(f"No source has {found['min_firm']} verdicts, so no source shows whether they hold.")
    return result


def promise(metrics: Metrics, abstain: Mapping[str, Any]) -> str:
    """What the unsure band is for, and what overrules it.

    Args:
        metrics: See the module.
        abstain: The setting `train.abstain`.
    """
    found, share = measured(metrics), abstain["max_share"]
    accuracy = abstain["min_accuracy"]
    if found is None:
        accuracy = (1 + accuracy) / 2
    promised = (
        f"The unsure band is as wide as it takes for {100 * accuracy:g} % of the verdicts to be right, of AI and of "
        f"human each, on {'art from other sources' if found else 'the pictures that it was fitted on'}."
    )
    if share is None:
        return promised
    overruled = f" But max_share overrules this: at most {100 * share:g} % of the pictures may be unsure."
    if found is None:
        return promised + overruled
    names = ("AI", "human")
    right = [(name, metric["value"]) for name in names if (metric := found[f"right_{name.lower()}"])]
    short = [f"{100 * value:.1f} % of the verdicts {name}" for name, value in right if value < accuracy]
    cost = f" As it is, only {' and '.join(short)} are right." if short else " It still holds."
    return promised + overruled + cost


def rows(metrics: Metrics) -> list[tuple[str, str, str]]:
    """The measures as rows of name, value and 95 % interval over sources; none if nothing is known."""
    found = measured(metrics)
    return [(name, *cells(key, found[key])) for key, name in MEASURES.items() if found[key]] if found else []


def cells(key: str, metric: Mapping[str, float]) -> tuple[str, str]:
    """A measure's value and interval: shares in per cent, others as numbers."""
    if key in SHARES:
        return percent(metric["value"]), percent_span(metric)
    return f"{metric['value']:.3f}", span(metric)


def _right(found: Metrics, label: str) -> str:
    metric = found[f"right_{label.lower()}"]
    if metric is None:
        return f"It never says {label}."
    return f"Where it says {label}, it is right in {percent(metric['value'])} ({percent_span(metric)})."


def _plural(noun: str, number: int) -> str:
    return noun if number == 1 else f"{noun}s"
