"""Keras's JSON without what differs from one writing of the same model to the next."""

import json
from typing import Any


def without_date(metadata: bytes) -> bytes:
    """An archive's metadata.json."""
    return json.dumps({name: value for name, value in json.loads(metadata).items() if name != "date_saved"}).encode()


def without_object_ids(config: bytes) -> bytes:
    """A model's config; objects that layers share are marked by their address in memory, here by their order."""
    seen: dict[int, int] = {}

    def numbered(values: dict[str, Any]) -> dict[str, Any]:
        if "shared_object_id" in values:
            values["shared_object_id"] = seen.setdefault(values["shared_object_id"], len(seen))
        return values

    return json.dumps(json.loads(config, object_hook=numbered)).encode()
