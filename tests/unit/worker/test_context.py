from __future__ import annotations

import threading

import pytest
from visiontrain_harness.runs import params

from visiontrain.errors import ProtocolError
from visiontrain.protocol.codec import encode_event
from visiontrain.protocol.events import (
    ArtifactEvent,
    CheckpointEvent,
    EstimateEvent,
    LogEvent,
    MetricsEvent,
    ProgressEvent,
    ResumedEvent,
    event_from_json,
    event_to_json,
)
from visiontrain.worker.context import RunContext


@pytest.fixture
def sent():
    return []


@pytest.fixture
def context(tmp_path, sent):
    def send(event):
        encode_event(event)
        sent.append(event)

    return RunContext(params("r", tmp_path), send)


def test_events_carry_what_was_said(context, sent, tmp_path):
    context.metrics({"accuracy": 0.5, "val_loss": float("inf")}, step=3, epoch=1)
    context.progress("train", epoch=1, epochs=2, step=1, steps=3, values={"train_loss": float("nan")}, message="m")
    context.checkpoint(tmp_path / "checkpoints" / "last.pt", kind="last", step=3, epoch=1.0, exact=False, reason="why")
    context.artifact(tmp_path / "artifacts" / "matrix.json", kind="matrix")
    context.resumed(step=3, epoch=1.0, checkpoint=tmp_path / "checkpoints" / "last.pt")
    context.resumed(step=0, epoch=0.0, checkpoint=None)
    context.log("text", level="warning")
    context.estimate(seconds=60.0, epoch_seconds=20, epochs=3, memory=5, memory_total=7)
    events = [event_from_json(event) for event in sent]
    # The context writes the objects itself: they must be what the dataclasses would have given.
    assert [{**event_to_json(event)} for event in events] == sent
    assert [event.seq for event in events] == list(range(1, 9))
    assert {event.run_id for event in events} == {"r"}
    moments = [event.monotonic for event in events]
    assert moments == sorted(moments)
    metrics, progress, checkpoint, artifact, resumed, fresh, log, estimate = events
    assert isinstance(metrics, MetricsEvent)
    assert metrics.values == {"accuracy": 0.5, "val_loss": None}
    assert metrics.non_finite == {"val_loss": "Infinity"}
    assert isinstance(progress, ProgressEvent)
    assert progress.values == {"train_loss": None}
    assert isinstance(checkpoint, CheckpointEvent)
    assert (checkpoint.path, checkpoint.exact, checkpoint.reason) == ("checkpoints/last.pt", False, "why")
    assert isinstance(artifact, ArtifactEvent)
    assert artifact.path == "artifacts/matrix.json"
    assert isinstance(resumed, ResumedEvent)
    assert (resumed.checkpoint, fresh.checkpoint) == ("checkpoints/last.pt", None)
    assert isinstance(log, LogEvent)
    assert (log.level, log.message) == ("warning", "text")
    assert isinstance(estimate, EstimateEvent)
    assert (estimate.seconds, estimate.epoch_seconds, estimate.epochs) == (60.0, 20.0, 3.0)
    assert (estimate.memory, estimate.memory_total) == (5, 7)


def test_a_file_outside_the_runs_folder_is_refused(context, sent, tmp_path):
    for path in (tmp_path.parent / "elsewhere.pt", tmp_path / ".." / "elsewhere.pt"):
        with pytest.raises(ValueError, match="elsewhere"):
            context.checkpoint(path, kind="last", step=1, epoch=1.0)
    assert sent == []


def test_an_event_that_can_not_be_sent_leaves_no_gap(context, sent):
    context.log("before")
    with pytest.raises(ProtocolError):
        context.log(object())
    with pytest.raises((TypeError, ValueError)):
        context.metrics({"accuracy": "high"}, step=1, epoch=1)
    context.log("after")
    assert [event["seq"] for event in sent] == [1, 2]


def test_progress_is_thinned_out_but_for_first_and_last(context, sent):
    for step in range(10_001):
        context.progress("train", step=step, steps=10_000)
    steps = [event["step"] for event in sent]
    assert steps[0] == 0
    assert steps[-1] == 10_000
    assert len(steps) < 5_000


def test_threads_do_not_mix_up_the_order(tmp_path):
    seen = []
    context = RunContext(params("r", tmp_path), lambda event: seen.append(event["seq"]))
    threads = [threading.Thread(target=lambda: [context.log("x") for _ in range(2_000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == list(range(1, 8_001))


def test_a_stop_is_seen(context):
    assert not context.stop_requested
    context.request_stop()
    assert context.stop_requested


def test_folders_are_below_the_runs(context, tmp_path):
    assert context.checkpoints_dir == tmp_path / "checkpoints"
    assert context.artifacts_dir == tmp_path / "artifacts"


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (lambda context, _: context.log(5), r"LogEvent\.message: expected str, got int"),
        (lambda context, _: context.log("m", level="loud"), r"LogEvent\.level: expected one of"),
        (lambda context, _: context.progress(1), r"ProgressEvent\.phase"),
        (lambda context, _: context.progress("train", step=1.5, steps=1), r"ProgressEvent\.step: expected int"),
        (lambda context, path: context.artifact(path / "x", kind=3), r"ArtifactEvent\.kind"),
        (lambda context, path: context.checkpoint(path / "x", kind="first", step=1, epoch=1), r"CheckpointEvent\.kind"),
        (lambda context, _: context.resumed(step="1", epoch=1, checkpoint=None), r"ResumedEvent\.step"),
    ],
)
def test_what_a_reader_would_pass_over_is_told_and_not_sent(context, sent, tmp_path, report, words):
    with pytest.raises(ProtocolError, match=words):
        report(context, tmp_path)
    assert sent == []
    context.log("next")
    assert sent[0]["seq"] == 1


def test_a_scope_that_there_is_not(context, sent):
    with pytest.raises(ValueError, match="scope: expected 'epoch' or 'step', got 'batch'"):
        context.metrics({"accuracy": 1.0}, step=1, epoch=1, scope="batch")
    assert sent == []


def test_after_the_run_nothing_is_reported(context, sent):
    context.close()
    with pytest.raises(ProtocolError, match="a metrics event came after the trainer had returned"):
        context.metrics({"accuracy": 1.0}, step=1, epoch=1)
    assert sent == []
