"""The run's record and its events on a disk that refuses: at every write, in every way."""

from __future__ import annotations

import dataclasses
import errno
import os
import shutil
import socket

import pytest
from visiontrain_harness.faults import HOWS, every_fault
from visiontrain_harness.runs import record

from visiontrain.cli.run_report import list_row, report_object
from visiontrain.errors import StorageError
from visiontrain.handles import Run
from visiontrain.protocol.codec import dumps
from visiontrain.protocol.events import MetricsEvent, ResumedEvent, event_to_json
from visiontrain.protocol.messages import ErrorInfo
from visiontrain.rundir.directory import RunDirectories, is_being_worked_on, read_current_record
from visiontrain.rundir.events import read_events
from visiontrain.rundir.history import fold_history, read_history
from visiontrain.runners.supervised import SupervisorLink
from visiontrain.supervisor.events import EventLog
from visiontrain.supervisor.inbox import RawEvents
from visiontrain.supervisor.journal import RESERVE, RESERVE_FILE, Journal
from visiontrain.supervisor.link import HostLink
from visiontrain.supervisor.outcome import Outcome
from visiontrain.supervisor.record import read_record, write_record
from visiontrain.supervisor.wishes import ask, take

OLD = record("r")
NEW = dataclasses.replace(OLD, status="failed", reason="x" * 20_000)


def line(cls, seq, **fields):
    return dumps(event_to_json(cls("r", seq, 0.0, 0.0, **fields)))


def row(epoch):
    return line(MetricsEvent, epoch, step=epoch * 10, epoch=epoch, values={"accuracy": epoch / 10})


@pytest.mark.parametrize("how", HOWS)
def test_a_record_is_the_old_or_the_new_one_and_can_be_written_again(how, tmp_path):
    def prepare(root):
        write_record(root / "run.json", OLD)

    def operation(root):
        write_record(root / "run.json", NEW)

    for case in every_fault(how, tmp_path, prepare=prepare, operation=operation):
        path = case.root / "run.json"
        assert read_record(path) in (OLD, NEW), case
        assert how == "killed" or isinstance(case.error, OSError) or read_record(path) == NEW, case
        if how in ("once", "full", "torn") and not case.point.startswith("unlink"):
            assert [entry.name for entry in case.root.iterdir()] == ["run.json"], case
        operation(case.root)
        assert read_record(path) == NEW


@pytest.mark.parametrize("how", HOWS)
def test_events_lose_nothing_that_is_there_and_no_epoch_comes_twice(how, tmp_path):
    def attempt(root, lines):
        log = EventLog(root / "events.jsonl", "r")
        try:
            for each in lines:
                log.append(each)
                log.flush()
        finally:
            log.close()

    def operation(root):
        attempt(root, [row(epoch) for epoch in range(1, 5)])

    for case in every_fault(how, tmp_path, operation=operation):
        kept = [event.epoch for event in read_events(case.root / "events.jsonl")]
        assert kept == list(range(1, len(kept) + 1)), case
        # The next attempt goes on from the epoch before the last one that is known.
        done = max(0, len(kept) - 1)
        resumed = line(ResumedEvent, 5, step=done * 10, epoch=float(done), checkpoint=None)
        attempt(case.root, [resumed, *(row(epoch) for epoch in range(done + 1, 7))])
        assert [found["epoch"] for found in read_history(case.root)] == list(range(1, 7)), case
        assert fold_history(read_events(case.root / "events.jsonl")) == read_history(case.root)


def test_what_a_full_disk_did_not_take_is_written_when_there_is_room_again(tmp_path):
    def operation(root):
        log = EventLog(root / "events.jsonl", "r")
        failed = 0
        for epoch in range(1, 6):
            log.append(row(epoch))
            try:
                log.flush()
            except OSError:
                failed += 1
        log.close()
        return failed

    for case in every_fault("once", tmp_path, operation=operation):
        if case.point.startswith("write"):
            assert case.error is None
            assert [found["epoch"] for found in read_history(case.root)] == [1, 2, 3, 4, 5]


EVENTS = [
    {"type": "metrics", "scope": "epoch", "epoch": 1, "step": 10, "values": {"accuracy": 0.5}, "non_finite": {}},
    {"type": "checkpoint", "kind": "best", "path": "checkpoints/best.pt", "step": 10, "epoch": 1.0},
    {"type": "checkpoint", "kind": "last", "path": "checkpoints/last.pt", "step": 10, "epoch": 1.0},
]


@pytest.fixture
def link():
    """The host's end and the supervisor's."""
    theirs, ours = socket.socketpair()
    yield HostLink(ours), SupervisorLink(theirs)
    ours.close()
    theirs.close()


def attempt(root, link, *, number=1):
    """What a supervisor writes down of a run of one epoch; carries on as far as it lets itself."""
    run_dir = root / "runs" / "r"
    run_dir.mkdir(parents=True, exist_ok=True)
    journal = Journal(run_dir, dataclasses.replace(OLD, attempt=number), link)
    journal.tell("running")
    if journal.refusal is not None:
        raise journal.refusal
    for seq, event in enumerate(EVENTS, start=1):
        value = {"run_id": "r", "seq": seq, "time": 0.0, "monotonic": 0.0, "source": "worker", **event}
        journal.take(RawEvents(dumps(value), value))
        journal.flush()
    journal.finish(Outcome("completed", metrics={"accuracy": 0.5}))


