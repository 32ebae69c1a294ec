"""Tells AI-generated from human-made art, shows why, and retrains unattended.

    from artdetect import Detector

    detector = Detector.load()
    detector.predict("folder")

`__all__` has the public names, docs/how-to/python.md shows them. Each is loaded when it is first used, so that
importing the package costs nothing.
"""

import os
from typing import TYPE_CHECKING, Any

from artdetect.core.version import __version__

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # ONNX Runtime reports to Microsoft from its import on

if TYPE_CHECKING:
    from artdetect.api.detector import Detector, ExplainedVerdict
    from artdetect.api.evaluation import Evaluation
    from artdetect.api.pipeline import Pipeline, status
    from artdetect.core.errors import ArtdetectError
    from artdetect.evaluate.outside_classifier import OnnxClassifier
    from artdetect.explain.methods.xrai import XRAI
    from artdetect.model.predict import Verdict, find_model, find_pictures, predict

__all__ = [
    "XRAI",
    "ArtdetectError",
    "Detector",
    "Evaluation",
    "ExplainedVerdict",
    "OnnxClassifier",
    "Pipeline",
    "Verdict",
    "__version__",
    "find_model",
    "find_pictures",
    "predict",
    "status",
]


def __getattr__(name: str) -> Any:
    module: Any
    if name in ("Detector", "ExplainedVerdict"):
        from artdetect.api import detector as module
    elif name in ("Pipeline", "status"):
        from artdetect.api import pipeline as module
    elif name == "Evaluation":
        from artdetect.api import evaluation as module
    elif name == "OnnxClassifier":
        from artdetect.evaluate import outside_classifier as module
    elif name == "ArtdetectError":
        from artdetect.core import errors as module
    elif name == "XRAI":
        from artdetect.explain.methods import xrai as module
    elif name in __all__:
        from artdetect.model import predict as module
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
