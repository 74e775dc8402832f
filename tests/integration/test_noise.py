"""What a trainer and its children print and read can't touch a message; all of it is in the log."""

from __future__ import annotations

import math
import time

import pytest
from visiontrain_harness import runs
from visiontrain_harness.json_lines import lines_of
from visiontrain_harness.processes import PATIENCE

from visiontrain.cli.results import result
from visiontrain.cli.run_report import report_object
from visiontrain.errors import RunFailedError
from visiontrain.protocol.codec import dumps
from visiontrain.protocol.events import LogEvent, MetricsEvent, StatusEvent, event_to_json, join_non_finite
from visiontrain.rundir.events import read_events

#: Seconds from an event's making to its reading, on a machine that is busy with other tests.
LATE = 5.0

NOT_FINITE = {"train_loss": math.nan, "val_loss": math.inf, "accuracy": -math.inf, "images_per_second": 0.5}


def test_ten_megabytes_on_each_stream_are_in_the_log_and_no_event_is_lost_or_late(start):
    handle = start("noisy:TenMegabytes")
    steps, delays = [], []
    for event in handle.events(timeout=PATIENCE):
        delays.append(time.time() - event.time)
        if isinstance(event, MetricsEvent):
            steps.append(event.step)
    assert handle.status == "completed"
    assert steps == list(range(100))
    assert max(delays) < LATE
    log = (handle.run_dir / "worker.log").read_bytes()
    assert log.count(b"x") == 2 * 100 * 99_997
    assert log.count(b"\xff{}") == 200
    assert log.count(b'{"jsonrpc":"2.0","method":"event","params":{}}') == 100
    assert all(b"%d null [1," % number in log for number in range(100))
    assert log.rstrip().endswith(b"the last words")
    assert handle.run.log.endswith("the last words")


def test_children_speak_to_the_log_and_hear_nothing(start):
    handle = start("noisy:TalkativeChildren")
    began = time.monotonic()
    told = [event.message for event in handle.events(timeout=PATIENCE) if isinstance(event, LogEvent)]
    assert handle.status == "completed"
    # The child that is left does not hold the end up.
    assert time.monotonic() - began < PATIENCE / 2
    assert told == ["fork: 0", "spawn: 0", "forkserver: 0", "shell: 0", "python: 0"]
    log = (handle.run_dir / "worker.log").read_bytes()
    for how in (b"fork", b"spawn", b"forkserver"):
        assert how + b" writes\n" in log
        assert how + b' prints {"jsonrpc":"2.0","id":2,"result":null}\n' in log
        assert how + b" reads '' and b''\n" in log
    for said in (b"the shell writes\nand its input is over\nwithout a newline", b"python reads b''\n", b"yyyy"):
        assert said in log


def test_a_question_to_the_person_is_an_error_at_once(start):
    handle = start("noisy:Asks")
    began = time.monotonic()
    with pytest.raises(RunFailedError, match="EOFError") as caught:
        handle.wait(timeout=PATIENCE)
    assert time.monotonic() - began < PATIENCE / 2
    assert "input(" in caught.value.remote_traceback
    assert "Go on? " in handle.run.log


@pytest.mark.parametrize("best", [False, True])
def test_what_is_not_finite_arrives_as_such_everywhere(start, best):
    handle = start("noisy:NotFinite", best=best)
    followed = list(runs.follow(handle.run_dir).events(timeout=PATIENCE))
    run = handle.wait(timeout=PATIENCE)
    kept = list(read_events(handle.run_dir / "events.jsonl"))
    for event in (*followed, *kept):
        if isinstance(event, MetricsEvent):
            assert same(join_non_finite(event.values, event.non_finite))
    assert len([event for event in kept if isinstance(event, MetricsEvent)]) == 2
    (row,) = run.history
    assert same({name: value for name, value in row.items() if name not in ("epoch", "step")})
    assert same(run.metrics)
    if not best:
        (*_, status) = (event for event in kept if isinstance(event, StatusEvent))
        assert same(join_non_finite(status.metrics, status.non_finite))
    # As the command line tells it: strict JSON, a null with its name beside it.
    told = [result(run), report_object(run), report_object(run)["history"][0], *map(event_to_json, kept)]
    for line in lines_of("\n".join(dumps(each).decode() for each in told)):
        if line.get("metrics"):
            assert same(join_non_finite(line["metrics"], line["non_finite"]))


def same(values):
    return {name: str(value) for name, value in values.items()} == {k: str(v) for k, v in NOT_FINITE.items()}
