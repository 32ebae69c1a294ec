"""TOML text of plain values, which the standard library reads and cannot write."""

import json
import re
from collections.abc import Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def dumps(values: Mapping[str, Any], under: tuple[str, ...] = ()) -> str:
    """Mappings, at any depth, of strings, booleans, numbers and lists of these; what is None is left out.

    Raises:
        TypeError: a value is something else.
    """
    tables = {name: value for name, value in values.items() if isinstance(value, Mapping)}
    lines = [
        f"{_key(name)} = {_value(values[name])}\n" for name in values if name not in tables and values[name] is not None
    ]
    for name, table in tables.items():
        path = (*under, name)
        lines += [f"\n[{'.'.join(map(_key, path))}]\n", dumps(table, path)]
    return "".join(lines)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _value(name)


def _value(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # the rest of JSON's is TOML's
        case int() | float():
            return repr(value)
        case list() | tuple():
            return f"[{', '.join(map(_value, value))}]"
    raise TypeError(f"TOML is written of strings, booleans, numbers and lists. Received: {value!r}")
