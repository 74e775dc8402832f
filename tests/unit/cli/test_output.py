import os

import pytest

from visiontrain.cli import output
from visiontrain.cli.output import numbers, print_json, print_table, print_text

ROWS = [("resnet18", "classify", "a1_in1k, a2_in1k, a3_in1k"), ("vit", "classify", "")]


@pytest.fixture
def terminal(monkeypatch):
    def set_width(columns):
        monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
        monkeypatch.setattr(output.shutil, "get_terminal_size", lambda: os.terminal_size((columns, 24)))

    return set_width


def test_a_piped_table_is_whole(capsys):
    print_table(("MODEL", "TASKS", "WEIGHTS"), ROWS)
    assert capsys.readouterr().out.splitlines() == [
        "MODEL     TASKS     WEIGHTS",
        "resnet18  classify  a1_in1k, a2_in1k, a3_in1k",
        "vit       classify",
    ]


@pytest.mark.parametrize("columns", [80, 30, 20])
def test_a_table_fits_the_terminal_and_keeps_its_first_column(capsys, terminal, columns):
    terminal(columns)
    print_table(("MODEL", "TASKS", "WEIGHTS"), ROWS)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("resnet18  classify  a1_in1k")
    assert max(map(len, lines)) <= max(columns, 28)
    assert lines[1].endswith("a3_in1k" if columns == 80 else "…")


def test_wide_characters_are_counted_as_two_columns(capsys, terminal):
    terminal(14)
    print_table(("A", "B"), [("猫", "犬" * 9), ("x", "y")])
    assert capsys.readouterr().out.splitlines() == ["A   B", "猫  犬犬犬犬 …", "x   y"]


def test_numbers_are_aligned_to_the_right(capsys):
    print_table(("CLASS", "train"), [("a", "1,000"), ("b", "7")], right=("train",))
    assert capsys.readouterr().out.splitlines() == ["CLASS  train", "a      1,000", "b          7"]


def test_foreign_text_is_cleaned(capsys):
    print_table(("A",), [("x\x1b[2J\ny",)])
    print_text("z\x07")
    assert capsys.readouterr().out == "A\nx\\x1b[2J y\nz\\x07\n"


def test_json_is_strict(capsysbinary):
    print_json(numbers({"a": float("nan"), "b": float("-inf"), "c": 1.5}))
    assert capsysbinary.readouterr().out == (
        b'{"metrics":{"a":null,"b":null,"c":1.5},"non_finite":{"a":"NaN","b":"-Infinity"}}\n'
    )
