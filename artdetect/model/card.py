"""The card in a model file: what the model is, read without a runtime."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from artdetect.artifacts import file_names
from artdetect.core import digests
from artdetect.core.errors import ModelError
from artdetect.model.decision import DecisionRule
from artdetect.pictures import labels
from artdetect.pictures.images import Geometry
from artdetect.pictures.native_crops import MAX_CROPS


def model_id(card: Mapping[str, Any], digest: str) -> str:
    """A model's short name: its card's `name`, by default its preset, and the first digits of its file's sha256."""
    return f"{card.get('name', card['preset'])}-{digest[:8]}"


def model_id_of(folder: Path) -> str:
    """The `model_id` of the model in an artifact folder; errors as for `read_card`."""
    file = folder / file_names.MODEL
    return model_id(read_card(file), digests.file_digest(file))


def is_demonstration(card: Mapping[str, Any]) -> bool:
    """Whether a model with this card was trained on a data set that is there for trying the software only."""
    return card.get("demonstration") is True


def read_card(path: Path) -> dict[str, Any]:
    """The card in a model file, read without TensorFlow.

    Raises:
        ModelError: It is not a model file of artdetect.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            card = json.loads(archive.read(file_names.CARD))
        Geometry(**card["geometry"])
        DecisionRule.from_dict(card.get("rule", {}))
        if not all(name.isprintable() for name in (card["preset"], card.get("name", ""), *card.get("families", ()))):
            raise ValueError("preset, name, families")
        if card.get("native_crops", 0) not in range(MAX_CROPS + 1):
            raise ValueError("native_crops")
    except Exception as error:  # a foreign or damaged zip fails in more ways than zipfile documents
        raise ModelError(
            f"{path}: not a model file of artdetect. Expected a .keras file made by `artdetect run`"
        ) from error
    if card.get("classes") != list(labels.CLASSES):
        raise ModelError(f"{path}: its classes are {card.get('classes')}, expected {list(labels.CLASSES)}")
    return card
