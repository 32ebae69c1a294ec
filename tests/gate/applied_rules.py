"""All rules, applied to synthetic evaluations."""

from pathlib import Path

from artdetect.gate import paired_predictions, rules
from artdetect.gate.config import GateConfig
from artdetect.gate.rules import RuleResult
from tests.gate.synthetic_artifacts import Rights, artifacts

NO_GOLDEN = {"cases": [], "outside": []}
KNOWN = {"test/AI_SD_dots": (100, 90, 90), "test/dots": (100, 90, 90)}


def apply_all(
    root: Path, groups: Rights, first: bool = False, golden: dict = NO_GOLDEN, reference: bool = False, **config
) -> dict[str, RuleResult]:
    """The results of all rules, by name; `first`: there is no champion yet."""
    made = artifacts(root, groups)
    scores = {side: made[side] for side in (("challenger",) if first else paired_predictions.SIDES)}
    others = {"reference": made["reference"]} if reference else {}
    table, _ = paired_predictions.read(made["index"], made["balance"], scores | others)
    return {
        r.name: r
        for r in rules.apply_rules(
            GateConfig(**config), table, paired_predictions.degraded_accuracy(scores, set(table.sha256)), golden
        )
    }
