"""The pipeline: from an archive of pictures to a model, its honest test and its explained verdicts.

Data flows left to right, one stage a line; a stage that finds its artifact made from the same things is Cached.
"""

from dataclasses import dataclass

from prefect import flow

from artdetect import compute
from artdetect import config as configs
from artdetect.artifacts.store import Artifact
from artdetect.config import Config
from flows.parameters import SAMPLE, Changes, ConfigFile, Refresh
from tasks.audit import audit, show_and_enforce
from tasks.balance import balance
from tasks.download import download
from tasks.engine.caching import StageOutcome
from tasks.engine.dashboard import publish, run_name
from tasks.engine.run_record import HOOKS, recorded
from tasks.evaluate import evaluate
from tasks.explain import explain
from tasks.index import index, scan
from tasks.report import report
from tasks.train import train


@dataclass(frozen=True)
class DataArtifacts:
    """The artifacts of the stages before a model."""

    raw: Artifact
    index: Artifact
    audit: Artifact
    balance: Artifact


@dataclass(frozen=True)
class ModelArtifacts:
    """The artifacts from a model on."""

    train: Artifact
    evaluate: Artifact
    explain: Artifact
    report: Artifact


@flow(name="pipeline", flow_run_name=run_name, persist_result=False, **HOOKS)
def pipeline(config: ConfigFile = SAMPLE, changes: Changes = [], refresh: Refresh = []) -> list[StageOutcome]:  # noqa: B006
    """Run every stage whose inputs changed; give what became of each.

    Args:
        config: A TOML file, relative to the project; or a whole config, section by section.
        changes: Single values of it, as --set takes them: train.views=3
        refresh: Stages to build again whatever there is.
    """
    config = configs.chosen(config, changes)
    with recorded(refresh) as ledger, compute.use_compute(config.compute):
        build_model(config, prepare_data(config))
        publish(ledger.runs)
    return ledger.runs


def prepare_data(config: Config) -> DataArtifacts:
    """The stages before a model."""
    raw = download(config.download)
    pictures = scan(raw, config.index)
    table = index(config.index, pictures=pictures)
    findings = audit(config.audit, index=table, raw=raw)
    show_and_enforce(findings)
    return DataArtifacts(raw, table, findings, balance(config.balance, index=table, audit=findings))


def build_model(config: Config, seen: DataArtifacts) -> ModelArtifacts:
    """The stages that make a model and judge it."""
    made = train(config.train, balance=seen.balance, raw=seen.raw)
    scores = evaluate(config.evaluate, index=seen.index, balance=seen.balance, train=made, raw=seen.raw)
    maps = explain(config.explain, train=made, evaluate=scores, raw=seen.raw)
    page = report(
        config.report,
        index=seen.index,
        audit=seen.audit,
        balance=seen.balance,
        train=made,
        evaluate=scores,
        explain=maps,
    )
    return ModelArtifacts(made, scores, maps, page)
