"""A process knows how many cores it may use, in a container with a quota too."""

import math
import os

import pytest
from trihook.host.cores import Cores, find_cores

COUNT = 6


def _write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")


@pytest.fixture(autouse=True)
def _own_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(COUNT)), raising=False)


@pytest.fixture
def find(tmp_path):
    """Find the cores of a process in these groups."""

    def find(groups):
        (tmp_path / "cgroup").write_text(groups)
        return find_cores(tmp_path / "cgroup", tmp_path / "fs")

    return find


@pytest.mark.parametrize(
    ("limit", "quota"),
    [("max 100000", math.inf), ("150000 100000", 1.5), ("50000 100000", 0.5), ("", math.inf)],
)
def test_a_quota_of_control_groups_version_2(find, tmp_path, limit, quota):
    _write(tmp_path / "fs", cpu__max=limit)
    assert find("0::/\n") == Cores(COUNT, quota)


def test_the_smallest_quota_around_a_process_counts(find, tmp_path):
    _write(tmp_path / "fs/kube.slice", cpu__max="400000 100000")
    _write(tmp_path / "fs/kube.slice/pod", cpu__max="200000 100000")
    _write(tmp_path / "fs/kube.slice/pod/container", cpu__max="max 100000")
    assert find("0::/kube.slice/pod/container\n").quota == 2.0


def test_a_quota_of_control_groups_version_1(find, tmp_path):
    folder = tmp_path / "fs/cpu/docker/x"
    _write(folder, cpu__cfs_quota_us="300000", cpu__cfs_period_us="100000")
    _write(tmp_path / "fs/cpu", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    assert find("5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n0::/\n").quota == 3.0


def test_in_a_container_that_does_not_see_its_own_folder_the_top_one_counts(find, tmp_path):
    _write(tmp_path / "fs", cpu__max="250000 100000")
    assert find("0::/docker/not-seen-inside\n").quota == 2.5


def test_the_groups_of_other_controllers_do_not_count(find, tmp_path):
    _write(tmp_path / "fs/cpu/x", cpu__cfs_quota_us="100000", cpu__cfs_period_us="100000")
    assert find("3:cpuset:/x\n2:cpuacct:/x\n").quota == math.inf


def test_without_control_groups_there_is_no_quota(tmp_path):
    assert find_cores(tmp_path / "none", tmp_path) == Cores(COUNT)


@pytest.mark.parametrize(
    ("groups", "limit"),
    [
        *[("", "1 1"), ("0\n\n0:\n0::\n", "1 1"), ("0::/\udcff\n", "max")],
        *[("0::/\n", limit) for limit in ("1", "1 0", "a b", "-1 -1", "max 100000 1")],
    ],
)
def test_what_cannot_be_read_is_no_quota(tmp_path, groups, limit):
    _write(tmp_path / "fs", cpu__max=limit)
    (tmp_path / "cgroup").write_text(groups, errors="surrogateescape")
    assert find_cores(tmp_path / "cgroup", tmp_path / "fs") == Cores(COUNT)


@pytest.mark.parametrize(("known", "count"), [(3, 3), (None, 1)])
def test_where_nobody_says_where_a_process_may_run_all_cores_count(
    monkeypatch, tmp_path, known, count
):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: known)
    assert find_cores(tmp_path / "none", tmp_path) == Cores(count)


def test_the_groups_of_this_process_can_be_read():
    assert find_cores().quota > 0


@pytest.mark.parametrize(
    ("count", "quota", "workers", "each"),
    [
        *[(1, math.inf, 1, 1), (2, math.inf, 2, 1), (8, math.inf, 3, 3), (2, math.inf, 4, 1)],
        *[(8, 2.0, 1, 2), (8, 1.5, 1, 2), (8, 0.5, 1, 1), (2, 16.0, 1, 2)],
    ],
)
def test_the_workers_share_the_cores(count, quota, workers, each):
    assert Cores(count, quota).of_each(workers) == each


@pytest.mark.parametrize(
    ("count", "quota", "workers", "enough"),
    [
        *[(1, math.inf, 1, False), (2, math.inf, 1, True), (2, math.inf, 2, True)],
        *[(2, math.inf, 3, False), (8, 1.0, 1, False), (8, 2.0, 1, True), (8, 2.5, 2, False)],
    ],
)
def test_polling_takes_a_core_for_each_worker_and_leaves_one_of_a_quota(
    count, quota, workers, enough
):
    assert Cores(count, quota).are_enough_to_poll(workers) is enough
