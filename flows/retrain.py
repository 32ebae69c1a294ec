"""Retraining: when enough new pictures have arrived, a challenger is trained, and promoted if it passes the gate.

Deployed, it runs after every ingest that added pictures, and every night; without enough new pictures it does nothing.
The champion stays in place until the very last step, which moves the alias at once.
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
from flows.parameters import Changes, ConfigFile
from flows.pipeline import DataArtifacts, build_model, prepare_data
from tasks.engine.caching import StageOutcome
from tasks.engine.dashboard import publish, publish_gate, run_name
from tasks.engine.run_record import HOOKS, recorded
from tasks.evaluate import evaluate
from tasks.gate import gate


@flow(name="retrain", flow_run_name=run_name, persist_result=False, **HOOKS)
def retrain(config: ConfigFile = None, changes: Changes = [], force: bool = False) -> list[StageOutcome]:  # noqa: B006
    """Train a challenger and compare it with the champion; promote it if it passes the gate.

    Args:
        config: A TOML file, relative to the project; or a whole config, section by section. By default the project's.
        changes: Single values to change, as for --set: gate.max_drop_known=0.01
        force: Retrain even if there are too few new pictures.

    Returns:
        What became of each stage; empty if no retraining was due.
    """
    config = configs.chosen(config, changes)
    log = get_run_logger()
    if not force and (reason := library.skip_reason(config.retrain)):
        log.info("retrain: nothing to do, %s", reason)
        return []

    with recorded() as run, compute.use_compute(config.compute):
        champion = library.current_champion()
        config = config.model_copy(
            update=library.challenger_sections(config.index, config.train, config.retrain, champion)
        )
        data = prepare_data(config)
        challenger = build_model(config, data)
        without_robustness = config.evaluate.model_copy(update={"robustness_pictures": 0})
        decision = gate(
            config.gate,
            index=data.index,
            audit=data.audit,
            balance=data.balance,
            challenger=challenger.train,
            challenger_scores=challenger.evaluate,
            **_former_model("champion", champion, config.evaluate, data),
            **_former_model("reference", library.reference(), without_robustness, data),
            golden=golden.load(),
            raw=data.raw,
        )
        publish(run.outcomes)
        keys = {stage.stage: stage.artifact.key for stage in run.outcomes if stage.name == stage.stage}
        promoted, outcome = library.promote_if_passed(decision.folder, keys, champion)
        run.facts["verdict"] = "promoted" if promoted else "refused"
        log.info("retrain: %s", outcome)
        publish_gate(decision.folder, outcome)
    return run.outcomes


def _former_model(
    role: str, promotion: Promotion | None, config: EvaluateConfig, data: DataArtifacts
) -> dict[str, Artifact | None]:
    """The gate's inputs for an earlier model: itself, its scores on the present test pictures, its training split."""
    model, scores = None, None
    if promotion:
        model = store.load("train", promotion.train)
        inputs = {"index": data.index, "balance": data.balance, "train": model, "raw": data.raw}
        scores = evaluate(config, run_name=f"evaluate {role}", **inputs)
    return {role: model, f"{role}_scores": scores, f"{role}_balance": library.training_split_of(promotion)}
