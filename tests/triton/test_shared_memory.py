"""Large tensors lie in memory that Triton maps; whatever comes in between, the socket does."""

import mmap
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import gevent
import pytest
from trihook import DeadlineError, TritonError
from trihook.triton import shared_memory
from trihook.triton.answers import Answer
from trihook.triton.shared_memory import Region, SharedMemory

LARGE = 600_000
OK = Answer(200, b"{}")


def _files():
    return [path.name for path in Path("/dev/shm").glob(f"trihook-tensors.{os.getpid()}.*")]


class Registry:
    """Triton's side: maps what it is told of, as the real one does."""

    def __init__(self, *names):
        self.mapped = dict.fromkeys(names)
        self.asked = []
        self.kept = set()
        self.error = None

    def __call__(self, method, path, value):
        self.asked.append((method, path))
        if self.error is not None:
            raise self.error
        if path.endswith("/status"):
            return [{"name": name} for name in self.mapped]
        name, action = path.removeprefix("/v2/systemsharedmemory/region/").split("/")
        if action == "unregister":
            if name in self.kept:
                raise TritonError("it is in use")
            del self.mapped[name]
        else:
            with Path("/dev/shm", value["key"].removeprefix("/")).open("r+b") as file:
                self.mapped[name] = mmap.mmap(file.fileno(), value["byte_size"])
        return None


