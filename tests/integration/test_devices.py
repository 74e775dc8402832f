"""Runs that want the same device, through real supervisors."""

from __future__ import annotations

import threading

import pytest
from visiontrain_harness.processes import PATIENCE, until

from visiontrain.errors import RunBusyError, SpecError
from visiontrain.protocol.events import StatusEvent
from visiontrain.session import Session


@pytest.fixture
def counting(session, pictures):
    """Starts runs of the framework `counter` on the CPU."""

    def start(using=session, **options):
        return using.start(pictures, model="count_small", **{"epochs": 1, "steps": 1, **options})

    return start


@pytest.fixture
def long(counting):
    """A run that goes on until it is stopped."""
    handle = counting(steps=100_000, pause=0.02)
    until(lambda: handle.run.last_checkpoint or handle.run.record.worker, "it runs")
    yield handle
    handle.stop()
    handle.wait(timeout=PATIENCE)


def statuses(handle):
    return [(event.status, event.reason) for event in handle.events(timeout=PATIENCE) if isinstance(event, StatusEvent)]


def waits(handle):
    return until(lambda: handle.status == "pending" and handle.run.record.reason, "it waits")


def test_a_second_run_waits_and_says_for_what(long, counting):
    second = counting()
    reason = f"waiting for cpu, which the run {long.run_id} uses"
    assert waits(second) == reason
    long.stop()
    told = statuses(second)
    assert told == [("running", None), ("pending", reason), ("running", None), ("completed", None)]
    assert second.run.record.reason is None


def test_runs_begin_in_the_order_in_which_they_came(long, counting):
    waiting = []
    for number in range(3):
        waiting.append(counting())
        reason = waits(waiting[-1])
        assert ("before this one" in reason) == (number > 0), reason
    long.stop()
    ended = [handle.wait(timeout=PATIENCE).record.ended_at for handle in waiting]
    assert ended == sorted(ended)


def test_the_limit_is_the_sessions(long, counting, session):
    roomy = Session(session.home.root, max_runs_per_device=2)
    second = counting(roomy)
    assert second.wait(timeout=PATIENCE).status == "completed"
    assert long.status == "running"


def test_the_limit_from_the_environment(long, counting, session, monkeypatch):
    monkeypatch.setenv("VISIONTRAIN_MAX_RUNS_PER_DEVICE", "2")
    assert counting(Session(session.home.root)).wait(timeout=PATIENCE).status == "completed"


@pytest.mark.parametrize("wrong", [0, -1, True, "2", 1.5])
def test_a_limit_that_is_none(tmp_path, wrong):
    with pytest.raises(SpecError, match="whole number"):
        Session(tmp_path, max_runs_per_device=wrong)


@pytest.mark.parametrize("wrong", ["0", "-1", "many", "1.5"])
def test_a_limit_in_the_environment_that_is_none(tmp_path, monkeypatch, wrong):
    monkeypatch.setenv("VISIONTRAIN_MAX_RUNS_PER_DEVICE", wrong)
    with pytest.raises(SpecError, match="VISIONTRAIN_MAX_RUNS_PER_DEVICE"):
        Session(tmp_path)


def test_a_waiting_run_can_be_stopped_and_resumed(long, counting, session):
    second = counting()
    waits(second)
    second.stop()
    run = second.wait(timeout=PATIENCE)
    assert (run.status, run.record.reason) == ("stopped", "asked to stop, while it waited for its device")
    assert run.history == []
    long.stop()
    long.wait(timeout=PATIENCE)
    assert session.resume(run.run_id).wait(timeout=PATIENCE).status == "completed"


def test_a_run_that_is_stopped_before_it_asks_for_its_device_did_not_wait(counting):
    handle = counting()
    handle.stop()
    run = handle.wait(timeout=PATIENCE)
    assert (run.status, run.record.reason) == ("stopped", "asked to stop, before it began")


def test_a_waiting_run_goes_on_waiting_without_its_host_where_it_was_let_go(long, counting):
    second = counting()
    waits(second)
    second.detach()
    second._link.close()  # what the host's end does
    followed = Session(second.run_dir.parent.parent).follow(second.run_id)
    assert followed.status == "pending"
    long.stop()
    assert followed.wait(timeout=PATIENCE).status == "completed"


def test_a_waiting_run_ends_with_its_host(long, counting):
    second = counting()
    waits(second)
    second._link.close()
    until(lambda: second.status != "pending", "it ends")
    assert second.run.record.reason == "the process that started the run ended, while it waited for its device"
    assert second.status == "interrupted"


def test_a_waiting_run_is_being_worked_on(long, counting, session):
    second = counting()
    waits(second)
    with pytest.raises(RunBusyError):
        session.resume(second.run_id)
    second.stop()
    second.wait(timeout=PATIENCE)


def test_a_run_that_is_killed_frees_its_place(long, counting):
    second = counting()
    waits(second)
    long.kill()
    assert second.wait(timeout=PATIENCE).status == "completed"


def test_many_threads_share_one_device(counting):
    handles = []
    threads = [threading.Thread(target=lambda: handles.append(counting())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records = [handle.wait(timeout=PATIENCE).record for handle in handles]
    assert [record.status for record in records] == ["completed"] * 6
