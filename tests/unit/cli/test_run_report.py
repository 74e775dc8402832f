import sys

import pytest

from visiontrain.cli import run_report

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
