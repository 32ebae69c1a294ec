"""The numbers that the service shows Prometheus: requests, pictures, queue, replaced processes. No picture or name."""

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from artdetect.web.guard import Message

if TYPE_CHECKING:
    from artdetect.model.predict import Verdict
    from artdetect.serve.decoding import DecodePool
    from artdetect.serve.intake import Intake

MEDIA_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class ServiceMetrics:
    """The metrics of one service.

    Args:
        paths: The paths that get a label of their own; others, which strangers make up, share one.
    """

    def __init__(self, paths: frozenset[str] = frozenset()):
        self.paths = paths
        self._registry = CollectorRegistry()
        self._requests = Counter("artdetect_serve_requests", "requests", ("path", "status"), registry=self._registry)
        self._seconds = Histogram(
            "artdetect_serve_request_seconds", "time of a request", ("path",), registry=self._registry, buckets=SECONDS
        )
        self._pictures = Counter(
            "artdetect_serve_pictures", "pictures by verdict; error: unreadable", ("verdict",), registry=self._registry
        )
        self._feedback = Counter("artdetect_serve_feedback", "verdicts called wrong", registry=self._registry)
        self._model = Info("artdetect_serve_model", "the model in use", registry=self._registry)

    def watch(self, intake: "Intake", pool: "DecodePool") -> None:
        """Show the state of the queue and of the decoding processes."""
        for name, description, value in (
            ("queue_pictures", "pictures that wait for an answer", lambda: intake.pictures),
            ("body_bytes", "memory of the bodies that have arrived or are arriving", lambda: intake.held),
            ("decoders_replaced", "decoding processes that a picture ended", lambda: pool.replaced),
        ):
            gauge = Gauge(f"artdetect_serve_{name}", description, registry=self._registry)
            gauge.set_function(value)

    def observe(self, scope: Message, status: int, seconds: float) -> None:
        """Count a request; see `edge.Edge`."""
        path = scope["path"] if scope["path"] in self.paths else "other"
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def count(self, verdict: "Verdict") -> None:
        """Count a picture."""
        self._pictures.labels(verdict.verdict or "error").inc()

    def count_feedback(self) -> None:
        """Count a verdict that somebody called wrong."""
        self._feedback.inc()

    def text(self, model: str) -> bytes:
        """The metrics in Prometheus's text format.

        Args:
            model: The id of the model in use.
        """
        self._model.info({"id": model})
        return generate_latest(self._registry)
