"""explain as a task: chosen test pictures as a stage, and any folder in chunks."""

from collections.abc import Sequence
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from artdetect import download
from artdetect import explain as library
from artdetect.explain import ExplainConfig
from artdetect.explain.folder import Batch, Picture
from artdetect.store import Artifact
from tasks.caching import stage
from tasks.progress import Progress


@stage
def explain(config: ExplainConfig, train: Artifact, evaluate: Artifact, raw: Artifact, out: Path) -> None:
    """Which regions spoke for the verdict, for chosen test pictures."""
    with Progress("explain") as progress:
        library.run(
            config,
            train.folder,
            evaluate.folder,
            download.folder(raw.folder),
            out,
            lambda done, total: progress.log(done, total, method(config)),
        )


@task(task_run_name="explain-{first}", cache_policy=NO_CACHE, persist_result=False, tags=["artdetect"])
def explain_chunk(batch: Batch, pictures: Sequence[Picture], first: int, total: int) -> list[str]:
    """Explain the pictures behind the `first` of `total`; the errors of those that could not be read."""
    errors = []
    with Progress("explain") as progress:
        for done, row in enumerate(batch.explain(pictures), first + 1):
            progress.log(done, total, method(batch.config))
            if row["error"]:
                errors.append(row["error"])
    return errors


def method(config: ExplainConfig) -> str:
    """A method's name for people."""
    return config.method.upper() if config.method == "xrai" else config.method.replace("_", " ")
