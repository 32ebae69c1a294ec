"""Retraining: when enough new samples have arrived, a challenger is trained and promoted if the gate lets it pass.

Deployed it runs after every ingest that added pictures, and each night; without enough new samples it does nothing.
Until the very last step, which moves an alias at once, the champion is as it was.
"""

from prefect import flow
from prefect.logging import get_run_logger

from artdetect import compute
from artdetect import config as configs
from artdetect import retrain as library
from artdetect.artifacts import store
from artdetect.artifacts.registry import Promotion
from artdetect.artifacts.store import Artifact
from artdetect.evaluate.config import EvaluateConfig
from artdetect.gate import golden
from flows.parameters import SAMPLE, Changes, ConfigFile
from flows.pipeline import DataArtifacts, build_model, prepare_data
from tasks.engine.caching import StageOutcome
from tasks.engine.dashboard import publish, publish_gate, run_name
from tasks.engine.run_record import HOOKS, recorded
from tasks.evaluate import evaluate
from tasks.gate import gate


@flow(name="retrain", flow_run_name=run_name, persist_result=False, **HOOKS)
def retrain(config: ConfigFile = SAMPLE, changes: Changes = [], force: bool = False) -> list[StageOutcome]:  # noqa: B006
    """Train and judge a challenger, and promote it or keep the champion; the stages' outcomes, none where not due.

    Args:
        config: A TOML file, relative to the project; or a whole config, section by section.
        changes: Single values of it, as --set takes them: gate.old=0.01
        force: Retrain with however few new pictures there are.
    """
    config = configs.chosen(config, changes)
    log = get_run_logger()
    if not force and (why := library.skip_reason(config.retrain)):
        log.info("retrain: nothing to do, %s", why)
        return []

    with recorded() as ledger, compute.use_compute(config.compute):
        champion = library.current_champion()
        config = config.model_copy(
            update=library.challenger_sections(config.index, config.train, config.retrain, champion)
        )
        seen = prepare_data(config)
        made = build_model(config, seen)
        judged = gate(
            config.gate,
            index=seen.index,
            audit=seen.audit,
            balance=seen.balance,
            challenger=made.train,
            challenger_scores=made.evaluate,
            **_judged(config.evaluate, "champion", champion, seen),
            **_judged(config.evaluate.model_copy(update={"robustness": 0}), "reference", library.reference(), seen),
            golden=golden.load(),
        )
        publish(ledger.runs)
        challenger = {use.stage: use.artifact.key for use in ledger.runs if use.name == use.stage}
        promoted, outcome = library.promote_if_passed(judged.folder, challenger, champion)
        ledger.facts["verdict"] = "promoted" if promoted else "kept"
        log.info("retrain: %s", outcome)
        publish_gate(judged.folder, outcome)
    return ledger.runs


def _judged(
    config: EvaluateConfig, role: str, entry: Promotion | None, seen: DataArtifacts
) -> dict[str, Artifact | None]:
    """A former model as the gate takes it: itself, its scores on the present test pictures, what it learnt from."""
    model, scores = None, None
    if entry:
        model = store.load("train", entry.train)
        inputs = {"index": seen.index, "balance": seen.balance, "train": model, "raw": seen.raw}
        scores = evaluate(config, called=f"evaluate {role}", **inputs)
    return {role: model, f"{role}_scores": scores, f"{role}_balance": library.training_split_of(entry)}
