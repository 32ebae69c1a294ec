"""explain as a task: chosen test pictures as a stage, and any folder in chunks, here or on a cluster's workers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from artdetect import cluster, download, predict
from artdetect import explain as library
from artdetect.compute import Crew
from artdetect.explain import ExplainConfig
from artdetect.explain.folder import Batch, Picture, chunks
from artdetect.store import Artifact
from tasks.caching import stage
from tasks.progress import Progress
from tasks.workers import results

CODE = "artdetect.explain.folder"  # what a worker runs

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
class Order:
    """What a worker of a cluster needs to take part in a batch, over the same folders."""

    model: Path  # an artifact folder or a model file
    digest: str  # of the model file
    config: ExplainConfig
    out: Path
    made_of: tuple[tuple[str, str], ...]  # name, digest or version: the code and packages that it must have


def explained(batch: Batch, model: Path, pictures: Sequence[Picture], crew: Crew) -> Iterator[tuple[int, list[Row]]]:
    """Explain pictures, a task a chunk, in this process or on the crew's cluster.

    For each chunk, in order: how many pictures are done by then, and the rows of its pictures that could not be read.
    """
    if crew.config.engine == "dask":
        made_of = tuple(cluster.made_of(CODE).items())
        taking: Batch | Order = Order(model, batch.detector.digest, batch.config, batch.out, made_of)
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
def explain_chunk(batch: Batch | Order, pictures: Sequence[Picture], first: int, total: int) -> list[Row]:
    """Explain the pictures behind the `first` of `total`; the rows of those that could not be read."""
    here = _taking_part(batch) if isinstance(batch, Order) else batch
    errors = []
    with Progress("explain") as progress:
        for done, row in enumerate(here.explain(pictures), first + 1):
            progress.log(done, total, method(here.config))
            if row["error"]:
                errors.append(row)
    return errors


@lru_cache(maxsize=1)
def _taking_part(order: Order) -> Batch:
    """A worker's own view of a batch: its model is loaded once, and what it computes compiled once."""
    cluster.check(CODE, dict(order.made_of))
    return Batch(predict.find_model(order.model), order.config, order.out)


def method(config: ExplainConfig) -> str:
    """A method's name for people."""
    return config.method.upper() if config.method == "xrai" else config.method.replace("_", " ")
