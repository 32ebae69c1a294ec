"""Which model a service answers with: what `artdetect predict` would use, looked up again when the champion moves."""

import asyncio
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from artdetect.artifacts import registry
from artdetect.core import paths
from artdetect.model import predict
from artdetect.model.predict import Verdict

if TYPE_CHECKING:
    import numpy as np

    from artdetect.model.detector import Detector

RETRY = 60.0  # seconds until a model that could not be loaded is tried again

log = logging.getLogger(__name__)


class BatchingModel:
    """A loaded model, and the pictures that wait for it.

    Whoever gets a turn takes all that wait along: a forward pass costs one picture what it costs a batch.
    """

    def __init__(self, detector: "Detector", train: str | None, since: str | None):
        import numpy as np

        self.detector = detector
        self.train = train  # key of its artifact; None for a model that was named by its path
        self.since = since  # when it became the champion; None where it is not
        size = detector.geometry.size
        detector.scores(np.zeros((1, size, size, 3), np.uint8))  # compiles it, and finds damaged weights
        self._waiting: list[tuple[str, np.ndarray | str, asyncio.Future[Verdict]]] = []
        self._turn = asyncio.Lock()

    async def verdict(self, name: str, loaded: "np.ndarray | str") -> Verdict:
        """The row of a picture from its canonical pixels, or from why there are none."""
        answer: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self._waiting.append((name, loaded, answer))
        async with self._turn:
            if not answer.done():
                await self._answer_all()
        return answer.result()

    async def _answer_all(self) -> None:
        taken, self._waiting = self._waiting, []
        pictures = [(name, loaded) for name, loaded, _ in taken]
        try:
            rows = await asyncio.to_thread(lambda: list(predict.verdicts(self.detector, pictures)))
        except BaseException as error:  # nobody may wait for ever
            for _, _, answer in taken:
                answer.set_exception(error)
        else:
            for (_, _, answer), row in zip(taken, rows, strict=True):
                answer.set_result(row)


class LiveModel:
    """The model in use: the one at `path`; if left out, the one that `predict.default_model` chooses at any time.

    Making one loads the model and raises what `predict.find_model` raises. Later on a model that cannot be loaded is
    logged and stands in `fault`, and the one before stays in use.
    """

    def __init__(self, path: Path | None = None):
        self._path = path
        self._seen = _seen()
        self._loading = asyncio.Lock()
        self._retry = 0.0
        self.fault: str | None = None
        self.judge = BatchingModel(predict.find_model(path), None, None) if path else _judge()

    async def now(self) -> BatchingModel:
        """The model to answer a request with that comes now."""
        if self._due():
            async with self._loading:
                if self._due():
                    await asyncio.to_thread(self._load)
        return self.judge

    def _due(self) -> bool:
        if self._path:
            return False
        return self._seen != _seen() or (self.fault is not None and time.monotonic() > self._retry)

    def _load(self) -> None:
        seen, before, fault = _seen(), self.judge, None
        try:
            self.judge = _judge(before)
        except Exception as error:  # whatever it is, the model before still answers
            fault, self._retry = str(error) or type(error).__name__, time.monotonic() + RETRY
            if fault != self.fault:
                log.error("still answering with %s: %s", before.detector.id, fault)
        self.fault, self._seen = fault, seen  # last: who comes meanwhile waits
        if self.judge is not before:
            log.info("answering with %s, train/%s, from now on", self.judge.detector.id, self.judge.train)


def _judge(before: BatchingModel | None = None) -> BatchingModel:
    """The model that `artdetect predict` would use; its net is loaded unless `before` has it."""
    folder, champion = predict.default_model(), registry.champion()
    since = champion.at if champion and champion.train == folder.name else None
    if before and before.train == folder.name:
        before.since = since
        return before
    return BatchingModel(predict.find_model(folder), folder.name, since)


def _seen() -> tuple[int, ...] | None:
    """Differs whenever another model may be the one to use; costs a look at one or two directory entries.

    Of the alias; where nothing was promoted, of the folder of trained models.
    """
    for place in (registry.alias_file(), paths.artifacts() / "train"):
        try:
            state = place.stat()
        except OSError:  # what it means, loading says
            continue
        return state.st_ino, state.st_mtime_ns, state.st_size
    return None
