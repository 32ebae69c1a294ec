"""gate: may the challenger take the champion's place? Rules, each with its numbers and a sentence, and one verdict."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from artdetect.gate.config import GateConfig

FILE, PAGE = "gate.json", "gate.md"


@dataclass(frozen=True)
class Candidate:
    """A model to be judged, by artifact folders."""

    model: Path
    scores: Path  # its evaluation on the index and the balance of the judgement
    balance: Path | None  # what it learnt from; None where that is no longer there


def run(
    config: GateConfig,
    index: Path,
    audit: Path,
    balance: Path,
    champion: Candidate | None,
    challenger: Candidate,
    golden: Path,
    out: Path,
    reference: Candidate | None = None,
) -> None:
    """Write the judgement: `gate.json`, the same for people as `gate.md`, and its numbers as `metrics.json`.

    `index`, `audit` and `balance` are artifact folders: of all pictures there are, and of the test pictures that both
    models were evaluated on. `golden` is a folder of cases (`golden.look`); `reference` is the first champion, where
    that is another than the present one. Pictures that a model has learnt from, and what looks like them, are left out.

    gate.json: verdict ("promote" or "keep"), sentence; champion, challenger (model ids); rules: see `rules.Ruling`;
    pictures: n of each test set; groups, flips: see `tables`; left_out: disputed, known (contents); unknown: the sides
    of whose learning nothing is known any more; golden: see `golden.compared`.

    Raises:
        DataError: the two were not evaluated on all test pictures of this balance and on no others.
        ModelError: a model cannot be read.
    """
    from artdetect.gate import golden as cases
    from artdetect.gate import leakage, paired_predictions, render, rules

    there = {"champion": champion, "challenger": challenger} if champion else {"challenger": challenger}
    everyone = there | ({"reference": reference} if reference else {})
    scores = {side: one.scores for side, one in there.items()}
    names = {side: paired_predictions.model_id_of(one.model) for side, one in there.items()}
    contents = {side: leakage.training_contents(one.balance) for side, one in everyone.items() if one.balance}
    table, disputed = paired_predictions.read(index, balance, {side: one.scores for side, one in everyone.items()})
    known = table.sha256.isin(leakage.near_duplicates_of(index, audit, set().union(*contents.values())))
    table = table[~known].reset_index(drop=True)
    seen = cases.compared(golden, {side: one.model for side, one in there.items()}, contents)
    found = rules.apply_rules(config, table, paired_predictions.degraded(scores, set(table.sha256)), seen)
    verdict = "keep" if any(ruling.passed is False for ruling in found) else "promote"
    judgement: dict[str, Any] = {
        "verdict": verdict,
        "sentence": rules.conclusion(verdict, found, names),
        "champion": names.get("champion"),
        "challenger": names["challenger"],
        "rules": [asdict(ruling) for ruling in found],
        "pictures": {name: int((table["set"] == name).sum()) for name in paired_predictions.SETS},
        "groups": paired_predictions.groups(table, config.resamples, config.seed),
        "flips": paired_predictions.flips(table),
        "left_out": {"disputed": disputed, "known": int(known.sum())},
        "unknown": [side for side in everyone if side not in contents],
        "golden": seen,
    }
    numbers = {ruling.name: {"passed": ruling.passed, "difference": ruling.difference} for ruling in found}
    metrics = {"verdict": verdict, "pictures": judgement["pictures"], "rules": numbers}
    (out / FILE).write_text(json.dumps(judgement, indent=1, allow_nan=False))
    (out / "metrics.json").write_text(json.dumps(metrics, indent=1, allow_nan=False))
    (out / PAGE).write_text(render.render(judgement), encoding="utf-8")


def verdict(folder: Path) -> dict[str, Any]:
    """What a gate artifact says: gate.json, see `run`."""
    return json.loads((folder / FILE).read_text())
