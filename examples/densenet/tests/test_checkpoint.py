import io
import os
import pickle
import struct
import sys
import types
from collections import OrderedDict

import numpy as np
import pytest
import trihook
from trihook_densenet.checkpoint import read_checkpoint

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


@pytest.fixture
def torch(monkeypatch):
    """Stand in for the names that a checkpoint's pickles refer to, so that one can be written."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in ("FloatStorage", "LongStorage", "HalfStorage"):
        setattr(torch, name, type(name, (), {"__module__": "torch", "__qualname__": name}))

    def _rebuild_tensor_v2(*_):
        raise AssertionError

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    return types.SimpleNamespace(storages=torch, rebuild=_rebuild_tensor_v2)


class Storage:
    def __init__(self, kind, key, data):
        self.kind, self.key, self.data = kind, key, data


class Tensor:
    def __init__(self, rebuild, storage, offset, shape, strides):
        self.arguments = (storage, offset, shape, strides, False, OrderedDict())
        self.rebuild = rebuild

    def __reduce__(self):
        return self.rebuild, self.arguments


class Pickler(pickle.Pickler):
    def persistent_id(self, value):
        if isinstance(value, Storage):
            return ("storage", value.kind, value.key, "cpu", len(value.data), None)
        return None


def write(path, tensors, storages, magic=MAGIC, protocol=PROTOCOL):
    file = io.BytesIO()
    for value in (magic, protocol, {"little_endian": True}, tensors, [s.key for s in storages]):
        Pickler(file, 2).dump(value)
    for storage in storages:
        file.write(struct.pack("<q", len(storage.data)) + storage.data.tobytes())
    path.write_bytes(file.getvalue())
    return path


@pytest.fixture
def checkpoint(torch, tmp_path):
    """Return a function that writes a checkpoint of one matrix, transposed, and one scalar."""

    def write_two(offset=1, **format_):
        floats = Storage(torch.storages.FloatStorage, "b", np.arange(8, dtype="<f4"))
        longs = Storage(torch.storages.LongStorage, "a", np.array([5], "<i8"))
        tensors = OrderedDict(
            matrix=Tensor(torch.rebuild, floats, offset, (2, 3), (1, 2)),
            scalar=Tensor(torch.rebuild, longs, 0, (), ()),
        )
        return write(tmp_path / "weights.pth", tensors, [longs, floats], **format_)

    return write_two


def test_tensors_are_read_with_their_offsets_strides_and_types(checkpoint):
    tensors = read_checkpoint(checkpoint())
    assert tensors["matrix"].tolist() == [[1, 3, 5], [2, 4, 6]]
    assert tensors["matrix"].dtype == np.float32
    assert tensors["matrix"].flags.c_contiguous
    assert (tensors["scalar"].shape, tensors["scalar"].dtype, int(tensors["scalar"])) == (
        (), np.int64, 5,
    )  # fmt: skip


def test_a_view_that_leaves_its_storage_is_refused(checkpoint):
    with pytest.raises(trihook.RepositoryError, match="no checkpoint that holds only tensors"):
        read_checkpoint(checkpoint(offset=3))


@pytest.mark.parametrize("format_", [{"magic": 1}, {"protocol": 1002}])
def test_another_format_is_refused(checkpoint, format_):
    with pytest.raises(trihook.RepositoryError, match="another format"):
        read_checkpoint(checkpoint(**format_))


def test_a_file_cut_anywhere_is_refused(checkpoint):
    path = checkpoint()
    data = path.read_bytes()
    for end in range(len(data)):
        path.write_bytes(data[:end])
        with pytest.raises(trihook.RepositoryError):
            read_checkpoint(path)


def test_another_kind_of_storage_is_refused(torch, tmp_path):
    halves = Storage(torch.storages.HalfStorage, "a", np.zeros(1, "<f2"))
    tensors = OrderedDict(x=Tensor(torch.rebuild, halves, 0, (1,), (1,)))
    with pytest.raises(trihook.RepositoryError, match="HalfStorage has no place among weights"):
        read_checkpoint(write(tmp_path / "weights.pth", tensors, [halves]))


class Call:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("place", range(5))
def test_code_in_a_pickle_is_refused_and_not_run(tmp_path, place):
    trace = tmp_path / "trace"
    parts = [MAGIC, PROTOCOL, {}, {}, []]
    parts[place] = Call(os.mkdir, str(trace))
    path = tmp_path / "weights.pth"
    path.write_bytes(b"".join(pickle.dumps(part, 2) for part in parts))
    with pytest.raises(trihook.RepositoryError, match="mkdir has no place among weights"):
        read_checkpoint(path)
    assert not trace.exists()
