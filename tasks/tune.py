"""A trial as a task, and what a search leaves: the best settings as a config, and all trials as a table."""

from pathlib import Path

from prefect import task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from artdetect import config as configs
from artdetect import download
from artdetect import tune as library
from artdetect.artifacts.store import Artifact
from artdetect.config import Config
from artdetect.train.config import TrainConfig
from artdetect.tune import Study, TrialScore
from tasks.engine.progress import Progress

SHOWN = 10  # of the best trials on the dashboard; all stand in trials.csv


@task(task_run_name="trial-{number}", cache_policy=NO_CACHE, persist_result=False)
def trial(number: int, config: TrainConfig, balance: Artifact, raw: Artifact) -> TrialScore:
    """What validation says of settings. Prefect keeps nothing of it: the study does."""
    with Progress("features") as progress:
        return library.score_trial(config, balance.folder, download.folder(raw.folder), progress.log)


def publish(study: Study, config: Config) -> Path:
    """Write `best.toml`, which `artdetect run --config` takes, and `trials.csv`; show the best trials. The former."""
    import pandas as pd

    pd.DataFrame([trial.row() for trial in study.trials]).to_csv(study.folder / library.TRIALS_FILE, index=False)
    best = study.folder / library.BEST_FILE
    found = config.model_copy(update={"train": study.config(study.ranking[0].settings)})
    comment = "".join(f"# {line}\n" for line in study.summary())
    best.write_text(comment + configs.dump(found), encoding="utf-8")
    create_table_artifact(
        [trial.row() for trial in study.ranking[:SHOWN]], key="tune", description="\n\n".join(study.summary())
    )
    return best
