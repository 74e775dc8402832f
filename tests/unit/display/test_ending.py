from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console
from visiontrain_harness.runs import record

from visiontrain.display.ending import next_commands, say_ending
from visiontrain.handles import Run
from visiontrain.protocol.messages import InitializeResult
from visiontrain.rundir.directory import RECORD
from visiontrain.supervisor.record import write_record

COMPLETED = dataclasses.replace(record("r", status="completed"), spec={"epochs": 20})


def offering(*requests):
    return dataclasses.replace(COMPLETED, worker=InitializeResult(1, "m:C", {}, offers=requests))


@pytest.mark.parametrize(
    ("finished", "uses"),
    [
        (offering("evaluate", "predict", "export"), ["visiontrain evaluate r", "visiontrain predict r IMAGE"]),
        (offering("predict"), ["visiontrain predict r IMAGE"]),
        (offering(), []),
        (COMPLETED, []),
    ],
    ids=["all", "one", "none", "worker unknown"],
)
def test_after_a_training_those_uses_are_named_that_its_trainer_offers(finished, uses):
    assert next_commands(finished) == [*uses, "visiontrain runs show r", "visiontrain resume r --epochs 25"]


def test_a_run_that_is_shown_is_not_to_be_shown_next():
    assert next_commands(offering(), shown=True) == ["visiontrain resume r --epochs 25"]


@pytest.mark.parametrize("status", ["stopped", "failed", "interrupted"])
def test_a_training_that_did_not_complete_is_to_be_resumed(status):
    ended = dataclasses.replace(offering("evaluate"), status=status)
    assert next_commands(ended) == ["visiontrain resume r", "visiontrain runs show r"]


def test_what_goes_on_is_followed_or_stopped():
    assert next_commands(record("r", status="running")) == ["visiontrain runs follow r", "visiontrain stop r"]


@pytest.mark.parametrize(
    ("kind", "spec", "again"),
    [
        ("evaluate", {"data": None, "split": None}, "visiontrain evaluate t"),
        ("evaluate", {"data": "/my data", "split": "all"}, "visiontrain evaluate t '/my data' --split all"),
        ("export", {"format": "onnx", "data": None, "output": None}, "visiontrain export t --format onnx"),
        (
            "export",
            {"format": "torchscript", "data": "/d", "output": "/o"},
            "visiontrain export t --format torchscript --data /d --output /o",
        ),
    ],
)
def test_what_can_not_be_resumed_is_started_again_unless_it_completed(kind, spec, again):
    ended = dataclasses.replace(record("e", status="failed"), kind=kind, parent="t", spec=spec)
    show = "visiontrain runs show t"
    assert next_commands(ended) == [again, show]
    assert next_commands(dataclasses.replace(ended, status="stopped")) == [again, show]
    assert next_commands(dataclasses.replace(ended, status="completed")) == [show]


@pytest.mark.parametrize(
    ("kind", "status", "headline", "tells_metrics"),
    [
        ("evaluate", "completed", "Completed", True),
        ("evaluate", "failed", "Failed", True),
        ("evaluate", "stopped", "Stopped: why it ended", True),
        ("export", "completed", "Completed", False),
    ],
)
def test_what_is_told_elsewhere_is_not_told_twice(tmp_path, kind, status, headline, tells_metrics):
    ended = dataclasses.replace(
        record("e", status=status, reason="why it ended", metrics={"x": 0.5}), kind=kind, parent="t"
    )
    write_record(tmp_path / RECORD, ended)
    console = Console(file=io.StringIO(), width=100, highlight=False)
    say_ending(console, Run(tmp_path, None))
    lines = console.file.getvalue().splitlines()
    assert lines[0] == headline
    assert ("  metrics       x 0.5000" in lines) is tells_metrics
