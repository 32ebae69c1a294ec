"""Tells AI-generated from human-made art, shows why, and retrains unattended.

    from artdetect import Detector

    detector = Detector.load()
    detector.predict("folder")

`__all__` has the public names, docs/python.md shows them. Each is loaded when it is first used, so that importing the
package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from artdetect.core.version import __version__

if TYPE_CHECKING:
    from artdetect.api.detector import Detector, ExplainedVerdict
    from artdetect.api.evaluation import Evaluation
    from artdetect.api.outside_models import OnnxClassifier
    from artdetect.api.pipeline import Pipeline, status
    from artdetect.core.errors import ArtdetectError
    from artdetect.explain.methods.xrai import XRAI
    from artdetect.model.predict import Verdict, find_model, find_pictures, predict

_MODULES = {
    "ArtdetectError": "artdetect.core.errors",
    "Detector": "artdetect.api.detector",
    "Evaluation": "artdetect.api.evaluation",
    "ExplainedVerdict": "artdetect.api.detector",
    "OnnxClassifier": "artdetect.api.outside_models",
    "Pipeline": "artdetect.api.pipeline",
    "Verdict": "artdetect.model.predict",
    "XRAI": "artdetect.explain.methods.xrai",
    "find_model": "artdetect.model.predict",
    "find_pictures": "artdetect.model.predict",
    "predict": "artdetect.model.predict",
    "status": "artdetect.api.pipeline",
}

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
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
