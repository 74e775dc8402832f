"""However a worker, its supervisor or its host ends: it is told in words, and nothing stays behind."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from visiontrain_harness import runs
from visiontrain_harness.processes import GONE, HOST_GONE, PATIENCE, TOLD, alive, promised, until

from visiontrain.errors import (
    ProtocolError,
    RunBusyError,
    RunFailedError,
    RunInterruptedError,
    StorageError,
    WeightsError,
    WorkerCrashedError,
)
from visiontrain.rundir.directory import is_being_worked_on
from visiontrain.supervisor.stopping import URGENT

LINUX = sys.platform == "linux"

#: A host that starts a run and follows it.
HOST = """
import sys
from pathlib import Path
from visiontrain_harness import runs
home, trainer, detached = sys.argv[1:4]
options = dict(pair.split("=") for pair in sys.argv[4:])
options = {name: float(value) if value.replace(".", "").isdigit() else value for name, value in options.items()}
if "steps" in options:
    options["steps"] = int(options["steps"])
handle = runs.start(Path(home), trainer, detached=detached == "detached", **options)
print(handle.run_dir, flush=True)
for event in handle.events():
    pass
"""


def pids_of(run_dir):
    """The processes that the trainer `leaves_children` has started, itself the first."""
    path = run_dir / "artifacts" / "pids"
    return [int(pid) for pid in until(lambda: path.exists() and path.read_text().split(), "the trainer's children")]


def fails_promptly(start, trainer, error, **options):
    """Start a run that fails; give it with what was raised, which came soon after the last that its worker said."""

    def attempt():
        handle = start(trainer, **options)
        with pytest.raises(error) as caught:
            handle.wait(timeout=PATIENCE)
        raised = time.monotonic()
        last = [event for event in handle.events(timeout=PATIENCE) if event.source == "worker"][-1]
        return raised - last.monotonic, (handle, caught)

    return promised(attempt, within=TOLD)


def handle_processes(handle):
    """The guard, the supervisor and the worker."""
    supervisor = handle.run.record.supervisor_pid
    parent = int(Path(f"/proc/{supervisor}/stat").read_text().rpartition(")")[2].split()[1])
    return parent, supervisor, handle.run.record.worker.pid


def reported(run_dir):
    """Whether a trainer has begun to report."""
    events = run_dir / "events.jsonl"
    return events.exists() and b'"source":"worker"' in events.read_bytes()


class TestWorker:
    @pytest.mark.parametrize(
        ("how", "words"),
        [
            ("SIGKILL", "killed by SIGKILL (likely out of memory"),
            ("segfault", "killed by SIGSEGV (a fault in native code)"),
            ("abort", "killed by SIGABRT (native code gave up)"),
            ("os._exit 0", "ended with exit code 0 without an answer"),
            ("os._exit 3", "ended with exit code 3 without an answer"),
        ],
    )
    def test_its_end_is_told_in_words_with_the_logs_last_lines(self, start, how, words):
        handle, caught = fails_promptly(start, "dies:Trainer", WorkerCrashedError, how=how)
        assert words in caught.value.reason
        assert caught.value.run_id == handle.run_id
        assert caught.value.instruction is None  # there is no checkpoint to go on from
        assert "last words" in caught.value.log_tail
        assert handle.status == "failed"
        assert words in handle.run.record.reason
        # What it had reported until then is kept.
        assert [row["train_loss"] for row in handle.run.history] == [1.0]

    @pytest.mark.parametrize("how", ["SIGKILL", "raise"])
    def test_where_there_is_a_checkpoint_it_is_told_how_to_go_on(self, start, how):
        handle, caught = fails_promptly(start, "dies:AfterCheckpoint", (WorkerCrashedError, RunFailedError), how=how)
        assert f"visiontrain resume {handle.run_id}" in caught.value.instruction
        assert caught.value.log_tail.splitlines()[-1] == "last words"

    @pytest.mark.parametrize("then", ["go on", "hold the GIL"])
    def test_killed_with_children_of_every_kind_it_is_told_within_a_second_and_they_are_gone(self, start, then):
        def attempt():
            handle = start("leaves_children:Trainer", then=then)
            pids = pids_of(handle.run_dir)
            began = time.monotonic()
            os.kill(handle.run.record.worker.pid, signal.SIGKILL)
            with pytest.raises(WorkerCrashedError, match="killed by SIGKILL"):
                handle.wait(timeout=PATIENCE)
            seconds = time.monotonic() - began
            assert not any(map(alive, pids if LINUX else pids[:-1]))
            return seconds, None

        promised(attempt, within=TOLD)

    def test_of_want_of_memory(self, start):
        _, caught = fails_promptly(start, "runs_out_of_memory:Trainer", RunFailedError)
        assert caught.value.reason == "MemoryError"
        assert "--batch-size" in caught.value.instruction
        assert caught.value.log_tail == "last words"

    def test_the_log_of_an_earlier_attempt_is_not_taken_for_this_ones(self, start):
        first = start("dies:Trainer", how="SIGKILL")
        with pytest.raises(WorkerCrashedError):
            first.wait(timeout=PATIENCE)
        with pytest.raises(RunFailedError) as caught:
            start("raises:WithCause", run_dir=first.run_dir).wait(timeout=PATIENCE)
        assert caught.value.log_tail is None

    def test_the_best_epochs_metrics_stay_with_its_weights(self, start):
        handle = start("gets_worse:Trainer")
        with pytest.raises(WorkerCrashedError):
            handle.wait(timeout=PATIENCE)
        assert handle.run.best_checkpoint.read_text() == "weights"
        assert handle.run.metrics == {"accuracy": 0.9}
        assert [row["accuracy"] for row in handle.run.history] == [0.9, 0.1]

    def test_it_dies_while_it_loads_the_framework(self, start):
        handle = start("dies:InDescribe", how="unused")
        with pytest.raises(WorkerCrashedError, match="exit code 4") as caught:
            handle.wait(timeout=PATIENCE)
        assert "last words" in str(caught.value)

    def test_sys_exit_in_the_trainer_is_a_failure_of_the_trainer(self, start):
        handle = start("dies:Trainer", how="sys.exit")
        with pytest.raises(RunFailedError, match="SystemExit: 5"):
            handle.wait(timeout=PATIENCE)

    def test_an_exception_arrives_whole(self, start):
        handle = start("raises:WithCause")
        with pytest.raises(RunFailedError) as caught:
            handle.wait(timeout=PATIENCE)
        assert caught.value.reason == "ValueError: the failure"
        assert caught.value.run_id == handle.run_id
        assert "KeyError: 'the cause'" in caught.value.remote_traceback
        assert "The above exception was the direct cause" in caught.value.remote_traceback

    def test_an_exception_that_no_other_process_knows_arrives_with_all_that_belongs_to_it(self, start):
        _, caught = fails_promptly(start, "raises:OfItsOwnClass", RunFailedError)
        text = caught.value.remote_traceback
        told = ["OSError: the context", "KeyError: 'the cause'", "direct cause", "_OwnError: the failure \N{SNOWMAN}"]
        if sys.version_info >= (3, 11):
            told += ["several (2 sub-exceptions)", "a note", "TypeError: a member", "a member's note"]
            assert caught.value.reason == "ExceptionGroup: several (2 sub-exceptions)"
        else:
            assert "visiontrain_defects.raises._OwnError: the failure" in caught.value.reason
        assert [words for words in told if words not in text] == []
        assert caught.value.log_tail == "last words"
        assert "the failure" in str(caught.value)
        assert "last words" in str(caught.value)

    def test_an_exception_without_text(self, start):
        with pytest.raises(RunFailedError, match="its message can't be shown: RuntimeError") as caught:
            start("raises:Unprintable").wait(timeout=PATIENCE)
        assert "_UnprintableError" in caught.value.remote_traceback

    def test_an_error_of_ours_is_raised_as_itself(self, start):
        with pytest.raises(WeightsError, match="there are no weights") as caught:
            start("raises:WeightsMissing").wait(timeout=PATIENCE)
        assert caught.value.instruction == "Take others."

    def test_a_framework_that_does_not_load(self, start):
        with pytest.raises(RunFailedError, match="ImportError: no framework here"):
            start("raises:InDescribe").wait(timeout=PATIENCE)

    @pytest.mark.parametrize("trainer", ["missing_module:Trainer", "base:MissingClass"])
    def test_a_trainer_that_is_not_there(self, start, trainer):
        handle = start(trainer)
        with pytest.raises(Exception, match=r"missing_module|MissingClass"):
            handle.wait(timeout=PATIENCE)
        assert handle.status == "failed"

    def test_its_program_is_missing(self, start, tmp_path, monkeypatch):
        monkeypatch.setattr(runs, "bare_python", lambda: tmp_path / "no-python")
        handle = start("base:Steady")
        with pytest.raises(RunFailedError, match="no-python"):
            handle.wait(timeout=PATIENCE)

    @pytest.mark.parametrize(
        ("trainer", "words"),
        [
            ("says_nonsense:ReturnsNone", "TrainResult"),
            ("says_nonsense:ReturnsObject", "not representable as strict JSON"),
            ("says_nonsense:WritesIntoThePipe", "protocol error"),
        ],
    )
    def test_an_answer_that_is_not_the_protocols(self, start, trainer, words):
        handle = start(trainer)
        with pytest.raises(ProtocolError, match=words):
            handle.wait(timeout=PATIENCE)
        assert handle.status == "failed"

    def test_one_that_does_not_end_after_its_answer_is_ended(self, start):
        handle = start("will_not_stop:Lingers", deadlines=runs.Deadlines(shutdown=0.2))
        worker = until(lambda: handle.run.record.worker, "the worker's answer").pid
        assert handle.wait(timeout=PATIENCE).status == "completed"
        assert not alive(worker)


@pytest.mark.parametrize("then", ["complete", "crash", "stop"])
def test_nothing_that_a_worker_started_outlives_it(start, then):
    def attempt():
        handle = start("leaves_children:Trainer", then=then, deadlines=runs.Deadlines(shutdown=0.5))
        pids = pids_of(handle.run_dir)
        began = time.monotonic()
        if then == "stop":
            handle.stop()
        # A child that was forked holds what the worker had open: the end is the process's, not a pipe's.
        for _ in handle.events(timeout=PATIENCE):
            pass
        seconds = time.monotonic() - began
        assert handle.status == {"complete": "completed", "crash": "failed", "stop": "stopped"}[then]
        # Daemons are found where orphans become their supervisor's children, which Linux alone has.
        assert [pid for pid in (pids if LINUX else pids[:-1]) if alive(pid)] == []
        return seconds, None

    promised(attempt, within=GONE)


class TestHost:
    @pytest.mark.parametrize("then", ["go on", "hold the GIL"])
    def test_killed_everything_ends_and_the_run_reads_interrupted(self, host, tmp_path, then):
        def attempt():
            process, line = host(HOST, tmp_path, "leaves_children:Trainer", "attached", f"then={then}")
            run_dir = type(tmp_path)(line)
            pids = pids_of(run_dir)
            pids.append(runs.follow(run_dir).run.record.supervisor_pid)
            began = time.monotonic()
            process.kill()
            until(lambda: not any(map(alive, pids if LINUX else pids[:-2])), "the run's processes end")
            until(lambda: not is_being_worked_on(run_dir), "the supervisor ends")
            return time.monotonic() - began, run_dir

        run_dir = promised(attempt, within=HOST_GONE)
        run = runs.follow(run_dir).run
        assert run.status == "interrupted"
        with pytest.raises(RunInterruptedError, match="the process that started the run ended"):
            run.raise_for_status()

    def test_the_promise_of_ten_seconds(self):
        deadlines = runs.Deadlines()
        # The interrupt gets a second and so does an end in good order, ending what is left two.
        assert deadlines.host_gone + URGENT + URGENT + 2 <= 10

    def test_killed_a_trainer_that_looks_at_the_flag_leaves_its_checkpoint(self, host, tmp_path):
        process, line = host(HOST, tmp_path, "base:Steady", "attached", "steps=100000", "pause=0.01")
        run_dir = type(tmp_path)(line)
        until(lambda: reported(run_dir), "the trainer reports")
        process.kill()
        until(lambda: not is_being_worked_on(run_dir), "the run ends")
        run = runs.follow(run_dir).run
        assert run.status == "interrupted"
        assert run.last_checkpoint.is_file()

    @pytest.mark.parametrize(
        "end",
        [
            "sys.exit()",
            "del handle; import gc; gc.collect(); import time; time.sleep(60)",
            "raise ValueError",
            "import os; os._exit(0)",
        ],
    )
    def test_that_ends_without_a_word_or_lets_go_stops_its_run_with_a_checkpoint(self, host, tmp_path, end):
        code = HOST.replace(
            "for event in handle.events():\n    pass", f"sys.stdin.readline(); sys.stderr.close(); {end}"
        )
        process, line = host(code, tmp_path, "base:Steady", "attached", "steps=100000", "pause=0.01")
        run_dir = type(tmp_path)(line)
        until(lambda: reported(run_dir), "the trainer reports")
        process.stdin.write("\n")
        process.stdin.flush()
        until(lambda: not is_being_worked_on(run_dir), "the run ends", within=HOST_GONE)
        run = runs.follow(run_dir).run
        assert run.status == "interrupted"
        assert run.last_checkpoint.is_file()

    def test_a_later_process_follows_waits_and_stops_a_detached_run(self, host, tmp_path):
        process, line = host(HOST, tmp_path, "base:Steady", "detached", "steps=100000", "pause=0.01")
        process.kill()
        process.wait()
        handle = runs.follow(type(tmp_path)(line))
        with pytest.raises(TimeoutError):
            handle.wait(timeout=0.1)
        events = handle.events(timeout=PATIENCE)
        assert next(events).status == "running"
        handle.stop()
        assert list(events)[-1].status == "stopped"
        assert handle.wait().last_checkpoint.is_file()

    def test_a_detached_run_goes_on(self, host, tmp_path):
        process, line = host(HOST, tmp_path, "base:Steady", "detached", "steps=100", "pause=0.01")
        run_dir = type(tmp_path)(line)
        process.kill()
        process.wait()
        handle = runs.follow(run_dir)
        assert handle.wait(timeout=PATIENCE).status == "completed"
        assert handle.run.record.last is None

    def test_a_run_that_is_detached_later_goes_on(self, host, tmp_path):
        code = HOST.replace("for event", "handle.detach()\nprint('detached', flush=True)\nfor event")
        process, line = host(code, tmp_path, "base:Steady", "attached", "steps=100", "pause=0.01")
        assert process.stdout.readline() == "detached\n"
        process.kill()
        assert runs.follow(type(tmp_path)(line)).wait(timeout=PATIENCE).status == "completed"

    def test_a_forked_child_does_not_keep_the_run_attached(self, host, tmp_path):
        code = HOST.replace("for event", "import os, time\nif os.fork() == 0: time.sleep(30); os._exit(0)\nfor event")
        process, line = host(code, tmp_path, "base:Steady", "attached", "steps=100000", "pause=0.01")
        run_dir = type(tmp_path)(line)
        until(lambda: reported(run_dir), "the trainer reports")
        process.kill()
        until(lambda: not is_being_worked_on(run_dir), "the run ends", within=HOST_GONE)
        assert runs.follow(run_dir).status == "interrupted"


class TestSupervisor:
    def test_killed_its_worker_dies_and_the_run_reads_interrupted(self, start):
        handle = start("will_not_stop:IgnoresInterrupt")
        worker = until(lambda: handle.run.record.worker, "the worker's answer").pid
        until(lambda: reported(handle.run_dir), "the trainer reports")
        os.kill(handle.run.record.supervisor_pid, signal.SIGKILL)
        with pytest.raises(RunInterruptedError, match="its supervisor ended without a word"):
            handle.wait(timeout=PATIENCE)
        until(lambda: not alive(worker), "the worker ends", within=GONE)
        assert handle.status == "interrupted"
        assert handle.run.record.supervisor_pid is None

    @pytest.mark.skipif(not LINUX, reason="Linux alone gives orphans to the guard above")
    @pytest.mark.parametrize("then", ["go on", "hold the GIL"])
    def test_killed_nothing_is_left_over(self, start, then):
        def attempt():
            handle = start("leaves_children:Trainer", then=then)
            pids = pids_of(handle.run_dir)
            began = time.monotonic()
            os.kill(handle.run.record.supervisor_pid, signal.SIGKILL)
            with pytest.raises(RunInterruptedError, match="its supervisor ended without a word"):
                handle.wait(timeout=PATIENCE)
            seconds = time.monotonic() - began
            # Whoever learns that the run is over finds nothing of it.
            assert [pid for pid in pids if alive(pid)] == []
            return seconds, handle

        handle = promised(attempt, within=TOLD)
        assert handle.status == "interrupted"
        assert "the supervisor was killed by SIGKILL" in handle.run.log

    @pytest.mark.skipif(not LINUX, reason="Linux alone gives orphans to the guard above")
    def test_a_signal_to_every_process_does_not_end_its_guard_before_it(self, start):
        handle = start("leaves_children:Trainer", then="stop", deadlines=runs.Deadlines(shutdown=0.5))
        pids = pids_of(handle.run_dir)
        for pid in handle_processes(handle):
            os.kill(pid, signal.SIGTERM)
        for _ in handle.events(timeout=PATIENCE):
            pass
        assert handle.status == "stopped"
        assert [pid for pid in pids if alive(pid)] == []

    @pytest.mark.skipif(not LINUX, reason="the guard's process id is read from /proc")
    def test_without_its_guard_it_goes_on(self, start):
        handle = start("base:Steady", steps=50, pause=0.01)
        until(lambda: handle.run.record.worker, "the worker's answer")
        os.kill(handle_processes(handle)[0], signal.SIGKILL)
        assert handle.wait(timeout=PATIENCE).status == "completed"

    def test_after_that_the_run_can_be_taken_up_again(self, start):
        first = start("base:Steady", steps=100_000, pause=0.01)
        os.kill(first.run.record.supervisor_pid, signal.SIGKILL)
        for _ in first.events(timeout=PATIENCE):
            pass
        second = start("base:Steady", run_dir=first.run_dir)
        assert second.wait(timeout=PATIENCE).status == "completed"

    def test_a_run_has_one_alone(self, start):
        first = start("base:Steady", steps=100_000, pause=0.01)
        with pytest.raises(RunBusyError, match="another process is working on the run") as caught:
            start("base:Steady", run_dir=first.run_dir)
        assert caught.value.run_id == first.run_id
        assert first.status == "running"

    def test_that_can_not_start_says_why(self, tmp_path):
        with pytest.raises(WorkerCrashedError, match="before it started the run") as caught:
            runs.start(tmp_path, "base:Steady", deadlines=runs.Deadlines(stop="soon"))
        assert "ProtocolError" in caught.value.log_tail

    def test_that_can_not_write_says_why(self, tmp_path):
        blocked = tmp_path / "runs" / "blocked"
        blocked.mkdir(parents=True)
        (blocked / "worker.log").mkdir()
        with pytest.raises(StorageError, match="the run blocked can't be begun: Is a directory") as caught:
            runs.start(tmp_path, "base:Steady", run_dir=blocked)
        assert caught.value.instruction

    @pytest.mark.parametrize("missing", ["socket.socketpair", "subprocess.Popen"])
    def test_that_can_not_start_for_want_of_descriptors_or_processes_says_so(self, start, monkeypatch, missing):
        def refuse(*_, **__):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        start("base:Steady").wait(timeout=PATIENCE)  # what else a run needs is made
        with monkeypatch.context() as patched:
            patched.setattr(missing, refuse)
            with pytest.raises(WorkerCrashedError, match=r"the supervisor could not be started: .*Too many open files"):
                start("base:Steady")

    def test_no_zombie_is_left_to_the_host(self, start):
        handle = start("base:Steady")
        handle.wait(timeout=PATIENCE)
        with pytest.raises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
