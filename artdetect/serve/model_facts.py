"""What is known about the model in use, for the page: where it is trusted, and its card."""

import json
from typing import TYPE_CHECKING, Any

from artdetect.artifacts import file_names, lineage, store
from artdetect.core.errors import ArtdetectError
from artdetect.formatting import other_art

if TYPE_CHECKING:
    from artdetect.serve.live_model import BatchingModel


def limits(model: "BatchingModel") -> list[str]:
    """What is known about its verdicts on art from other sources, as sentences; none if that was not recorded."""
    try:
        return other_art.sentences(_metrics(model))
    except (OSError, ValueError, KeyError, TypeError):  # a record of another version
        return []


def _metrics(model: "BatchingModel") -> dict[str, Any]:
    if model.role == "starter":
        return json.loads(model.path.with_name(file_names.RECORD).read_bytes())
    return json.loads((model.path / file_names.METRICS).read_bytes())


def card(model: "BatchingModel") -> str | None:
    """The model card as Markdown, of the starter or from the newest report on the model; None if there is none."""
    try:
        if model.role == "starter":
            return model.path.with_name(file_names.MODEL_CARD).read_text(encoding="utf-8")
        made_from = lineage.read()
        for report in reversed(store.stored("report")):
            trained = made_from.ancestors(report).get("train")
            if trained and trained.key == model.train:
                return (report.folder / file_names.MODEL_CARD).read_text(encoding="utf-8")
    except (OSError, ValueError, ArtdetectError):
        return None
    return None
