"""Reads a PyTorch state dict in the format from before 2020, without PyTorch and without running code from the file.

The file holds five pickles (magic number, protocol, system information, tensor shapes, storage keys), followed by the
numbers of each storage. Only the few names that a state dict needs can be unpickled, and none of their code runs.
"""

import math
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from artdetect.core.errors import ModelError

_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}
_COUNT = np.dtype("<i8")
_ERRORS = (  # what pickle and numpy raise on a foreign or damaged file
    pickle.UnpicklingError, EOFError, AttributeError, LookupError, TypeError, ValueError, OverflowError, MemoryError,
)  # fmt: skip


def read(path: Path) -> dict[str, np.ndarray]:
    """Read a state dict: its arrays, float32 or int64, by name.

    Raises:
        ModelError: The file is no such state dict, or it names something that a state dict does not need.
    """
    try:
        with path.open("rb") as file:
            return _read(file)
    except _ERRORS as error:
        raise ModelError(f"{path}: this is not a state dict in PyTorch's old format ({error})") from error


def _read(file: BinaryIO) -> dict[str, np.ndarray]:
    magic, _, _, (tensors, storages), keys = (_Unpickler(file).result() for _ in range(5))
    if magic != _MAGIC:
        raise ValueError(f"it begins with {magic!r}")
    data = {}
    for key in keys:
        dtype, numbers = storages[key]
        (count,) = np.frombuffer(file.read(_COUNT.itemsize), _COUNT)
        if count != numbers:
            raise ValueError(f"a storage holds {count} numbers, expected {numbers}")
        data[key] = np.frombuffer(file.read(numbers * dtype.itemsize), dtype, numbers)
    return {name: _array(data[key], offset, shape, stride) for name, (key, offset, shape, stride) in tensors.items()}


def _array(storage: np.ndarray, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> np.ndarray:
    """The tensor at `offset` of a storage. `strides` count numbers, not bytes."""
    numbers = math.prod(shape)
    span = 1 + sum((side - 1) * stride for side, stride in zip(shape, strides, strict=True)) if numbers else 0
    if min(offset, *shape, *strides, 0) < 0 or max(offset + span, numbers) > len(storage):
        raise ValueError(f"a tensor of shape {shape} exceeds its storage of {len(storage)} numbers")
    steps = [stride * storage.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, steps, writeable=False).copy()


class _Unpickler(pickle.Unpickler):
    """Unpickles tensors as (storage key, offset, shape, strides)."""

    def __init__(self, file: BinaryIO):
        super().__init__(file)
        self._storages: dict[str, tuple[np.dtype, int]] = {}

    def result(self) -> Any:
        value = self.load()
        return (value, self._storages) if isinstance(value, dict) and self._storages else value

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda key, offset, shape, stride, *_: (key, offset, shape, stride)
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise pickle.UnpicklingError(f"{module}.{name} does not belong in a state dict")

    def persistent_load(self, pid: Any) -> str:
        kind, dtype, key, _, numbers, _ = pid
        if kind != "storage":
            raise pickle.UnpicklingError(f"{kind!r} does not belong in a state dict")
        self._storages[key] = dtype, numbers
        return key
