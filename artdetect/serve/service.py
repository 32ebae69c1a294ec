"""What happens to a picture in the service: decoded in a process of its own, then judged by the model in use."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from artdetect.serve import wording
from artdetect.serve.decoding import Decoded, DecodePool
from artdetect.serve.feedback import FeedbackFolder
from artdetect.serve.intake import Intake
from artdetect.serve.metrics import ServiceMetrics

if TYPE_CHECKING:
    from artdetect.model.evidence import Evidence
    from artdetect.model.predict import Verdict
    from artdetect.serve.live_model import BatchingModel, LiveModel


@dataclass(frozen=True, eq=False)
class Judged:
    """A picture with its verdict.

    Args:
        verdict: Its row.
        model: The model that gave it.
        decoded: The decoded picture; None if it cannot be read.
        evidence: The evidence for the verdict, if it was asked for and the picture can be read.
    """

    verdict: "Verdict"
    model: "BatchingModel"
    decoded: Decoded | None
    evidence: "Evidence | None"

    def as_dict(self) -> dict[str, Any]:
        """An `answers.PictureAnswer` as JSON."""
        return self.verdict.as_dict() | {
            "headline": wording.headline(self.verdict),
            "explanation": wording.reason(self.verdict, self.model.detector.rule),
            "meaning": wording.meaning(self.verdict),
            "declared": self.decoded.declared if self.decoded else [],
        }


class Service:
    """The parts of the service, and what they do together.

    Args:
        live: The model that answers.
        max_bytes: The size of a body up to which it is accepted.
        feedback: Where verdicts that somebody calls wrong are kept; None to keep none.
    """

    def __init__(self, live: "LiveModel", max_bytes: int, feedback: FeedbackFolder | None = None):
        self.live = live
        self.feedback = feedback
        self.intake = Intake(max_bytes)
        self.pool = DecodePool()
        self.metrics = ServiceMetrics()
        self.metrics.watch(self.intake, self.pool)

    async def judge(
        self, pictures: Sequence[tuple[str, bytes]], artwork: int = 0, again: bool = False, evidence: bool = False
    ) -> list[Judged]:
        """The verdicts on some pictures, in order.

        Args:
            pictures: Name and content of each.
            artwork: The longest side in pixels at which `Decoded.artwork` is wanted; 0 for none.
            again: Whether the client has these verdicts already: they are neither counted nor logged.
            evidence: Whether the evidence for them is wanted.

        Raises:
            Refused: The queue has no place for them.
        """
        with self.intake.places(len(pictures)):
            model = await self.live.current()
            judged = (self._judge(model, *picture, artwork, again, evidence) for picture in pictures)
            return list(await asyncio.gather(*judged))

    async def _judge(
        self, model: "BatchingModel", name: str, content: bytes, artwork: int, again: bool, evidence: bool
    ) -> Judged:
        detector = model.detector
        decoded = await self.pool.decode(content, detector.geometry, detector.native_crops, artwork)
        if isinstance(decoded, str):
            verdict, found = await model.verdict(name, f"{name}: {decoded}" if name else decoded, again, evidence)
        else:
            verdict, found = await model.verdict(name, decoded.views, again, evidence)
        if not again:
            self.metrics.count(verdict)
        return Judged(verdict, model, None if isinstance(decoded, str) else decoded, found)
