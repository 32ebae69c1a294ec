"""The search for better settings of `artnet`, judged by validation alone; killed, the next run goes on with it.

    python -m flows.tune                          for the drawn sample set
    python -m flows.tune configs/default.toml     for AI-ArtBench

What it finds is a config, best.toml, for flows.pipeline.
"""

import sys
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
from flows.parameters import SAMPLE, ConfigFile
from flows.pipeline import data
from tasks.publish import run_name
from tasks.recorded import recorded
from tasks.tune import publish, trial


@dataclass(frozen=True)
class Found:
    """What a search ends with."""

    ranking: list[Trial]  # the best first
    summary: list[str]  # in words
    best: Path  # the config with the best settings


@flow(name="tune", flow_run_name=run_name, persist_result=False)
def tune(config: ConfigFile = SAMPLE) -> Found:
    """Try settings until there are as many trials as section `tune` says, or its time is up."""
    config = configs.chosen(config)
    library.check(config.train)
    with recorded(), compute.use(config.compute):
        return _search(config)


def _search(config: Config) -> Found:
    log = get_run_logger()
    seen = data(config)
    began = time.monotonic()
    with library.Study(config.tune, config.train, seen.balance.digest, log.info) as study:
        while study.unfinished:
            proposal = study.propose()
            judged = trial(proposal.number, proposal.config, balance=seen.balance, raw=seen.raw)
            log.info("%s", study.tell(proposal, judged))
            if config.tune.timeout and time.monotonic() - began >= config.tune.timeout:
                break
        return Found(study.ranking, study.summary(), publish(study, config))


if __name__ == "__main__":
    from artdetect.cli import main

    sys.exit(main(["tune", *(["--config", sys.argv[1]] if len(sys.argv) > 1 else []), *sys.argv[2:]]))