@pytest.fixture
def registry():
    return Registry()


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(shared_memory, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.fixture
def memory(registry):
    return SharedMemory(registry)


def _used(memory, size=LARGE, answer=OK):
    """Return the regions that one use asked with."""
    regions = []
    memory.use(size, lambda region: regions.append(region) or answer)
    gevent.sleep(0)  # what is made for the next time
    return regions


def test_the_first_goes_without_and_the_next_with_a_region_that_triton_knows(memory, registry):
    assert _used(memory) == [None]
    [region] = _used(memory)
    assert list(registry.mapped) == [region.name]
    assert region.size == 1 << 20


def test_triton_sees_what_is_written(memory, registry):
    _used(memory)
    [region] = _used(memory)
    first = region.write([b"abc", memoryview(b"de")], 0)
    second = region.write([b"f"], 5)
    assert first == {
        "shared_memory_region": region.name,
        "shared_memory_offset": 0,
        "shared_memory_byte_size": 5,
    }
    assert (second["shared_memory_offset"], second["shared_memory_byte_size"]) == (5, 1)
    assert registry.mapped[region.name][:6] == b"abcdef"


def test_no_file_is_left(memory, registry):
    _used(memory)
    assert registry.mapped
    assert _files() == []


def test_small_tensors_need_none(memory, registry):
    assert [_used(memory, 1000), _used(memory, 1000)] == [[None], [None]]
    assert registry.asked == []


def test_regions_fit_what_they_are_for(memory):
    _used(memory, 3_000_000)
    assert [region.size for region in _used(memory, 3_000_000)] == [1 << 22]
    assert [region.size for region in _used(memory, LARGE)] == [1 << 22]
    assert _used(memory, 5_000_000) == [None]
    assert [region.size for region in _used(memory, 5_000_000)] == [1 << 23]


def test_no_two_have_one_region_at_a_time(memory):
    for _ in range(2):
        _used(memory)
        memory.use(LARGE, lambda region: _used(memory) and OK)
    inner = []
    outer = []

    def ask(region):
        outer.append(region)
        inner.extend(_used(memory))
        return OK

    memory.use(LARGE, ask)
    assert None not in (*outer, *inner)
    assert outer[0] is not inner[0]


def test_a_region_whose_request_was_given_up_is_used_again_after_a_while(memory, registry, clock):
    _used(memory)

    def fail(region):
        raise DeadlineError("too late")

    with pytest.raises(DeadlineError):
        memory.use(LARGE, fail)
    [given_up] = registry.mapped
    assert _used(memory) == [None]
    [other] = _used(memory)
    assert list(registry.mapped) == [given_up, other.name]
    clock.now += 301
    used = set()
    memory.use(LARGE, lambda region: used.update([region.name, *_names(memory)]) or OK)
    assert used == {given_up, other.name}


def _names(memory):
    return [region.name for region in _used(memory)]


def test_there_is_an_end_to_what_is_shared(memory, registry):
    for size in (1 << 25, 1 << 26, 1 << 25):
        _used(memory, size)
    assert [len(mapped) for mapped in registry.mapped.values()] == [1 << 25]
    assert _used(memory, 1 << 26) == [None]


def test_a_region_that_triton_has_lost_is_made_anew_and_nobody_fails(memory, registry):
    _used(memory)
    lost = next(iter(registry.mapped))
    registry.mapped.clear()
    asked = []

    def ask(region):
        asked.append(region and region.name)
        if region is None:
            return OK
        return Answer(400, f"Unable to find shared memory region: '{lost}'".encode())

    assert memory.use(LARGE, ask) == OK
    assert asked == [lost, None]
    assert _used(memory) == [None]
    assert [region.name for region in _used(memory)] == list(registry.mapped)
    assert lost not in registry.mapped


def test_what_triton_refuses_for_other_reasons_is_not_asked_again(memory):
    _used(memory)
    refused = Answer(400, b"unexpected shape")
    assert len(_used(memory, answer=refused)) == 1


@pytest.mark.parametrize("error", [TritonError("refused"), DeadlineError("late")])
def test_a_triton_that_shares_no_memory_is_not_asked_each_time(memory, registry, error):
    registry.error = error
    assert [_used(memory) for _ in range(5)] == [[None]] * 5
    assert len(registry.asked) == 1
    assert _files() == []


def test_it_is_tried_again_after_a_while(memory, registry, monkeypatch):
    monkeypatch.setattr(shared_memory, "_PAUSE", 0.0)
    registry.error = TritonError("refused")
    _used(memory)
    registry.error = None
    _used(memory)
    assert _used(memory) != [None]


def test_a_machine_without_memory_to_share_does_without(memory, registry, monkeypatch):
    def no_space(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", no_space)
    assert [_used(memory) for _ in range(3)] == [[None]] * 3
    assert registry.mapped == {}
    assert _files() == []


@pytest.fixture
def dead():
    """The beginning of the names of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return f"trihook-tensors.{process.pid}"


def test_regions_of_processes_that_were_killed_are_given_up(clock, dead):
    here = Path("/proc/self/ns/pid").stat().st_ino
    others = (
        "mine",
        f"trihook-tensors.{os.getppid()}.{here}.a",
        f"trihook-tensors.x.{here}.a",
        f"{dead}.{here + 1}.a",  # which may be alive in another container
        f"{dead}.a",
        "trihook.1",
    )
    registry = Registry(f"{dead}.{here}.a", f"{dead}.{here}.b", *others)
    registry.kept = {f"{dead}.{here}.a"}
    memory = SharedMemory(registry)
    _used(memory)
    [region] = _used(memory)
    assert f"{dead}.{here}.b" in registry.mapped  # Triton may read it a moment still
    clock.now += 16
    _used(memory)
    assert set(registry.mapped) == {*others, *registry.kept, region.name}
    count = len(registry.asked)
    clock.now += 1000
    _used(memory)
    assert len(registry.asked) == count


def test_closing_gives_up_what_triton_reads_no_more(memory, registry):
    def fail(region):
        raise DeadlineError("too late")

    _used(memory)
    with pytest.raises(DeadlineError):
        memory.use(LARGE, fail)
    [read] = registry.mapped
    _used(memory)
    memory.use(LARGE, lambda region: _used(memory) and OK)
    kept = min(set(registry.mapped) - {read})
    registry.kept = {kept}  # for Triton knows better
    memory.close()
    assert set(registry.mapped) == {read, kept}


def test_closing_gives_all_up(memory, registry):
    _used(memory)
    memory.close()
    assert registry.mapped == {}
    _used(memory)
    assert len(registry.mapped) == 1


def test_closing_gets_over_a_triton_that_has_gone(memory, registry):
    _used(memory)
    registry.error = TritonError("gone")
    memory.close()
    registry.error = None
    assert _used(memory) == [None]


def test_a_region_is_for_its_owner_alone():
    region = Region(1 << 20)
    try:
        [name] = _files()
        assert name == region.name
        assert Path("/dev/shm", name).stat().st_mode & 0o777 == 0o600
    finally:
        region.unlink()
