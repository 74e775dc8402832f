from __future__ import annotations

import fcntl
import multiprocessing
import shutil

import pytest
from visiontrain_harness.faults import HOWS, every_fault
from visiontrain_harness.queueing import join_and_die, join_and_stay

from visiontrain.errors import StorageError
from visiontrain.protocol.messages import Device
from visiontrain.supervisor.launch import DeviceLimit
from visiontrain.supervisor.places import candidates, join

CPU = Device("cpu")
GPUS = (Device("cuda:0", id="GPU-a"), Device("cuda:1", id="GPU-b"))


@pytest.mark.parametrize(
    ("asked", "devices", "names"),
    [
        ("auto", (*GPUS, CPU), ["cuda:0", "cuda:1"]),
        ("auto", (CPU,), ["cpu"]),
        ("auto", (), []),
        ("cuda", (*GPUS, CPU), ["cuda:0", "cuda:1"]),
        ("cuda:1", (*GPUS, CPU), ["cuda:1"]),
        ("cuda:7", (*GPUS, CPU), []),
        ("cpu", (*GPUS, CPU), ["cpu"]),
        ("mps", (Device("mps"), CPU), ["mps"]),
    ],
)
def test_where_a_run_may_go(asked, devices, names):
    assert [device.name for device in candidates(asked, devices)] == names


@pytest.fixture
def queue(tmp_path):
    """Lets a run join a queue; its place is left at the end."""
    places = []

    def enter(run_id, *devices, runs=1):
        places.append(join(DeviceLimit(str(tmp_path / "devices"), runs), run_id, devices or (CPU,)))
        return places[-1]

    yield enter
    for place in places:
        place.leave()


def test_the_first_one_runs_and_the_others_wait_in_order(queue):
    first, second, third = queue("a"), queue("b"), queue("c")
    assert first.waits_for() is None
    assert second.waits_for() == "waiting for cpu, which the run a uses"
    assert third.waits_for() == "waiting for cpu, which the run a uses; 1 waits before this one"


def test_several_may_share_a_device(queue):
    places = [queue(name, runs=2) for name in "abcd"]
    assert [place.waits_for() for place in places] == [
        None,
        None,
        "waiting for cpu, which 2 runs use",
        "waiting for cpu, which 2 runs use; 1 waits before this one",
    ]


def test_a_place_that_was_left_is_the_next_ones(tmp_path):
    limit = DeviceLimit(str(tmp_path), 1)
    first, second = join(limit, "a", [CPU]), join(limit, "b", [CPU])
    first.leave()
    assert second.waits_for() is None
    third = join(limit, "c", [CPU])
    assert third.waits_for() == "waiting for cpu, which the run b uses"
    second.leave()
    third.leave()


def test_runs_are_spread_over_devices_of_a_kind(queue):
    devices = [queue(name, *GPUS).device for name in "abcd"]
    assert devices == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]


def test_the_first_that_waits_takes_a_device_that_nobody_waits_for(tmp_path):
    limit = DeviceLimit(str(tmp_path), 1)
    a, b, c, d, e = (join(limit, name, GPUS) for name in "abcde")
    assert [place.device for place in (a, b, c, d, e)] == ["cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:0"]
    b.leave()
    assert c.waits_for() == "waiting for cuda:0, which the run a uses"
    assert d.waits_for() is None
    d.leave()
    assert e.waits_for() is not None  # c is before it
    assert c.waits_for() is None
    assert c.device == "cuda:1"
    assert e.waits_for() == "waiting for cuda:0, which the run a uses"
    for place in (a, c):
        place.leave()
    assert e.waits_for() is None
    e.leave()
    assert not list(tmp_path.rglob("0*"))


def test_a_device_is_the_same_one_whatever_a_process_calls_it(queue):
    queue("a", Device("cuda:1", id="GPU-a"))
    assert queue("b", Device("cuda:0", id="GPU-a")).waits_for() == "waiting for cuda:0, which the run a uses"
    assert queue("c", Device("cuda:0", id="GPU-b")).waits_for() is None


def test_a_dead_holder_frees_its_place(tmp_path):
    child = multiprocessing.get_context("spawn").Process(target=join_and_die, args=(str(tmp_path),))
    child.start()
    child.join()
    assert child.exitcode == 9
    assert list(tmp_path.rglob("*-dead"))  # it left its ticket
    place = join(DeviceLimit(str(tmp_path), 1), "alive", [CPU])
    assert place.waits_for() is None
    assert not list(tmp_path.rglob("*-dead"))
    place.leave()


def test_processes_that_join_at_once_get_different_places(tmp_path):
    context = multiprocessing.get_context("spawn")
    told, all_told = context.Queue(), context.Event()
    arguments = [(str(tmp_path), told, all_told, number) for number in range(4)]
    children = [context.Process(target=join_and_stay, args=each) for each in arguments]
    for child in children:
        child.start()
    answers = [told.get(timeout=60) for _ in children]
    all_told.set()
    for child in children:
        child.join()
    assert sorted(answers) == [False, False, False, True]


def test_what_is_no_ticket_is_in_nobodys_way(tmp_path):
    """A network file system keeps a file that was removed while it was open, under a name of its own."""
    limit = DeviceLimit(str(tmp_path), 1)
    first = join(limit, "a", [CPU])
    folder = next(tmp_path.rglob("*-a")).parent
    with (folder / ".nfs00000001").open("w") as held, (folder / "~copy").open("w") as other:
        fcntl.flock(held, fcntl.LOCK_EX)
        fcntl.flock(other, fcntl.LOCK_EX)
        assert first.waits_for() is None
        second = join(limit, "b", [CPU])
        assert second.waits_for() == "waiting for cpu, which the run a uses"
    first.leave()
    second.leave()
    assert (folder / ".nfs00000001").exists()


@pytest.mark.parametrize("how", HOWS)
def test_a_disk_that_refuses_a_place_says_so(how, tmp_path):
    def operation(root):
        place = join(DeviceLimit(str(root / "devices"), 1), "a", [CPU])
        place.waits_for()
        place.leave()

    for case in every_fault(how, tmp_path, operation=operation):
        assert case.error is None or (isinstance(case.error, StorageError) and case.error.instruction), case


def test_queues_that_were_removed_while_a_run_waits(tmp_path):
    limit = DeviceLimit(str(tmp_path / "devices"), 1)
    first, second = join(limit, "a", [CPU]), join(limit, "b", [CPU])
    shutil.rmtree(tmp_path / "devices")
    with pytest.raises(StorageError, match="the queue for cpu can't be looked through"):
        second.waits_for()
    first.leave()
    second.leave()
