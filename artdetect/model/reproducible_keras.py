"""Removes from Keras's JSON what differs each time the same model is saved."""

import json
from typing import Any


def without_date(metadata: bytes) -> bytes:
    """An archive's metadata.json without the date on which it was saved."""
    return json.dumps({name: value for name, value in json.loads(metadata).items() if name != "date_saved"}).encode()


def without_object_ids(config: bytes) -> bytes:
    """A model's config with its shared objects numbered by order, where Keras writes their memory addresses."""
    numbers: dict[int, int] = {}

    def renumbered(values: dict[str, Any]) -> dict[str, Any]:
        if "shared_object_id" in values:
            values["shared_object_id"] = numbers.setdefault(values["shared_object_id"], len(numbers))
        return values

    return json.dumps(json.loads(config, object_hook=renumbered)).encode()
