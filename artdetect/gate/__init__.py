"""gate: may the challenger take the champion's place? Rules, each with its numbers and a sentence, and one verdict."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import Field

from artdetect.section import Section

FILE, PAGE = "gate.json", "gate.md"


class GateConfig(Section):
    """Section `gate`. Bounds hold for the differences measured; what chance does to them is said beside each.

    Two points of 100 is what the test of some hundred pictures can tell at all, and less than what one retraining with
    another seed moves a small net by. A new model has to earn its place on what is new, so there more than nothing is
    asked for; golden cases have no bound, since each was put there because it must stay right.
    """

    old: float = Field(0.02, ge=0, le=1, description="by how much balanced accuracy on old test pictures may fall")
    new: float = Field(
        0.0,
        ge=-1,
        le=1,
        description="the share called right of new test pictures must rise by more than this; with 0, where it stays "
        "the same, their log loss must fall",
    )
    calibration: float = Field(0.02, ge=0, le=1, description="by how much the calibration error (ECE) may rise")
    robustness: float = Field(0.02, ge=0, le=1, description="by how much accuracy on degraded pictures may fall")
    resamples: int = Field(1000, ge=100, le=100_000, description="bootstrap resamples behind the intervals")
    seed: int = Field(129, ge=0, description="of the resampling")


def run(
    config: GateConfig,
    index: Path,
    balance: Path,
    champion: Path | None,
    challenger: Path,
    champion_scores: Path | None,
    challenger_scores: Path,
    golden: Path,
    out: Path,
) -> None:
    """Write the judgement: `gate.json`, the same for people as `gate.md`, and its numbers as `metrics.json`.

    Arguments are artifact folders: of the index, the balance, the two models, and their evaluations on that index and
    balance; both of the champion's are None where there is none yet. `golden` is a folder of cases (`golden.look`).

    gate.json: verdict ("promote" or "keep"), sentence; champion, challenger (model ids); rules: see `rules.Ruling`;
    pictures: n of each test set; groups, flips, left_out: see `tables`; golden: see `golden.compared`.

    Raises:
        DataError: the two were not evaluated on all test pictures of this balance and on no others.
        ModelError: a model cannot be read.
    """
    from artdetect.gate import golden as cases
    from artdetect.gate import page, rules, tables

    models = {"champion": champion, "challenger": challenger}
    scores = {"champion": champion_scores, "challenger": challenger_scores}
    there = {side: (folder, scored) for side in models if (folder := models[side]) and (scored := scores[side])}
    names = {side: tables.named(folder) for side, (folder, _) in there.items()}
    table, left_out = tables.read(index, balance, {side: scored for side, (_, scored) in there.items()})
    worn = tables.worn({side: scored for side, (_, scored) in there.items()})
    seen = cases.compared(golden, {side: folder for side, (folder, _) in there.items()})
    found = rules.judge(config, table, worn, seen)
    verdict = "keep" if any(ruling.passed is False for ruling in found) else "promote"
    judgement: dict[str, Any] = {
        "verdict": verdict,
        "sentence": rules.conclusion(verdict, found, names),
        "champion": names.get("champion"),
        "challenger": names["challenger"],
        "rules": [asdict(ruling) for ruling in found],
        "pictures": {name: int((table["set"] == name).sum()) for name in tables.SETS},
        "groups": tables.groups(table, config.resamples, config.seed),
        "flips": tables.flips(table),
        "left_out": left_out,
        "golden": seen,
    }
    numbers = {ruling.name: {"passed": ruling.passed, "difference": ruling.difference} for ruling in found}
    metrics = {"verdict": verdict, "pictures": judgement["pictures"], "rules": numbers}
    (out / FILE).write_text(json.dumps(judgement, indent=1, allow_nan=False))
    (out / "metrics.json").write_text(json.dumps(metrics, indent=1, allow_nan=False))
    (out / PAGE).write_text(page.render(judgement), encoding="utf-8")


def verdict(folder: Path) -> dict[str, Any]:
    """What a gate artifact says: gate.json, see `run`."""
    return json.loads((folder / FILE).read_text())
