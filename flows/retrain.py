"""Retraining: when enough new samples have arrived, a challenger is trained and promoted if the gate lets it pass.

    python -m flows.retrain                          the drawn sample set and data/incoming
    python -m flows.retrain configs/default.toml     AI-ArtBench and data/incoming

Deployed it runs after every ingest that added pictures, and each night; without enough new samples it does nothing.
Until the very last step, which moves an alias at once, the champion is as it was.
"""

import sys

from prefect import flow
from prefect.logging import get_run_logger

from artdetect import compute, store
from artdetect import config as configs
from artdetect import retrain as library
from artdetect.evaluate import EvaluateConfig
from artdetect.gate import golden
from artdetect.registry import Entry
from artdetect.store import Artifact
from flows.parameters import SAMPLE, Changes, ConfigFile
from flows.pipeline import Data, data, model
from tasks.caching import StageRun
from tasks.evaluate import evaluate
from tasks.gate import gate
from tasks.publish import publish, publish_gate, run_name
from tasks.recorded import HOOKS, recorded


@flow(name="retrain", flow_run_name=run_name, persist_result=False, **HOOKS)
def retrain(config: ConfigFile = SAMPLE, changes: Changes = [], force: bool = False) -> list[StageRun]:  # noqa: B006
    """Train and judge a challenger, and promote it or keep the champion; the stages' outcomes, none where not due.

    Args:
        config: A TOML file, relative to the project; or a whole config, section by section.
        changes: Single values of it, as --set takes them: gate.old=0.01
        force: Retrain with however few new pictures there are.
    """
    config = configs.chosen(config, changes)
    log = get_run_logger()
    if not force and (why := library.not_due(config.retrain)):
        log.info("retrain: nothing to do, %s", why)
        return []

    with recorded() as ledger, compute.use(config.compute):
        champion = library.reigning()
        config = library.challenger(config, champion)
        seen = data(config)
        made = model(config, seen)
        judged = gate(
            config.gate,
            index=seen.index,
            audit=seen.audit,
            balance=seen.balance,
            challenger=made.train,
            challenger_scores=made.evaluate,
            **_judged(config.evaluate, "champion", champion, seen),
            **_judged(config.evaluate.model_copy(update={"robustness": 0}), "reference", library.reference(), seen),
            golden=golden.look(),
        )
        publish(ledger.runs)
        challenger = {use.stage: use.artifact.key for use in ledger.runs if use.name == use.stage}
        promoted, outcome = library.settle(judged.folder, challenger, champion)
        ledger.facts["verdict"] = "promoted" if promoted else "kept"
        log.info("retrain: %s", outcome)
        publish_gate(judged.folder, outcome)
    return ledger.runs


def _judged(config: EvaluateConfig, role: str, entry: Entry | None, seen: Data) -> dict[str, Artifact | None]:
    """A former model as the gate takes it: itself, its scores on the present test pictures, what it learnt from."""
    model, scores = None, None
    if entry:
        model = store.load("train", entry.train)
        inputs = {"index": seen.index, "balance": seen.balance, "train": model, "raw": seen.raw}
        scores = evaluate(config, called=f"evaluate {role}", **inputs)
    return {role: model, f"{role}_scores": scores, f"{role}_balance": library.learnt_from(entry)}


if __name__ == "__main__":
    from artdetect.cli import main

    sys.exit(main(["retrain", *(["--config", sys.argv[1]] if len(sys.argv) > 1 else []), *sys.argv[2:]]))
