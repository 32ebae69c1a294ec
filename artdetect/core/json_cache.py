"""Answers that cost much: kept as JSON in data/cache/answers, which may be deleted at any time."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from artdetect.core import atomic, digests, paths


def cached_json(name: str, recipe: Any, find: Callable[[], Any]) -> Any:
    """What `find` gives, JSON-able, computed once for a `recipe`: a JSON-able value that names all it depends on."""
    place = paths.cache() / "answers" / f"{name}-{digests.value_digest(recipe)[:32]}.json"
    with suppress(OSError, ValueError):  # ValueError: damaged
        return json.loads(place.read_text())
    found = find()
    atomic.write(place, json.dumps(found))
    return found