def read(root):
    """All that the next command looks at; the run's status, None where there is no run."""
    directories = RunDirectories(root / "runs")
    (path,) = list(directories.paths()) or (None,)
    if path is None:
        return None
    run = Run(path, lambda *_: None)
    list_row(run)
    return report_object(run)["status"]


@pytest.mark.parametrize("how", HOWS)
def test_a_runs_folder_can_be_read_wherever_its_supervisor_failed(how, tmp_path, link):
    ours, theirs = link
    for case in every_fault(how, tmp_path, operation=lambda root: attempt(root, ours)):
        assert case.error is None or isinstance(case.error, (OSError, StorageError)), case
        status = read(case.root)
        assert status in (None, "completed", "failed", "interrupted"), case
        if how != "killed" and status not in ("completed", "failed") and case.error is None:
            theirs.wait(10.0)
            assert theirs.failure is not None, case  # it went on, and told the host what it could not write
            assert theirs.failure.type == "StorageError"
            theirs.failure = None
        attempt(case.root, ours, number=2)
        theirs.wait(10.0)
        assert read(case.root) == "completed", case
        run_dir = case.root / "runs" / "r"
        assert [row["epoch"] for row in read_history(run_dir)] == [1]
        assert read_record(run_dir / "run.json").last.path == "checkpoints/last.pt"
        assert sorted(path.name for path in run_dir.iterdir()) == ["events.jsonl", "run.json"], case


def test_room_is_kept_for_the_last_epochs_and_the_end(tmp_path, link, monkeypatch):
    """Where the disk is full, what the supervisor itself has set aside takes them."""
    ours, theirs = link
    reserve = tmp_path / RESERVE_FILE
    write, open_ = os.write, os.open
    journal = Journal(tmp_path, OLD, ours)
    journal.tell("running")
    assert reserve.stat().st_blocks * 512 >= RESERVE

    def full(fd, data):
        if reserve.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(fd, data)

    monkeypatch.setattr(os, "write", full)
    for epoch in (1, 2):
        value = {**EVENTS[0], "epoch": epoch, "run_id": "r", "seq": epoch, "time": 0.0, "monotonic": 0.0}
        journal.take(RawEvents(dumps({**value, "source": "worker"}), value))
        assert journal.flush() == (epoch == 2)
    journal.finish(Outcome("stopped", "asked to stop"))
    monkeypatch.undo()
    assert open_ is os.open
    assert [row["epoch"] for row in read_history(tmp_path)] == [1, 2]
    kept = read_record(tmp_path / "run.json")
    assert kept.status == "failed"
    assert "No space left on device" in kept.reason
    assert "Free some space" in kept.error.instruction
    assert not reserve.exists()
    assert theirs.failure is None


@pytest.mark.parametrize("how", HOWS)
def test_a_wish_is_left_whole_or_not_at_all(how, tmp_path):
    for case in every_fault(how, tmp_path, operation=lambda root: ask(root, "kill")):
        assert case.error is None or isinstance(case.error, StorageError), case
        assert take(case.root) in (None, "kill"), case
        ask(case.root, "stop")
        assert take(case.root) == "stop"


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP], ids=errno.errorcode.get)
def test_without_locks_nobody_can_say_whether_a_run_goes_on(tmp_path, monkeypatch, code):
    def refuse(_descriptor, _operation):
        raise OSError(code, os.strerror(code))

    (tmp_path / "lock").touch()
    write_record(tmp_path / "run.json", dataclasses.replace(OLD, status="running"))
    monkeypatch.setattr("visiontrain.storage.fcntl.flock", refuse)
    for ask_for in (is_being_worked_on, read_current_record):
        with pytest.raises(StorageError, match="can't be locked") as caught:
            ask_for(tmp_path)
        assert "local disk" in caught.value.instruction


def test_a_run_can_be_read_where_nothing_can_be_written(tmp_path, monkeypatch):
    """A shared lock needs no right to write."""
    (tmp_path / "lock").touch()
    real = os.open

    def read_only(path, flags, *rest, **options):
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        return real(path, flags, *rest, **options)

    monkeypatch.setattr(os, "open", read_only)
    assert not is_being_worked_on(tmp_path)


@pytest.mark.parametrize("outcome", [Outcome.failed(ErrorInfo(0, "no such file")), Outcome("completed")])
def test_a_folder_that_is_gone_at_the_end_is_why_it_ended(tmp_path, link, outcome):
    """However it ended: the worker found out first, or nobody did."""
    ours, theirs = link
    run_dir = tmp_path / "r"
    run_dir.mkdir()
    journal = Journal(run_dir, OLD, ours)
    journal.tell("running")
    shutil.rmtree(run_dir)
    journal.finish(outcome)
    theirs.wait(10.0)
    assert theirs.failure.type == "RunFailedError"
    assert f"{run_dir} was removed" in theirs.failure.message
