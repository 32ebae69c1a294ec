"""The model that a service answers with: the one that `artdetect predict` uses, also after a promotion."""

import asyncio
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from artdetect import compute
from artdetect.artifacts import registry
from artdetect.core import paths
from artdetect.core.errors import ArtdetectError
from artdetect.formatting.text import printable
from artdetect.model import choice, predict
from artdetect.model.choice import Choice, Role
from artdetect.model.detector import Detector
from artdetect.model.predict import Verdict
from artdetect.pictures.picture_views import PictureViews
from artdetect.usage.log import UsageLog

if TYPE_CHECKING:
    from artdetect.model.evidence import Evidence

BATCH = 64  # pictures that one call of the model judges at most
RETRY_SECONDS = 60.0  # until a model that could not be loaded is tried again

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Waiting:
    name: str
    loaded: PictureViews | str
    logged: bool
    evidence: bool  # whether it is wanted, too
    answer: "asyncio.Future[tuple[Verdict, Evidence | None]]"


class BatchingModel:
    """A loaded model with a queue of pictures.

    ONNX Runtime uses one thread a pass, so as many requests have their turn at a time as there are processors;
    TensorFlow uses all processors for a batch, so one has. Whichever request gets its turn answers its share of all
    that are waiting.

    Args:
        detector: The model.
        train: Key of the model's artifact; None for a model that was named by its path.
        since: When the model became the champion; None if it is not the champion.
        path: Its artifact folder or model file.
        role: Why this model answers, one of `choice.ROLES`.
        batch: How many pictures one call of the model judges at most.
    """

    def __init__(
        self,
        detector: Detector,
        train: str | None,
        since: str | None,
        path: Path,
        role: Role = "named",
        batch: int = BATCH,
    ):
        import numpy as np

        self.detector = detector
        self.path = path
        self._batch = batch
        self.train = train
        self.since = since
        self.role = role
        size = detector.geometry.size
        detector.scores(np.zeros((1, size, size, 3), np.uint8))  # compiles the model, and fails on damaged weights
        self.usage: UsageLog | None = None  # where its verdicts are logged
        self._waiting: list[_Waiting] = []
        self._turns = compute.processors() if detector.runtime.name == "onnxruntime" else 1
        self._turn = asyncio.Semaphore(self._turns)

    def introduction(self) -> list[str]:
        """What a person must know of it, a line each without control characters."""
        return [printable(line) for line in choice.introduction(self.detector, self.role, self.train)]

    async def verdict(
        self, name: str, loaded: PictureViews | str, logged: bool = True, evidence: bool = False
    ) -> "tuple[Verdict, Evidence | None]":
        """The verdict on a picture, and if it is wanted the evidence for it, from the same pass of the model.

        Args:
            name: The picture's name, which the row repeats.
            loaded: What the model judges of the picture, or why it cannot be read.
            logged: Whether the verdict is logged, if there is a log.
            evidence: Whether the evidence is wanted; a picture that cannot be read has none.
        """
        own = _Waiting(name, loaded, logged, evidence, asyncio.get_running_loop().create_future())
        self._waiting.append(own)
        async with self._turn:
            while own in self._waiting:
                await self._answer_some()
        return await asyncio.shield(own.answer)  # another request sets it

    async def _answer_some(self) -> None:
        """Answer a share of the pictures that want what the first one wants: evidence takes longer than a verdict."""
        alike = [one for one in self._waiting if one.evidence == self._waiting[0].evidence]
        batch = alike[: min(self._batch, math.ceil(len(alike) / self._turns))]
        self._waiting = [one for one in self._waiting if one not in batch]
        try:
            answers = await asyncio.to_thread(self._answers, batch)
        except BaseException as error:  # no request may wait forever
            for one in batch:
                one.answer.set_exception(error)
        else:
            for one, answer in zip(batch, answers, strict=True):
                one.answer.set_result(answer)
            self._log([row for one, (row, _) in zip(batch, answers, strict=True) if one.logged])

    def _answers(self, batch: Sequence[_Waiting]) -> "list[tuple[Verdict, Evidence | None]]":
        """The verdicts on pictures that all want evidence, or all want none."""
        pictures = [(one.name, one.loaded) for one in batch]
        if batch[0].evidence:
            return list(predict.verdicts_with_evidence(self.detector, pictures))
        return [(row, None) for row in predict.verdicts(self.detector, pictures)]

    def _log(self, rows: Sequence[Verdict]) -> None:
        if self.usage is None:
            return
        try:
            for row in rows:
                self.usage.add(row)
        except (ArtdetectError, OSError) as error:  # a full disk keeps nobody from an answer
            log.error("the log of verdicts: %s", error)


class LiveModel:
    """The model in use. Loads it at once, and raises what `predict.find_model` raises.

    If a later champion cannot be loaded, the reason is logged and stored in `fault`, and the model stays in use.

    Args:
        path: What `choice.choose` takes; if left out, the model that it chooses by default at any time.
        usage: Where verdicts are logged, if they are.
        batch: How many pictures one call of the model judges at most.
    """

    def __init__(self, path: Path | None = None, usage: UsageLog | None = None, batch: int = BATCH):
        self._path = path
        self._usage = usage
        self._batch = batch
        self._state = _alias_state()
        self._loading = asyncio.Lock()
        self._retry = 0.0
        self.fault: str | None = None
        self.model = _model(choice.choose(path), None, batch) if path else _default_model(batch)
        self.model.usage = usage

    async def current(self) -> BatchingModel:
        """The model for a request that arrives now."""
        if self._due():
            async with self._loading:
                if self._due():
                    await asyncio.to_thread(self._load)
        return self.model

    def _due(self) -> bool:
        if self._path:
            return False
        return self._state != _alias_state() or (self.fault is not None and time.monotonic() > self._retry)

    def _load(self) -> None:
        state, before, fault = _alias_state(), self.model, None
        try:
            self.model = _default_model(self._batch, before)
            self.model.usage = self._usage
        except Exception as error:  # whatever it is, the earlier model still answers
            fault, self._retry = str(error) or type(error).__name__, time.monotonic() + RETRY_SECONDS
            if fault != self.fault:
                log.error("still serving %s: %s", before.detector.id, fault)
        self.fault, self._state = fault, state  # last, so that requests that arrive meanwhile wait
        if self.model is not before:
            for line in self.model.introduction():
                log.info("from now on %s", line)


def _default_model(batch: int, before: BatchingModel | None = None) -> BatchingModel:
    """The model that `artdetect predict` would use; it is loaded unless it is the same as `before`."""
    chosen, champion = choice.choose(), registry.champion()
    since = champion.at if champion and champion.train == chosen.key else None
    if before and before.train == chosen.key:
        before.since, before.role = since, chosen.role
        return before
    return _model(chosen, since, batch)


def _model(chosen: Choice, since: str | None, batch: int) -> BatchingModel:
    return BatchingModel(Detector.load(chosen.path), chosen.key, since, chosen.path, chosen.role, batch)


def _alias_state() -> tuple[int, ...] | None:
    """A value that changes whenever another model may be the one to use. It costs one or two calls of stat.

    It is the state of the champion's file, or before the first promotion that of the folder of trained models.
    """
    for path in (registry.alias_file(), paths.artifacts() / "train"):
        try:
            state = path.stat()
        except OSError:  # loading the model will report it
            continue
        return state.st_ino, state.st_mtime_ns, state.st_size
    return None
