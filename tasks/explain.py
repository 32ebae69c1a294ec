"""explain as tasks: chosen test pictures as a stage, and any folder in chunks, here or on the workers of a cluster."""

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
from artdetect.explain.method_settings import METHODS
from artdetect.model import predict
from tasks.engine.caching import stage
from tasks.engine.dask_runner import results
from tasks.engine.progress import ProgressDisplay

CODE = "artdetect.explain.batch_job"  # the code that a worker runs

Row = dict[str, Any]


@stage
def explain(config: ExplainConfig, train: Artifact, evaluate: Artifact, raw: Artifact, out: Path) -> None:
    """Explain the verdicts on chosen test pictures."""
    with ProgressDisplay("explain") as progress:
        library.run(
            config,
            train.folder,
            evaluate.folder,
            download.folder(raw.folder),
            out,
            lambda done, total: progress.log(done, total, METHODS[config.method].label),
        )


@dataclass(frozen=True)
class WorkerJob:
    """What a worker of a cluster needs to take part in a job, over the same folders.

    Args:
        model: An artifact folder or a model file.
        digest: The digest of the model file, so that workers load a model again that was replaced.
        config: Method and settings.
        out: The folder to write to.
        environment: Name, and digest or version, of the code and packages that the worker must have.
    """

    model: Path
    digest: str
    config: ExplainConfig
    out: Path
    environment: tuple[tuple[str, str], ...]


def explained(
    job: ExplanationJob, model: Path, pictures: Sequence[PendingPicture], context: ComputeContext
) -> Iterator[tuple[int, list[Row]]]:
    """Explain pictures, one task per chunk, in this process or on a cluster.

    Args:
        job: The job that the pictures belong to.
        model: An artifact folder or a model file, from which workers load the model.
        pictures: The pictures to explain.
        context: Where to compute.

    Yields:
        For each chunk, in order, how many pictures are done by then, and the rows of its pictures that could not be
        read.
    """
    if context.config.engine == "dask":
        environment = tuple(dask_cluster.environment(CODE).items())
        sent: ExplanationJob | WorkerJob = WorkerJob(model, job.detector.digest, job.config, job.out, environment)
    else:
        sent = job
    done, parts = 0, list(chunks(pictures))
    firsts = accumulate(map(len, parts), initial=0)
    calls = ((sent, chunk, first, len(pictures)) for first, chunk in zip(firsts, parts, strict=False))
    for chunk, errors in zip(parts, results(explain_chunk, calls, context), strict=True):
        job.record_errors(errors)
        done += len(chunk)
        yield done, errors


@task(task_run_name="explain-{first}", cache_policy=NO_CACHE, persist_result=False)
def explain_chunk(
    job: ExplanationJob | WorkerJob, pictures: Sequence[PendingPicture], first: int, total: int
) -> list[Row]:
    """Explain a chunk of pictures.

    Args:
        job: The job that they belong to.
        pictures: The pictures.
        first: How many pictures of the job come before them.
        total: How many pictures the job has in all.

    Returns:
        The rows of the pictures that could not be read.
    """
    own_job = _worker_job(job) if isinstance(job, WorkerJob) else job
    errors = []
    with ProgressDisplay("explain") as progress:
        for done, row in enumerate(own_job.explain(pictures), first + 1):
            progress.log(done, total, METHODS[own_job.config.method].label)
            if row["error"]:
                errors.append(row)
    return errors


@lru_cache(maxsize=1)
def _worker_job(job: WorkerJob) -> ExplanationJob:
    """The job as a worker runs it. Its model is loaded and compiled once per process."""
    dask_cluster.check_environment(CODE, dict(job.environment))
    return ExplanationJob(predict.find_model(job.model), job.config, job.out)
