"""What memory a machine is told to have, by files that are made up."""

import os

import pytest

from visiontrain.torchkit.ram import available_ram, peak_ram, ram_in_use, total_ram

GIB = 2**30


class Machine:
    def __init__(self, path):
        self.path = path

    def has(self, file, text):
        found = self.path / file
        found.parent.mkdir(parents=True, exist_ok=True)
        found.write_text(text)


@pytest.fixture
def machine(tmp_path):
    made = Machine(tmp_path)
    sizes = {"MemTotal": 16 * GIB, "MemFree": 5, "MemAvailable": 12 * GIB}
    made.has("proc/meminfo", "".join(f"{name}:   {size // 1024} kB\n" for name, size in sizes.items()))
    return made


def test_a_machine_of_its_own(machine):
    assert (total_ram(machine.path), available_ram(machine.path)) == (16 * GIB, 12 * GIB)


def test_a_container_with_less(machine):
    machine.has("proc/self/cgroup", "0::/pods/mine\n")
    machine.has("sys/fs/cgroup/pods/mine/memory.max", "max\n")
    machine.has("sys/fs/cgroup/pods/mine/memory.current", f"{GIB}\n")
    machine.has("sys/fs/cgroup/pods/memory.max", f"{4 * GIB}\n")
    machine.has("sys/fs/cgroup/pods/memory.current", f"{3 * GIB}\n")
    machine.has("sys/fs/cgroup/pods/memory.stat", f"anon 5\ninactive_file {GIB}\n")
    assert (total_ram(machine.path), available_ram(machine.path)) == (4 * GIB, 2 * GIB)


def test_a_container_of_the_older_kind(machine):
    machine.has("proc/self/cgroup", "4:cpu,memory:/docker/1\n3:cpuset:/docker/1\n0::/\n")
    base = "sys/fs/cgroup/memory/"  # within a container its own group is often seen as the root
    machine.has(f"{base}memory.limit_in_bytes", f"{2 * GIB}")
    machine.has(f"{base}memory.usage_in_bytes", f"{GIB}")
    machine.has(f"{base}memory.stat", f"total_inactive_file {GIB // 2}\n")
    assert (total_ram(machine.path), available_ram(machine.path)) == (2 * GIB, 3 * GIB // 2)


def test_a_container_that_uses_more_than_it_may(machine):
    machine.has("proc/self/cgroup", "0::/\n")
    machine.has("sys/fs/cgroup/memory.max", f"{GIB}")
    machine.has("sys/fs/cgroup/memory.current", f"{2 * GIB}")
    assert available_ram(machine.path) == 0


def test_a_system_that_does_not_tell(tmp_path):
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert (total_ram(tmp_path), available_ram(tmp_path)) == (total, total // 2)


def test_this_process_holds_some_of_this_machines():
    before = ram_in_use()
    block = bytearray(os.urandom(2**20) * 64)
    assert before + 60 * 2**20 < ram_in_use() <= total_ram()
    assert peak_ram() > len(block)
