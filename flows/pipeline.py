"""The pipeline: from an archive of pictures to a model, its test on unseen pictures, and explained verdicts.

Data flows from top to bottom, one stage per line. A stage whose inputs, code and settings did not change is Cached.
"""

from dataclasses import dataclass

from prefect import flow

from artdetect import compute
from artdetect import config as configs
from artdetect.artifacts.store import Artifact
from artdetect.config import Config
from artdetect.report import champion
from flows.parameters import Changes, ConfigFile, Refresh
from tasks.audit import audit, show_and_enforce
from tasks.balance import balance
from tasks.download import download
from tasks.engine.caching import StageOutcome
from tasks.engine.dashboard import publish, run_name
from tasks.engine.run_record import HOOKS, recorded
from tasks.engine.summary import accuracy_of, name_outcome, publish_summary
from tasks.evaluate import evaluate
from tasks.explain import explain
from tasks.index import index, scan
from tasks.report import report
from tasks.train import train


@dataclass(frozen=True)
class DataArtifacts:
    """The artifacts of the stages before training."""

    raw: Artifact
    index: Artifact
    audit: Artifact
    balance: Artifact

    def for_evaluation(self) -> dict[str, Artifact]:
        """The inputs of the stage evaluate that do not depend on the model."""
        return {"index": self.index, "audit": self.audit, "balance": self.balance, "raw": self.raw}


@dataclass(frozen=True)
class ModelArtifacts:
    """The artifacts of training and its test."""

    train: Artifact
    evaluate: Artifact


@flow(name="pipeline", flow_run_name=run_name, persist_result=False, **HOOKS)
def pipeline(config: ConfigFile = None, changes: Changes = [], refresh: Refresh = []) -> list[StageOutcome]:  # noqa: B006
    """Run every stage whose inputs, code or settings changed.

    Args:
        config: A TOML file, relative to the project; or a whole config, section by section. By default the project's.
        changes: Single values to change, as for --set: train.degraded_views=3
        refresh: Stages to build again even if they are current.

    Returns:
        What became of each stage.
    """
    with recorded(refresh) as run:
        config = configs.chosen(config, changes)
        with compute.use_compute(config.compute):
            data = prepare_data(config)
            describe_model(config, data, build_model(config, data))
            publish(run.outcomes)
            publish_summary(run)
            name_outcome(run, accuracy_of(run))
    return run.outcomes


def prepare_data(config: Config) -> DataArtifacts:
    """Run the stages before training."""
    raw = download(config.download)
    pictures = scan(raw, config.index)
    table = index(config.index, pictures=pictures)
    findings = audit(config.audit, index=table, raw=raw)
    show_and_enforce(findings)
    return DataArtifacts(raw, table, findings, balance(config.balance, index=table, audit=findings))


def build_model(config: Config, data: DataArtifacts) -> ModelArtifacts:
    """Train a model and evaluate it."""
    model = train(config.train, balance=data.balance, raw=data.raw)
    return ModelArtifacts(model, evaluate(config.evaluate, train=model, **data.for_evaluation()))


def describe_model(config: Config, data: DataArtifacts, model: ModelArtifacts) -> None:
    """Explain some of a model's verdicts, and write its report."""
    maps = explain(config.explain, train=model.train, evaluate=model.evaluate, raw=data.raw)
    report(
        config.report,
        index=data.index,
        audit=data.audit,
        balance=data.balance,
        train=model.train,
        evaluate=model.evaluate,
        explain=maps,
        raw=data.raw,
        **champion.beside(model.train, data.balance, model.evaluate),
    )
