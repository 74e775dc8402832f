"""Disks that are full, and folders that go, under real supervisors and workers."""

from __future__ import annotations

import contextlib
import shutil
import time

import pytest
from visiontrain_harness import runs
from visiontrain_harness.faults import file_size_limit
from visiontrain_harness.processes import PATIENCE, alive, until

from visiontrain.errors import RunError, RunFailedError, StorageError, UnknownRunError, VisiontrainError
from visiontrain.protocol.messages import ResumeFrom
from visiontrain.rundir.directory import RunDirectories
from visiontrain.rundir.history import read_history
from visiontrain.supervisor.main import BOOTSTRAP

TRAINER = "fills_disk:Resumable"
#: More than what is kept for a full disk, in bytes.
LIMIT = 300_000
FOREVER = {"epochs": 1_000_000, "pause": 0.01}


def go_on(start, handle, **options):
    """Take the run up again, from its checkpoint if it has one, with room on the disk."""
    record = handle.run.record
    checkpoints = (str(handle.run_dir / record.last.path),) if record.last else ()
    return start(TRAINER, run_dir=handle.run_dir, resume=ResumeFrom(checkpoints), **options)


def under_way(handle):
    until(lambda: b'"source":"worker"' in (handle.run_dir / "events.jsonl").read_bytes(), "the trainer reports")


def processes(handle):
    record = handle.run.record
    return [record.supervisor_pid, record.worker.pid]


@pytest.mark.parametrize(
    "written",
    [{"logs": 20_000}, {"size": 400_000}, {"prints": 30_000}, {"logs": 9_000, "size": 90_000, "prints": 9_000}],
    ids=["events.jsonl", "checkpoint", "worker.log", "all"],
)
def test_a_disk_that_fills_up_ends_the_run_with_the_reason_and_it_can_be_resumed(start, written):
    with file_size_limit(LIMIT):  # of the supervisor and the worker, which are started here
        handle = start(TRAINER, epochs=50, **written)
    with pytest.raises(VisiontrainError, match="File too large") as caught:
        handle.wait(timeout=PATIENCE)
    assert "ulimit" in caught.value.instruction
    record = handle.run.record
    assert (record.status, record.supervisor_pid) == ("failed", None)
    assert "File too large" in record.reason
    kept = [row["epoch"] for row in read_history(handle.run_dir)]
    assert kept == list(range(1, len(kept) + 1))
    resumed = go_on(start, handle, epochs=50)
    assert resumed.wait(timeout=PATIENCE).status == "completed"
    rows = [row["epoch"] for row in read_history(handle.run_dir)]
    assert sorted(set(rows)) == rows
    if "logs" not in written:  # a file that may not grow at all takes no row of an epoch that has a checkpoint
        assert rows == list(range(1, 51))


@pytest.mark.parametrize("room", [0, 1, 700, 100_000])
def test_a_disk_that_is_full_from_the_beginning(start, room, tmp_path):
    with file_size_limit(room), pytest.raises(StorageError, match="can't be begun: File too large") as caught:
        start(TRAINER)
    assert "ulimit" in caught.value.instruction
    assert list(RunDirectories(tmp_path / "runs").paths()) == []


def test_what_a_run_says_last_comes_over_the_link_where_the_record_can_not_take_it(start):
    handle = start(TRAINER, **FOREVER)
    under_way(handle)
    pids = processes(handle)
    blocked = handle.run_dir / "run.json"
    before = blocked.read_bytes()
    while not blocked.is_dir():  # the supervisor writes it a hundred times a second
        with contextlib.suppress(FileExistsError):
            blocked.unlink()
            blocked.mkdir()  # nothing can be put in its place
    with pytest.raises(StorageError, match="can't be kept") as caught:
        handle.wait(timeout=PATIENCE)
    assert str(blocked) in caught.value.reason
    until(lambda: not any(map(alive, pids)), "the processes end")
    blocked.rmdir()
    blocked.write_bytes(before)
    assert handle.run.status == "interrupted"
    assert go_on(start, handle, epochs=3).wait(timeout=PATIENCE).status == "completed"


