import dataclasses
import sys

import pytest
from visiontrain_harness.runs import record

from visiontrain.cli import run_report
from visiontrain.handles import Run
from visiontrain.protocol.codec import dumps
from visiontrain.protocol.events import MetricsEvent, event_to_json
from visiontrain.rundir.directory import RECORD
from visiontrain.rundir.events import EVENTS
from visiontrain.session import Session
from visiontrain.supervisor.record import write_record

OF_CLASS = {
    name: {f"{metric}{head}": 0.5 for head in ("", "_box", "_mask") for metric in ("precision", "recall", "map50_95")}
    for name in ("white cell", "red cell")
}


@pytest.mark.parametrize(("columns", "shown"), [("50", 3), ("20", 1)])
def test_a_terminal_has_as_many_columns_of_metrics_as_it_has_room_for(monkeypatch, capsys, columns, shown):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    run_report._print_per_class(OF_CLASS, "map50_95")
    head, *rows = capsys.readouterr().out.splitlines()[2:]
    assert head.split() == ["class", *["map50_95", "precision", "recall"][:shown]]
    assert len(rows) == 2
    assert all(len(row) <= 50 for row in rows)


def test_a_file_has_all_of_them(capsys):
    run_report._print_per_class(OF_CLASS, "map50_95")
    assert len(capsys.readouterr().out.splitlines()[2].split()) == 1 + 9


def test_without_classes_there_is_no_table(capsys):
    run_report._print_per_class({}, "accuracy")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("status", "metrics", "heading"),
    [
        ("completed", {"accuracy": 0.75}, "Metrics of the best epoch"),
        ("failed", {}, "Metrics of the last epoch"),
    ],
)
def test_the_numbers_of_a_training_that_did_not_complete_are_the_last_epoch_s(
    tmp_path, capsys, status, metrics, heading
):
    write_record(tmp_path / RECORD, dataclasses.replace(record("r", status=status), metrics=metrics))
    events = [
        MetricsEvent("r", number, 0.0, 0.0, step=number, epoch=number, values={"accuracy": value})
        for number, value in enumerate((0.75, 0.5), 1)
    ]
    (tmp_path / EVENTS).write_bytes(b"".join(dumps(event_to_json(event)) + b"\n" for event in events))
    run_report.print_report(Run(tmp_path, Session(tmp_path)))
    assert heading in capsys.readouterr().out
