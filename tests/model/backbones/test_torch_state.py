"""PyTorch's old format, written here as PyTorch writes it, and files that are something else or malicious."""

import os
import pickle
import re
import sys
import zipfile
from collections import Counter, OrderedDict
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from artdetect.core.errors import ModelError
from artdetect.model.backbones import torch_state

MAGIC = 0x1950A86A20F9469CFC6C


@dataclass(frozen=True, eq=False)
class Storage:
    key: str
    numbers: np.ndarray


@dataclass(frozen=True)
class Tensor:
    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]  # in numbers


@dataclass(frozen=True)
class Call:
    """Unpickles to `function(*arguments)`."""

    function: object
    arguments: tuple

    def __reduce__(self):
        return self.function, self.arguments


@pytest.fixture(autouse=True)
def torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """As much of PyTorch as pickle needs to write its names."""
    modules = {name: ModuleType(name) for name in ("torch", "torch._utils")}
    for module, name in (
        ("torch", "FloatStorage"),
        ("torch", "LongStorage"),
        ("torch", "HalfStorage"),
        ("torch._utils", "_rebuild_tensor_v2"),
        ("torch._utils", "_rebuild_parameter"),
    ):
        setattr(modules[module], name, type(name, (), {"__module__": module}))
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)


class Pickler(pickle.Pickler):
    def persistent_id(self, value):
        if not isinstance(value, Storage):
            return None
        kind = {"f4": "FloatStorage", "i8": "LongStorage", "f2": "HalfStorage"}[value.numbers.dtype.str[1:]]
        return "storage", getattr(sys.modules["torch"], kind), value.key, "cpu", len(value.numbers), None

    def reducer_override(self, value):
        if not isinstance(value, Tensor):
            return NotImplemented
        rest = (value.offset, value.shape, value.strides, False, OrderedDict())
        return sys.modules["torch._utils"]._rebuild_tensor_v2, (value.storage, *rest)


def write(path: Path, state: object, storages: list[Storage], magic: object = MAGIC) -> Path:
    facts = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    with path.open("wb") as file:
        for value in (magic, 1001, facts):
            pickle.dump(value, file, protocol=2)
        Pickler(file, protocol=2).dump(state)
        pickle.dump([storage.key for storage in storages], file, protocol=2)
        for storage in storages:
            file.write(len(storage.numbers).to_bytes(8, "little") + storage.numbers.tobytes())
    return path