WITHOUT_LOCKS = """
import errno, fcntl, sys
def refuse(*_):
    raise OSError(errno.ENOLCK, "No locks available")
fcntl.flock = refuse
"""


def test_on_a_file_system_without_locks_nothing_is_begun(start, tmp_path, monkeypatch):
    monkeypatch.setattr("visiontrain.runners.supervised.BOOTSTRAP", WITHOUT_LOCKS + BOOTSTRAP)
    with pytest.raises(StorageError, match="lock can't be locked: No locks available") as caught:
        start(TRAINER)
    assert "VISIONTRAIN_HOME to a folder on a local disk" in caught.value.instruction
    assert list(RunDirectories(tmp_path / "runs").paths()) == []


def test_a_host_that_looks_late_is_told_too(start):
    handle = start(TRAINER, **FOREVER)
    under_way(handle)
    pids = processes(handle)
    time.sleep(1.0)  # nobody reads
    remove(handle.run_dir)
    until(lambda: not any(map(alive, pids)), "the processes end", within=10.0)
    with pytest.raises(RunError, match="was removed"):
        handle.wait(timeout=PATIENCE)


def remove(folder):
    """Remove a folder that is being written to: what comes into it meanwhile keeps it there for another round."""
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)


class TestRemovedFolder:
    @pytest.mark.parametrize("how", ["removed", "moved"])
    def test_ends_the_run_soon_and_tells_the_host(self, start, tmp_path, how):
        handle = start(TRAINER, **FOREVER)
        under_way(handle)
        pids = processes(handle)
        if how == "removed":
            remove(handle.run_dir)
        else:
            handle.run_dir.rename(tmp_path / "elsewhere")
        with pytest.raises(RunError, match=f"the run's folder {handle.run_dir} was removed") as caught:
            handle.wait(timeout=PATIENCE)
        assert caught.value.instruction
        assert caught.value.run_id == handle.run_id
        until(lambda: not any(map(alive, pids)), "the processes end", within=5.0)
        assert not handle.run_dir.exists()

    def test_ends_a_worker_that_is_busy(self, start):
        handle = start("will_not_stop:IgnoresInterrupt")
        under_way(handle)
        pids = processes(handle)
        remove(handle.run_dir)
        with pytest.raises(RunFailedError, match="was removed"):
            handle.wait(timeout=PATIENCE)
        until(lambda: not any(map(alive, pids)), "the processes end", within=5.0)
        assert not handle.run_dir.exists()

    def test_its_properties_say_so(self, start):
        handle = start(TRAINER)
        handle.wait(timeout=PATIENCE)
        remove(handle.run_dir)
        run = handle.run
        assert "unreadable" in repr(run)
        assert "unreadable" in repr(handle)
        for ask in (
            lambda: run.record,
            lambda: run.status,
            lambda: run.metrics,
            lambda: run.best_checkpoint,
            lambda: run.last_checkpoint,
            run.raise_for_status,
            handle.wait,
            runs.follow(handle.run_dir).wait,
        ):
            with pytest.raises(UnknownRunError, match=f"{handle.run_dir} is gone") as caught:
                ask()
            assert "visiontrain runs" in caught.value.instruction
        # What never was there is nothing.
        assert (run.history, run.log) == ([], "")
        assert list(runs.follow(handle.run_dir).events(timeout=PATIENCE)) == []
        run.stop()
        handle.stop()
        assert not handle.run_dir.exists()

    def test_while_another_process_follows(self, start):
        handle = start(TRAINER, **FOREVER)
        under_way(handle)
        follower = runs.follow(handle.run_dir)
        events = follower.events(timeout=PATIENCE)
        assert next(events).type == "status"
        remove(handle.run_dir)
        for _ in events:
            pass
        with pytest.raises(UnknownRunError):
            follower.wait(timeout=PATIENCE)
        with pytest.raises(RunError, match="was removed"):
            handle.wait(timeout=PATIENCE)
