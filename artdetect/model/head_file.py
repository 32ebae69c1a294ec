"""Head files: an artnet model without its backbone, whose weights come with a package that artdetect depends on.

A head file is a zip like a `.keras` file, with the same card, but in place of the net it holds the arrays of the layers
that training added: `<layer>.kernel.npy` and `<layer>.bias.npy`; and the model's ONNX graphs, which leave these arrays
and the backbone's weights out. It is small, and has no row of any picture. This module reads it without Keras.

A kernel in float16 is stored in units of the largest weight of each input: `<layer>.scale.npy` [inputs]. So it keeps 11
bits of the weights that matter, whatever the scale of a feature.
"""

import hashlib
import io
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from artdetect.core.errors import ModelError
from artdetect.model.backbones import efficientnet_lite

if TYPE_CHECKING:
    import numpy as np

Precision = Literal["float32", "float16"]
ARRAY, EXTRA, SCALE, KERNEL = ".npy", "extra.", ".scale", ".kernel"
EPOCH = (1980, 1, 1, 0, 0, 0)  # earliest date of the zip format: keeps the clock out of the bytes


def is_head_file(path: Path) -> bool:
    """Whether the zip file `path` is a head file."""
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith(ARRAY) for name in archive.namelist())


def head_arrays(path: Path) -> "dict[str, np.ndarray]":
    """Kernels and biases of the layers that training added, float32, by name."""
    return with_scales({name: array for name, array in _arrays(path).items() if not name.startswith(EXTRA)})


def with_scales(arrays: "Mapping[str, np.ndarray]") -> "dict[str, np.ndarray]":
    """The arrays of a file as float32, each kernel multiplied by its scale."""
    import numpy as np

    scales = {name: array for name, array in arrays.items() if name.endswith(SCALE)}
    found = {name: np.asarray(array, np.float32) for name, array in arrays.items() if name not in scales}
    for name, scale in scales.items():
        found[name.removesuffix(SCALE) + KERNEL] *= scale[:, None]
    return found


def extra_arrays(path: Path) -> "dict[str, np.ndarray]":
    """The further arrays of a head file, by name."""
    return {name.removeprefix(EXTRA): array for name, array in _arrays(path).items() if name.startswith(EXTRA)}


def tensors(path: Path, card: Mapping[str, Any], names: Iterable[str]) -> "dict[str, np.ndarray]":
    """Tensors that the ONNX graphs of a head file leave out, by name: the head's from the file, others of the backbone.

    Args:
        path: The file.
        card: Its card.
        names: Their names.

    Raises:
        ModelError: The head is damaged, or the installed backbone is not the one that it was trained on.
    """
    head, expected = head_arrays(path), card["net"]["tensors"]
    if any(name not in head or digest(head[name]) != its for name, its in expected["head"].items()):
        raise ModelError(f"{path}: the arrays of its head are damaged. Restore the file, or train a model")
    backbone = efficientnet_lite.tensors(card["net"]["backbone"], [name for name in names if name not in head])
    if any(digest(array) != expected["backbone"].get(name) for name, array in backbone.items()):
        raise other_backbone(path, card)
    return {name: array for name, array in {**head, **backbone}.items() if name in names}


def other_backbone(path: Path, card: Mapping[str, Any]) -> ModelError:
    """The error of a head file that needs another backbone than the installed one."""
    return ModelError(
        f"{path}: it was trained on another version of the backbone {card['net']['backbone']} than the installed one. "
        "Install the versions in constraints.txt, or train a model with `artdetect run`"
    )


def digest(*arrays: "np.ndarray") -> str:
    """The sha256 of the numbers in arrays."""
    import numpy as np

    found = hashlib.sha256()
    for array in arrays:
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def _arrays(path: Path) -> "dict[str, np.ndarray]":
    import numpy as np

    with zipfile.ZipFile(path) as archive:
        return {
            name.removesuffix(ARRAY): np.load(io.BytesIO(archive.read(name)), allow_pickle=False)
            for name in archive.namelist()
            if name.endswith(ARRAY)
        }
