"""The search for better settings of `artnet`, scored on validation pictures alone.

If it is killed, the next run continues it. Its result is a config, best.toml, for flows.pipeline.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from prefect import flow
from prefect.logging import get_run_logger

from artdetect import compute
from artdetect import config as configs
from artdetect import tune as library
from artdetect.config import Config
from artdetect.tune import Trial
from flows.parameters import ConfigFile
from flows.pipeline import prepare_data
from tasks.engine.dashboard import run_name
from tasks.engine.run_record import HOOKS, recorded
from tasks.engine.summary import name_outcome
from tasks.tune import publish, trial


@dataclass(frozen=True)
class TuneResult:
    """The result of a search."""

    ranking: list[Trial]  # the best first
    summary: list[str]  # sentences
    best: Path  # the config with the best settings


@flow(name="tune", flow_run_name=run_name, persist_result=False, **HOOKS)
def tune(config: ConfigFile = None) -> TuneResult:
    """Try settings until the number of trials or the time limit of section `tune` is reached."""
    with recorded() as run:
        config = configs.chosen(config)
        library.check(config.train)
        with compute.use_compute(config.compute):
            found = _search(config)
        best = found.ranking[0]
        name_outcome(run, f"trial {best.number} of {len(found.ranking)}, log loss {best.score.out_of_source_loss:.4f}")
    return found


def _search(config: Config) -> TuneResult:
    log = get_run_logger()
    data = prepare_data(config)
    started = time.monotonic()
    with library.Study(config.tune, config.train, data.balance.digest, log.info) as study:
        while study.unfinished:
            proposal = study.propose()
            score = trial(proposal.number, proposal.config, balance=data.balance, raw=data.raw)
            log.info("%s", study.tell(proposal, score))
            if config.tune.timeout and time.monotonic() - started >= config.tune.timeout:
                break
        return TuneResult(study.ranking, study.summary(), publish(study, config))
