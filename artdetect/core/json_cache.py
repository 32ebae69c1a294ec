"""A cache for JSON values that are expensive to compute, in data/cache/json, which may be deleted at any time.

A file holds a value and its digest. A value that does not match its digest is never used. `dumps` and `loads` write and
check this format.
"""

import json
import logging
from collections.abc import Callable
from typing import Any

from artdetect.core import atomic, digests, paths

FORMAT = 2  # part of every file's name: raise it when the format of the files changes

log = logging.getLogger(__name__)


def cached_json(name: str, key: Any, compute: Callable[[], Any]) -> Any:
    """The value of `compute()`, computed once per key. A damaged file is logged and made again.

    Args:
        name: The first part of the file's name.
        key: A JSON value that contains everything the result depends on.
        compute: Computes the result, a JSON value.
    """
    path = paths.cache() / "json" / f"{name}-{digests.value_digest([FORMAT, key])[:32]}.json"
    try:
        return loads(path.read_bytes())
    except FileNotFoundError:
        pass
    except (OSError, ValueError):
        log.warning("json cache %s: damaged, so it is made again", path)
    content = dumps(compute())
    atomic.write(path, content)
    return loads(content)


def dumps(value: Any) -> str:
    """A JSON value with its digest, as text."""
    text = json.dumps(value)
    return f'{{"digest": "{digests.value_digest(json.loads(text))}", "value": {text}}}'


def loads(content: bytes | str) -> Any:
    """The value in what `dumps` wrote; ValueError if it does not match its digest."""
    sealed = json.loads(content)
    if not isinstance(sealed, dict) or sealed.keys() != {"digest", "value"}:
        raise ValueError("there is no digest")
    if digests.value_digest(sealed["value"]) != sealed["digest"]:
        raise ValueError("the value differs from its digest")
    return sealed["value"]
