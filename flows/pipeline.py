"""The pipeline: from an archive of pictures to a model, its honest test and its explained verdicts.

    python -m flows.pipeline                          the drawn sample set
    python -m flows.pipeline configs/notebook.toml    the notebook's recipe

Data flows left to right, one stage a line; a stage that finds its artifact made from the same things is Cached.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from prefect import flow

from artdetect import compute
from artdetect import config as configs
from artdetect.config import Config
from artdetect.store import Artifact
from tasks.audit import audit, heed
from tasks.balance import balance
from tasks.caching import LEDGER, Ledger, StageRun
from tasks.download import download
from tasks.evaluate import evaluate
from tasks.explain import explain
from tasks.index import index, scan
from tasks.publish import publish, run_name
from tasks.report import report
from tasks.train import train

SAMPLE = Path("configs/sample.toml")


@flow(name="pipeline", flow_run_name=run_name, persist_result=False)
def pipeline(config: Config | Path = SAMPLE, refresh: Sequence[str] = ()) -> list[StageRun]:
    """Run every stage whose inputs changed; give what became of each.

    `config` is a config or the path of its file; `refresh` names stages to build again whatever there is.
    """
    config = config if isinstance(config, Config) else configs.load(config)
    ledger = Ledger(frozenset(refresh))
    LEDGER.set(ledger)
    compute.use(config.compute)

    raw, table, findings, split = data(config)
    model = train(config.train, balance=split, raw=raw)
    scores = evaluate(config.evaluate, index=table, balance=split, train=model, raw=raw)
    maps = explain(config.explain, train=model, evaluate=scores, raw=raw)
    report(config.report, index=table, audit=findings, balance=split, train=model, evaluate=scores, explain=maps)

    publish(ledger.runs)
    return ledger.runs


def data(config: Config) -> tuple[Artifact, Artifact, Artifact, Artifact]:
    """The stages before a model: the artifacts of download, index, audit and balance."""
    raw = download(config.download)
    pictures = scan(raw)
    table = index(config.index, pictures=pictures)
    findings = audit(config.audit, index=table, raw=raw)
    heed(findings)
    return raw, table, findings, balance(config.balance, index=table, audit=findings)


if __name__ == "__main__":
    from artdetect.cli import main

    sys.exit(main(["run", "--always", *(["--config", sys.argv[1]] if len(sys.argv) > 1 else []), *sys.argv[2:]]))
