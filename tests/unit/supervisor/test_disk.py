"""The run's record and its events on a disk that refuses: at every write, in every way."""

from __future__ import annotations

import dataclasses

import pytest
from visiontrain_harness.faults import HOWS, every_fault
from visiontrain_harness.runs import record

from visiontrain.protocol.codec import dumps
from visiontrain.protocol.events import MetricsEvent, ResumedEvent, event_to_json
from visiontrain.rundir.events import read_events
from visiontrain.rundir.history import fold_history, read_history
from visiontrain.supervisor.events import EventLog
from visiontrain.supervisor.record import read_record, write_record

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
