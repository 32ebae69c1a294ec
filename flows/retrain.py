"""Retraining: when enough new pictures have arrived, a challenger is trained, and promoted if it passes the gate.

Deployed, it runs after every ingest that added pictures, and every night; without enough new pictures it does nothing.
The champion stays in place until the gate has decided; then the alias moves at once. Verdicts are explained, and the
report is written, for a challenger that was promoted.
"""

from prefect import flow
from prefect.logging import get_run_logger

from artdetect import alerts, compute
from artdetect import config as configs
from artdetect import retrain as library
from artdetect.artifacts import registry, store
from artdetect.artifacts.registry import Promotion
from artdetect.artifacts.store import Artifact
from artdetect.config import Config
from artdetect.evaluate.config import EvaluateConfig
from artdetect.gate import golden
from flows.parameters import Changes, ConfigFile
from flows.pipeline import DataArtifacts, build_model, describe_model, prepare_data
from tasks.engine import events
from tasks.engine.caching import RunContext, StageOutcome
from tasks.engine.dashboard import publish, publish_gate, run_name
from tasks.engine.run_record import HOOKS, recorded
from tasks.engine.summary import accuracy_of, name_outcome, publish_summary
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
    log = get_run_logger()
    with recorded() as run:
        config = configs.chosen(config, changes)
        if not force and (reason := library.skip_reason(config.retrain, config.usage)):
            log.info("retrain: nothing to do, %s", reason)
            run.record.idle = True
            name_outcome(run, "nothing to do")
            return []
        with compute.use_compute(config.compute):
            _retrain(config, run)
    return run.outcomes


def _retrain(config: Config, run: RunContext) -> None:
    champion = library.current_champion()
    config = config.model_copy(update=library.challenger_sections(config.index, config.train, config.retrain, champion))
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
    promoted, outcome = library.promote_if_passed(decision.folder, run.keys(), champion)
    run.facts.update(verdict="promoted" if promoted else "refused", outcome=outcome)
    get_run_logger().info("retrain: %s", outcome)
    publish_gate(decision.folder, outcome)
    _announce(challenger.train.key, champion, promoted, outcome)
    if promoted:  # only now, as nobody needs pages about a model that was refused
        describe_model(config, data, challenger)
        registry.name_artifacts(challenger.train.key, run.keys())
    publish(run.outcomes)
    publish_summary(run, outcome)
    name_outcome(run, f"{run.facts['verdict']}, {accuracy_of(run)}")


def _announce(challenger: str, champion: Promotion | None, promoted: bool, outcome: str) -> None:
    event = alerts.PROMOTED if promoted else alerts.REFUSED
    payload = {"challenger": challenger, "champion": champion.train if champion else None, "outcome": outcome}
    if problem := events.emit(event, f"artdetect.model.{challenger}", outcome, payload):
        get_run_logger().warning("retrain: %s", problem)


def _former_model(
    role: str, promotion: Promotion | None, config: EvaluateConfig, data: DataArtifacts
) -> dict[str, Artifact | None]:
    """The gate's inputs for an earlier model: itself, its scores on the present test pictures, its training split."""
    model, scores = None, None
    if promotion:
        model = store.load("train", promotion.train)
        scores = evaluate(config, run_name=f"evaluate {role}", train=model, **data.for_evaluation())
    return {role: model, f"{role}_scores": scores, f"{role}_balance": library.training_split_of(promotion)}
