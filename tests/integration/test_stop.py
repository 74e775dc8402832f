"""Every way to stop a run, and what is done with a trainer that does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from visiontrain_harness import runs
from visiontrain_harness.processes import PATIENCE, alive, until

from visiontrain.errors import RunError
from visiontrain.protocol.events import LogEvent, ResumedEvent
from visiontrain.rundir.directory import is_being_worked_on
from visiontrain.session import Session

LONG = {"steps": 100_000, "pause": 0.01}

#: Short where the next step is what is tested, long where reaching it would be the failure.
IMPATIENT = runs.Deadlines(stop=0.3, interrupt=60.0)
VERY_IMPATIENT = runs.Deadlines(stop=0.3, interrupt=0.3)

STOP_BY_FILE = (
    "import sys; from pathlib import Path; from visiontrain.handles import Run; Run(Path(sys.argv[1]), None).stop()"
)


@pytest.fixture
def steady(start):
    """A run of a trainer that stops when it is asked to, under way."""
    handle = start("base:Steady", **LONG)
    under_way(handle)
    return handle


def under_way(handle):
    until(lambda: b'"source":"worker"' in (handle.run_dir / "events.jsonl").read_bytes(), "the trainer reports")


def to_the_end(handle):
    return list(handle.events(timeout=PATIENCE))


class TestAsked:
    def check(self, handle, reason):
        to_the_end(handle)
        record = handle.run.record
        assert record.status == "stopped"
        assert reason in record.reason
        assert handle.run.last_checkpoint.is_file()
        assert record.last.step >= 1
        # Stopping is no failure.
        assert handle.wait().status == "stopped"

    def test_by_its_handle(self, steady):
        steady.stop()
        self.check(steady, "asked to stop")

    def test_by_its_run(self, steady):
        steady.run.stop()
        self.check(steady, "asked to stop")

    def test_by_another_process(self, steady):
        subprocess.run([sys.executable, "-c", STOP_BY_FILE, str(steady.run_dir)], check=True)
        self.check(steady, "asked to stop")

    def test_by_a_signal_to_its_supervisor(self, steady):
        os.kill(steady.run.record.supervisor_pid, signal.SIGTERM)
        self.check(steady, "SIGTERM")

    def test_by_a_signal_to_its_worker(self, steady):
        os.kill(steady.run.record.worker.pid, signal.SIGTERM)
        self.check(steady, "SIGTERM")

    def test_by_a_signal_to_every_process(self, steady):
        """As a service manager and a shutdown do."""
        record = steady.run.record
        for pid in (record.worker.pid, record.supervisor_pid):
            os.kill(pid, signal.SIGTERM)
        self.check(steady, "SIGTERM")

    def test_twice(self, steady):
        steady.stop()
        steady.run.stop()
        steady.stop()
        self.check(steady, "asked to stop")

    def test_before_the_trainer_has_begun(self, start):
        handle = start("base:Steady", **LONG)
        handle.stop()
        self.check(handle, "asked to stop")

    def test_a_terminals_signals_do_not_reach_it(self, steady):
        for pid in (steady.run.record.supervisor_pid, steady.run.record.worker.pid):
            assert os.getsid(pid) != os.getsid(0)

    def test_a_request_for_an_earlier_attempt_does_not_count(self, steady, start):
        steady.stop()
        to_the_end(steady)
        (steady.run_dir / "stop").touch()
        assert start("base:Steady", run_dir=steady.run_dir).wait(timeout=PATIENCE).status == "completed"

    def test_a_run_that_is_over_is_left_as_it_is(self, start):
        handle = start("base:Steady")
        handle.wait(timeout=PATIENCE)
        handle.stop()
        handle.run.stop()
        assert not (handle.run_dir / "stop").exists()
        assert handle.status == "completed"


class TestSteps:
    def test_a_trainer_that_ignores_the_flag_is_interrupted(self, start):
        handle = start("will_not_stop:IgnoresFlag", deadlines=IMPATIENT)
        under_way(handle)
        handle.stop()
        to_the_end(handle)
        assert handle.status == "stopped"
        words = "it reached no safe point in time, before its first checkpoint: resuming it begins anew"
        assert words in handle.run.record.reason

    def test_one_that_ignores_the_interrupt_too_is_killed(self, start):
        handle = start("will_not_stop:IgnoresInterrupt", deadlines=VERY_IMPATIENT)
        under_way(handle)
        worker = handle.run.record.worker.pid
        handle.stop()
        to_the_end(handle)
        assert handle.status == "stopped"
        assert not alive(worker)

    def test_kill_does_not_wait_for_a_safe_point(self, start):
        handle = start("will_not_stop:IgnoresInterrupt")
        under_way(handle)
        handle.kill()
        to_the_end(handle)
        assert handle.status == "stopped"
        assert "asked to end at once" in handle.run.record.reason
        assert "safe point" not in handle.run.record.reason  # it was given no time for one

    def test_kill_overtakes_a_stop(self, start):
        handle = start("will_not_stop:IgnoresInterrupt")
        under_way(handle)
        handle.stop()
        handle.kill()
        to_the_end(handle)
        assert handle.status == "stopped"

    def test_asking_again_and_again_to_kill_it_does_not_put_its_end_off(self, start):
        handle = start("will_not_stop:IgnoresInterrupt")
        under_way(handle)
        until(lambda: handle.kill() or not is_being_worked_on(handle.run_dir), "the run ends")
        assert handle.status == "stopped"

    @pytest.mark.parametrize("stopped_before", [False, True])
    def test_any_process_can_kill_a_run(self, start, stopped_before):
        handle = start("will_not_stop:IgnoresInterrupt")
        under_way(handle)
        another = runs.follow(handle.run_dir)
        if stopped_before:
            another.stop()
            until(lambda: not (handle.run_dir / "stop").exists(), "the wish is taken")
        another.kill()
        to_the_end(another)
        assert another.status == "stopped"
        assert "asked to end at once" in another.run.record.reason

    def test_only_whoever_started_a_run_can_let_it_go(self, steady):
        with pytest.raises(RunError, match="only the process that started a run"):
            runs.follow(steady.run_dir).detach()

    def test_an_interrupted_trainer_can_still_report(self, start):
        # The interrupt ends the request, not the worker: what was reported before is all there, in order.
        handle = start("will_not_stop:IgnoresFlag", deadlines=IMPATIENT)
        under_way(handle)
        handle.stop()
        events = to_the_end(handle)
        assert [event.message for event in events if isinstance(event, LogEvent)] == ["busy"]


class TestGoingOn:
    """After a stop that no safe point came in time for."""

    @pytest.fixture
    def impatient(self, session):
        return Session(session.home.root, deadlines=runs.Deadlines(stop=0.2, interrupt=0.2))

    @pytest.mark.parametrize("how", ["stop", "kill"])
    def test_from_the_last_checkpoint(self, impatient, pictures, how):
        handle = impatient.start(pictures, model="count_small", epochs=3, steps=2, pause=1.0)
        until(lambda: handle.run.record.last, "the first checkpoint")
        getattr(handle, how)()
        to_the_end(handle)
        record = handle.run.record
        assert record.status == "stopped"
        assert "the work since its last checkpoint, at 1 epochs, is lost" in record.reason
        self.check_resumed(impatient.resume(), step=2)

    def test_from_the_beginning_where_there_is_no_checkpoint(self, impatient, pictures):
        handle = impatient.start(pictures, model="count_small", epochs=3, steps=2, pause=0.5)
        under_way(handle)
        handle.stop()
        to_the_end(handle)
        record = handle.run.record
        assert (record.status, record.last) == ("stopped", None)
        assert "before its first checkpoint: resuming it begins anew" in record.reason
        self.check_resumed(impatient.resume(), step=0)

    def check_resumed(self, handle, *, step):
        until(lambda: b'"type":"resumed"' in (handle.run_dir / "events.jsonl").read_bytes(), "the trainer goes on")
        handle.kill()
        (resumed,) = [event for event in to_the_end(handle) if isinstance(event, ResumedEvent)]
        assert resumed.step == step
        assert (resumed.checkpoint is None) == (step == 0)
