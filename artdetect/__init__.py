"""Tells AI-generated from human-made art, shows why, and retrains unattended.

    from artdetect import find_model, find_pictures, predict

    for verdict in predict(find_model(), find_pictures([folder])):
        print(verdict.path, verdict.verdict, verdict.p_ai)

`__all__` has the public names. Each is loaded when it is first used, so that importing the package costs nothing.
"""

from typing import TYPE_CHECKING, Any

from artdetect.core.version import __version__

if TYPE_CHECKING:
    from artdetect.core.errors import ArtdetectError
    from artdetect.explain.methods.xrai import XRAI
    from artdetect.model.detector import Detector
    from artdetect.model.predict import Verdict, find_model, find_pictures, predict

__all__ = ["XRAI", "ArtdetectError", "Detector", "Verdict", "__version__", "find_model", "find_pictures", "predict"]


def __getattr__(name: str) -> Any:
    if name == "ArtdetectError":
        from artdetect.core import errors as module
    elif name == "XRAI":
        from artdetect.explain.methods import xrai as module  # type: ignore[no-redef]
    elif name == "Detector":
        from artdetect.model import detector as module  # type: ignore[no-redef]
    elif name in __all__:
        from artdetect.model import predict as module  # type: ignore[no-redef]
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
