"""gate: decides whether a challenger may replace the champion, by rules that each give numbers and a sentence."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from artdetect.artifacts import file_names
from artdetect.gate.config import GateConfig


@dataclass(frozen=True)
class Candidate:
    """A model to compare, by artifact folders.

    Args:
        model: The trained model.
        scores: The model's evaluation on the test pictures of the comparison.
        balance: The balance that the model was trained on; None where it no longer exists.
    """

    model: Path
    scores: Path
    balance: Path | None


def run(
    config: GateConfig,
    index: Path,
    audit: Path,
    balance: Path,
    champion: Candidate | None,
    challenger: Candidate,
    golden: Path,
    pictures: Path,
    out: Path,
    reference: Candidate | None = None,
) -> None:
    """Apply the rules and write the decision: `gate.json`, `gate.md` for people, and its numbers as `metrics.json`.

    The test pictures of `balance` are used to choose between two models here, and for nothing else. Pictures that a
    model was trained on, and their near-duplicates, are left out.

    gate.json: verdict ("promote" or "keep") and sentence; champion and challenger (model ids); rules, see
    `rules.RuleResult`; pictures, the size of each test set; groups and flips, see `paired_predictions`; left_out, the
    number of contents that are disputed (under both labels) or trained_on; unknown, the sides whose training pictures
    are not known any more; golden, see `golden.predictions`.

    Args:
        config: The section `gate`.
        index: The index artifact, of all pictures.
        audit: The audit artifact of that index.
        balance: The balance artifact whose test pictures both models were evaluated on.
        champion: The present champion, None before the first promotion.
        challenger: The new model.
        golden: A folder of golden cases, see `golden.load`.
        pictures: The root of the data set, whose test pictures are spliced.
        out: The folder to write to.
        reference: The first champion, if it is another model than the present one.

    Raises:
        DataError: a model was not evaluated on exactly the test pictures of this balance.
        ModelError: a model cannot be read.
    """
    from artdetect.artifacts import leakage
    from artdetect.gate import golden as golden_cases
    from artdetect.gate import localisation, paired_predictions, render, rules, wording
    from artdetect.model.card import model_id_of
    from artdetect.stats.bootstrap import Bootstrap

    compared = {"champion": champion, "challenger": challenger} if champion else {"challenger": challenger}
    candidates = compared | ({"reference": reference} if reference else {})
    ids = {side: model_id_of(candidate.model) for side, candidate in compared.items()}
    training = {
        side: leakage.training_contents(candidate.model, candidate.balance) for side, candidate in candidates.items()
    }
    scores = {side: candidate.scores for side, candidate in candidates.items()}
    table, disputed = paired_predictions.read(index, balance, scores)
    leaked = table.sha256.isin(leakage.near_duplicates_of(index, audit, set().union(*training.values())))
    table = table[~leaked].reset_index(drop=True)
    models = {side: candidate.model for side, candidate in compared.items()}
    cases = golden_cases.predictions(golden, models, training)
    degraded = paired_predictions.degraded_accuracy({side: scores[side] for side in compared}, set(table.sha256))
    bootstrap = Bootstrap(config.bootstrap_resamples, config.seed)
    others = paired_predictions.out_of_source(models, bootstrap) if champion else rules.NO_CHAMPION
    maps: Any = rules.NO_CHAMPION
    if champion:
        maps = localisation.aucs(models, table, pictures, config.localisation, config.seed)
    results = rules.apply_rules(config, table, degraded, cases, others, maps)
    verdict = "keep" if any(result.passed is False for result in results) else "promote"
    decision: dict[str, Any] = {
        "verdict": verdict,
        "sentence": wording.conclusion(verdict, {result.name: result.passed for result in results}, ids),
        "champion": ids.get("champion"),
        "challenger": ids["challenger"],
        "rules": [asdict(result) for result in results],
        "pictures": {name: int((table["set"] == name).sum()) for name in paired_predictions.SETS},
        "groups": paired_predictions.groups(table, bootstrap),
        "flips": paired_predictions.flips(table),
        "left_out": {"disputed": disputed, "trained_on": int(leaked.sum())},
        "unknown": [
            side for side, candidate in candidates.items() if not leakage.are_known(candidate.model, candidate.balance)
        ],
        "golden": cases,
    }
    numbers = {result.name: {"passed": result.passed, "difference": result.difference} for result in results}
    metrics = {"verdict": verdict, "pictures": decision["pictures"], "rules": numbers}
    (out / file_names.GATE).write_text(json.dumps(decision, indent=1, allow_nan=False))
    (out / file_names.METRICS).write_text(json.dumps(metrics, indent=1, allow_nan=False))
    (out / file_names.GATE_PAGE).write_text(render.render(decision), encoding="utf-8")


def verdict(folder: Path) -> dict[str, Any]:
    """Read the decision of a gate artifact: its gate.json, see `run`."""
    return json.loads((folder / file_names.GATE).read_text())
