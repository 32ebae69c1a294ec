"""A trial of the search as a task, and the output of a search: the best settings as a config, all trials as a table."""

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
from tasks.engine.progress import ProgressDisplay, activity

MAX_SHOWN = 10  # best trials on the dashboard; trials.csv has all of them


@task(task_run_name="trial-{number}", cache_policy=NO_CACHE, persist_result=False)
def trial(number: int, config: TrainConfig, balance: Artifact, raw: Artifact) -> TrialScore:
    """Score settings on validation pictures. The study stores the score; Prefect does not."""
    with activity(f"trial {number}"), ProgressDisplay("features") as progress:
        return library.score_trial(config, balance.folder, download.folder(raw.folder), progress.log)


def publish(study: Study, config: Config) -> Path:
    """Write `best.toml`, a config for `artdetect run --config`, and `trials.csv`, and show the best trials.

    Returns:
        The path of `best.toml`.
    """
    import pandas as pd

    pd.DataFrame([trial.row() for trial in study.trials]).to_csv(study.folder / library.TRIALS_FILE, index=False)
    best = study.folder / library.BEST_FILE
    best_config = config.model_copy(update={"train": study.config(study.ranking[0].settings)})
    comment = "".join(f"# {line}\n" for line in study.summary())
    best.write_text(comment + configs.dump(best_config), encoding="utf-8")
    create_table_artifact(
        [trial.row() for trial in study.ranking[:MAX_SHOWN]], key="tune", description="\n\n".join(study.summary())
    )
    return best