def stored(key: str, array: np.ndarray) -> tuple[Tensor, Storage]:
    """A tensor with the array's own strides, in the memory that it is a view of."""
    base = array if array.base is None else array.base
    storage = Storage(key, base.reshape(-1))
    offset = (array.ctypes.data - base.ctypes.data) // array.itemsize
    return Tensor(storage, offset, array.shape, tuple(step // array.itemsize for step in array.strides)), storage


def counting(*shape: int, dtype: str = "<f4") -> np.ndarray:
    return np.array(range(int(np.prod(shape))), dtype).reshape(shape).copy()


def small(path: Path) -> Path:
    tensor, storage = stored("0", counting(2, 3))
    return write(path, OrderedDict(weight=tensor), [storage])


# --- reading ---


@pytest.mark.parametrize(
    "array",
    [
        counting(5),
        counting(2, 3, 4, 5),
        counting(1),
        counting(),
        counting(7, dtype="<i8"),
        counting(4, 6).T,
        counting(2, 3, 4, 5).transpose(2, 3, 1, 0),
        counting(8, 9)[2:7:2, 1::3],
        counting(6)[3],
    ],
    ids=lambda array: f"{array.dtype}{array.shape}{array.strides}",
)
def test_an_array_comes_back_as_it_was_written(array: np.ndarray, tmp_path: Path) -> None:
    tensor, storage = stored("94", np.asarray(array))
    read = torch_state.read(write(tmp_path / "state.pth", OrderedDict(x=tensor), [storage]))["x"]
    np.testing.assert_array_equal(read, array)
    assert read.dtype == array.dtype
    assert read.flags.writeable


@pytest.mark.parametrize(("shape", "strides"), [((0,), (1,)), ((3, 0), (1, 1)), ((0, 3), (3, 1))])
def test_a_tensor_without_numbers_comes_back(shape: tuple, strides: tuple, tmp_path: Path) -> None:
    storage = Storage("0", counting(0))
    path = write(tmp_path / "state.pth", OrderedDict(x=Tensor(storage, 0, shape, strides)), [storage])
    assert torch_state.read(path)["x"].shape == shape


def test_names_and_their_order_stay_and_tensors_may_share_a_storage(tmp_path: Path) -> None:
    whole = counting(4, 5)
    first, storage = stored("0", whole)
    second = Tensor(storage, 5, (2, 5), (5, 1))
    third, other = stored("1", counting(2, dtype="<i8"))
    state = OrderedDict([("b.weight", first), ("a.bias", second), ("steps", third)])
    read = torch_state.read(write(tmp_path / "state.pth", state, [other, storage]))
    assert list(read) == ["b.weight", "a.bias", "steps"]
    np.testing.assert_array_equal(read["a.bias"], whole[1:3])
    np.testing.assert_array_equal(read["steps"], [0, 1])
    read["b.weight"][:] = -1
    assert (read["a.bias"] >= 0).all()


# --- refusals ---


@pytest.mark.parametrize("module", ["os", "posix", "builtins", "subprocess", "torch._utils", "torch", "collections"])
def test_nothing_else_that_a_pickle_names_is_called(module: str, tmp_path: Path) -> None:
    """Neither in the state nor in the first pickle, which is read before any check."""
    target = tmp_path / "touched"
    harmful = {
        "os": Call(os.system, (f"touch {target}",)),
        "posix": Call(os.mkdir, (str(target),)),
        "builtins": Call(eval, (f"open({str(target)!r}, 'w')",)),
        "subprocess": Call(__import__("subprocess").check_call, (["touch", str(target)],)),
        "torch._utils": Call(sys.modules["torch._utils"]._rebuild_parameter, ()),
        "torch": Call(sys.modules["torch"].HalfStorage, ()),
        "collections": Call(Counter, ()),
    }[module]
    tensor, storage = stored("0", counting(3))
    for number, path in enumerate(
        (
            write(tmp_path / "state.pth", OrderedDict(x=tensor, y=harmful), [storage]),
            write(tmp_path / "first.pth", OrderedDict(x=tensor), [storage], magic=harmful),
        )
    ):
        with pytest.raises(ModelError, match=r"does not belong in a state dict") as error:
            torch_state.read(path)
        assert "\n" not in str(error.value), number
    assert not target.exists()


def test_the_malicious_pickles_do_run_code(tmp_path: Path) -> None:
    """What the test above refuses runs where it is not refused."""
    pickle.loads(pickle.dumps(Call(os.mkdir, (str(tmp_path / "touched"),))))
    assert (tmp_path / "touched").exists()


def test_numbers_of_another_kind_are_refused(tmp_path: Path) -> None:
    tensor, storage = stored("0", counting(3, dtype="<f2"))
    with pytest.raises(ModelError, match=r"torch\.HalfStorage does not belong in a state dict"):
        torch_state.read(write(tmp_path / "state.pth", OrderedDict(x=tensor), [storage]))


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (0, (13,), (1,)),
        (1, (12,), (1,)),
        (0, (3, 4), (5, 1)),
        (12, (), ()),
        (-1, (2,), (1,)),
        (11, (2,), (-1,)),
        (0, (-1,), (1,)),
        (0, (3, 4), (1,)),
        (0, (2**61, 2**61), (1, 1)),
        (0, (2**40,), (0,)),
        (2**70, (1,), (1,)),
        (0, ("3",), (1,)),
        (0.0, (3,), (1,)),
    ],
)
def test_a_tensor_that_exceeds_its_storage_is_refused(offset, shape, strides, tmp_path: Path) -> None:
    storage = Storage("0", counting(12))
    path = write(tmp_path / "state.pth", OrderedDict(x=Tensor(storage, offset, shape, strides)), [storage])
    with pytest.raises(ModelError, match="not a state dict in PyTorch's old format"):
        torch_state.read(path)


@pytest.mark.parametrize("magic", [0, MAGIC + 1, None, "PK"])
def test_another_magic_number_is_refused(magic: object, tmp_path: Path) -> None:
    tensor, storage = stored("0", counting(3))
    path = write(tmp_path / "state.pth", OrderedDict(x=tensor), [storage], magic)
    with pytest.raises(ModelError, match=re.escape(f"it begins with {magic!r}")):
        torch_state.read(path)


def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    whole = small(tmp_path / "state.pth").read_bytes()
    for length in (*range(0, len(whole), 3), len(whole) - 1):
        (tmp_path / "cut.pth").write_bytes(whole[:length])
        with pytest.raises(ModelError, match="not a state dict"):
            torch_state.read(tmp_path / "cut.pth")


@pytest.mark.parametrize("number", [5, 7, -6, 2**62])
def test_a_storage_of_another_length_than_declared_is_refused(number: int, tmp_path: Path) -> None:
    path = small(tmp_path / "state.pth")
    content = path.read_bytes()
    path.write_bytes(content[:-32] + number.to_bytes(8, "little", signed=True) + content[-24:])
    with pytest.raises(ModelError, match=f"a storage holds {number} numbers, expected 6"):
        torch_state.read(path)


def test_a_file_of_the_current_format_or_none_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "zip.pth", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"x": 1}))
    (tmp_path / "empty.pth").write_bytes(b"")
    (tmp_path / "noise.pth").write_bytes(np.random.default_rng(1).bytes(5000))
    (tmp_path / "pickle.pth").write_bytes(pickle.dumps({"x": np.zeros(3)}))
    for name in ("zip", "empty", "noise", "pickle"):
        with pytest.raises(ModelError, match="not a state dict") as error:
            torch_state.read(tmp_path / f"{name}.pth")
        assert "\n" not in str(error.value)
