"""Read the tensors of a PyTorch checkpoint without PyTorch, and without running its code.

The format is the one before zip archives: five pickles (a magic number, a protocol version, facts
about the machine, the tensors as views into storages, the names of the storages), then for each
storage, in the order of the names, its length as an int64 and its raw data, little-endian.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from trihook import RepositoryError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_STORAGES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}
_NOT_TENSORS = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class _View:
    """A tensor as pickled: where in which storage it begins, its shape and strides in elements."""

    dtype: np.dtype[Any]
    storage: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def read(self, storages: dict[str, bytes]) -> NDArray[Any]:
        """Return a copy in C order; ``ValueError`` if the view leaves its storage."""
        size = self.dtype.itemsize
        strides = tuple(stride * size for stride in self.strides)
        view: NDArray[Any] = np.ndarray(
            self.shape, self.dtype, storages[self.storage], self.offset * size, strides
        )
        return np.array(view, order="C")


def _rebuild_tensor(
    storage: tuple[str, np.dtype[Any], str, str, int],
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    *_gradients: object,
) -> _View:
    return _View(storage[1], storage[2], offset, shape, strides)


class _TensorsOnlyUnpickler(pickle.Unpickler):
    """Build ordered dictionaries and views of tensors; refuse to look up anything else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        raise pickle.UnpicklingError(f"{module}.{name} has no place among weights")

    def persistent_load(self, pid: Any) -> Any:
        return pid


def read_checkpoint(path: Path) -> dict[str, NDArray[Any]]:
    """Return the checkpoint's tensors by name, each with its own shape and dtype, in C order.

    Raises ``RepositoryError`` if the file is not such a checkpoint or holds more than tensors.
    """
    try:
        with path.open("rb") as file:
            _check_format(_unpickle(file), _unpickle(file))
            _unpickle(file)  # facts about the machine that wrote it
            views = _unpickle(file)
            items = {view.storage: view.dtype.itemsize for view in views.values()}
            storages = {name: _read_storage(file, items[name]) for name in _unpickle(file)}
        return {name: view.read(storages) for name, view in views.items()}
    except _NOT_TENSORS as exc:
        raise RepositoryError(f"{path} is no checkpoint that holds only tensors: {exc}") from exc


def _check_format(magic: object, protocol: object) -> None:
    if (magic, protocol) != (_MAGIC, _PROTOCOL):
        raise ValueError("it has another format")


def _unpickle(file: BinaryIO) -> Any:
    return _TensorsOnlyUnpickler(file).load()


def _read_storage(file: BinaryIO, itemsize: int) -> bytes:
    size = int.from_bytes(file.read(8), "little") * itemsize
    data = file.read(size)
    if len(data) != size:
        raise EOFError(f"a storage of {size} bytes ends after {len(data)}")
    return data
