"""explain as a task: chosen test pictures as a stage, and any folder in chunks, here or on a cluster's workers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from artdetect import download
from artdetect import explain as library
from artdetect.artifacts.store import Artifact
from artdetect.compute import ComputeContext, dask_cluster
from artdetect.explain.batch_job import ExplanationJob, PendingPicture, chunks
from artdetect.explain.config import ExplainConfig
from artdetect.model import predict
from tasks.engine.caching import stage
from tasks.engine.dask_runner import results
from tasks.engine.progress import Progress

CODE = "artdetect.explain.batch_job"  # what a worker runs

Row = dict[str, Any]


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


@dataclass(frozen=True)
class WorkerJob:
    """What a worker of a cluster needs to take part in a batch, over the same folders."""

    model: Path  # an artifact folder or a model file
    digest: str  # of the model file
    config: ExplainConfig
    out: Path
    made_of: tuple[tuple[str, str], ...]  # name, digest or version: the code and packages that it must have


def explained(
    batch: ExplanationJob, model: Path, pictures: Sequence[PendingPicture], crew: ComputeContext
) -> Iterator[tuple[int, list[Row]]]:
    """Explain pictures, a task a chunk, in this process or on the crew's cluster.

    For each chunk, in order: how many pictures are done by then, and the rows of its pictures that could not be read.
    """
    if crew.config.engine == "dask":
        made_of = tuple(dask_cluster.environment(CODE).items())
        taking: ExplanationJob | WorkerJob = WorkerJob(model, batch.detector.digest, batch.config, batch.out, made_of)
    else:
        taking = batch
    done, parts = 0, list(chunks(pictures))
    firsts = accumulate(map(len, parts), initial=0)
    calls = ((taking, chunk, first, len(pictures)) for first, chunk in zip(firsts, parts, strict=False))
    for chunk, errors in zip(parts, results(explain_chunk, calls, crew), strict=True):
        batch.heed(errors)
        done += len(chunk)
        yield done, errors


@task(task_run_name="explain-{first}", cache_policy=NO_CACHE, persist_result=False)
def explain_chunk(
    batch: ExplanationJob | WorkerJob, pictures: Sequence[PendingPicture], first: int, total: int
) -> list[Row]:
    """Explain the pictures behind the `first` of `total`; the rows of those that could not be read."""
    here = _taking_part(batch) if isinstance(batch, WorkerJob) else batch
    errors = []
    with Progress("explain") as progress:
        for done, row in enumerate(here.explain(pictures), first + 1):
            progress.log(done, total, method(here.config))
            if row["error"]:
                errors.append(row)
    return errors


@lru_cache(maxsize=1)
def _taking_part(order: WorkerJob) -> ExplanationJob:
    """A worker's own view of a batch: its model is loaded once, and what it computes compiled once."""
    dask_cluster.check_environment(CODE, dict(order.made_of))
    return ExplanationJob(predict.find_model(order.model), order.config, order.out)


def method(config: ExplainConfig) -> str:
    """A method's name for people."""
    return config.method.upper() if config.method == "xrai" else config.method.replace("_", " ")
