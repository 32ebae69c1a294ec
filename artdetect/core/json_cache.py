"""A cache for JSON values that are expensive to compute, in data/cache/json, which may be deleted at any time."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from artdetect.core import atomic, digests, paths


def cached_json(name: str, key: Any, compute: Callable[[], Any]) -> Any:
    """The value of `compute()`, computed once per key.

    Args:
        name: The first part of the file's name.
        key: A JSON value that contains everything the result depends on.
        compute: Computes the result, a JSON value.
    """
    path = paths.cache() / "json" / f"{name}-{digests.value_digest(key)[:32]}.json"
    with suppress(OSError, ValueError):  # ValueError: the file is damaged
        return json.loads(path.read_text())
    result = compute()
    atomic.write(path, json.dumps(result))
    return result
