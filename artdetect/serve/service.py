"""What happens to a picture in the service: decoded in a process of its own, then judged by the model in use."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from artdetect.core.digests import bytes_digest
from artdetect.serve import wording
from artdetect.serve.decoding import Decoded, DecodePool
from artdetect.serve.feedback import FeedbackFolder
from artdetect.serve.intake import Intake
from artdetect.serve.metrics import ServiceMetrics

if TYPE_CHECKING:
    from artdetect.model.evidence import Evidence
    from artdetect.model.predict import Verdict
    from artdetect.serve.live_model import BatchingModel, LiveModel

Counted = Literal["always", "once", "never"]  # whether a verdict is counted and logged, see `Service.judge`
REMEMBERED = 10_000  # pictures, the newest of those that were counted


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
            "stands_out": self.verdict.standing_out[0] if self.verdict.standing_out else None,
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
        self._counted: OrderedDict[tuple[str, str], None] = OrderedDict()  # model and content

    async def judge(
        self,
        pictures: Sequence[tuple[str, bytes]],
        artwork: int = 0,
        counted: Counted = "always",
        evidence: bool = False,
    ) -> list[Judged]:
        """The verdicts on some pictures, in order.

        Args:
            pictures: Name and content of each.
            artwork: The longest side in pixels at which `Decoded.artwork` is wanted; 0 for none.
            counted: Whether the verdicts are counted and logged. "once" is for clients that may have asked for them
                before: not if the picture is one of the `REMEMBERED` last that were counted, with the same model.
            evidence: Whether the evidence for them is wanted.

        Raises:
            Refused: The queue has no place for them.
        """
        with self.intake.places(len(pictures)):
            model = await self.live.current()
            judged = (self._judge(model, *picture, artwork, counted, evidence) for picture in pictures)
            return list(await asyncio.gather(*judged))

    async def _judge(
        self, model: "BatchingModel", name: str, content: bytes, artwork: int, counted: Counted, evidence: bool
    ) -> Judged:
        detector = model.detector
        key = detector.digest, await asyncio.to_thread(bytes_digest, content)
        counts = counted == "always" or (counted == "once" and key not in self._counted)
        decoded = await self.pool.decode(content, detector.geometry, detector.native_crops, artwork)
        if isinstance(decoded, str):
            verdict, found = await model.verdict(name, f"{name}: {decoded}" if name else decoded, counts, evidence)
        else:
            verdict, found = await model.verdict(name, decoded.views, counts, evidence)
        if counts:
            self.metrics.count(verdict)
            self._remember(key)
        return Judged(verdict, model, None if isinstance(decoded, str) else decoded, found)

    def _remember(self, key: tuple[str, str]) -> None:
        self._counted[key] = None
        self._counted.move_to_end(key)
        if len(self._counted) > REMEMBERED:
            self._counted.popitem(last=False)
