import io
import re
import time
from dataclasses import replace

import pytest
from rich.console import Console
from rich.text import Text
from visiontrain_harness.runs import record
from visiontrain_harness.told_events import Told

from visiontrain.datasets.progress import IndexProgress
from visiontrain.display import preparing
from visiontrain.display.console import ConsoleObserver
from visiontrain.display.consoles import can_animate, say, say_field
from visiontrain.display.errors import say_error
from visiontrain.display.region import Region, bar
from visiontrain.environment.progress import BuildCost, BuildProgress
from visiontrain.errors import RunFailedError, SpecError


def console(*, terminal=False, width=80):
    return Console(
        file=io.StringIO(), force_terminal=terminal, width=width, highlight=False, markup=False, emoji=False,
        color_system="standard" if terminal else None, _environ={"TERM": "xterm"},
    )  # fmt: skip


def written(observed):
    return observed.file.getvalue()


def a_run(told):
    yield told.status()
    yield told.worker()
    yield told.log("resnet18 on cpu")
    yield told.log("secret detail", level="debug")
    for epoch in (1, 2):
        yield told.progress("train", epoch, 5, epochs=2, train_loss=1.5, images_per_second=1234.0)
        yield told.metrics(epoch, train_loss=1 / epoch, val_loss=2 / epoch, accuracy=0.25 * epoch)
        yield told.checkpoint("best" if epoch == 2 else "last")
    yield told.status("completed")


def test_without_a_terminal_there_are_lines_and_no_control_codes():
    observed = console()
    with ConsoleObserver(observed) as observer:
        for event in a_run(Told()):
            observer.event(event)
    assert written(observed).splitlines() == [
        "  versions      torch 2.0, python 3.12",
        "resnet18 on cpu",
        "epoch 1/2  train_loss 1.0000  val_loss 2.0000  accuracy 0.2500  1.0 s",
        "epoch 2/2  train_loss 0.5000  val_loss 1.0000  accuracy 0.5000  3.0 s  best",
    ]
    assert "\x1b" not in written(observed)
    assert "\r" not in written(observed)


@pytest.mark.parametrize(("width", "told"), [(110, True), (60, False)])
def test_the_parts_of_a_loss_are_told_where_there_is_room(width, told):
    observed = console(terminal=True, width=width)
    with ConsoleObserver(observed) as observer:
        values = {"train_loss": 3.5, "train_box_loss": 1.25, "train_cls_loss": 12.5, "learning_rate": 0.1}
        observer.event(Told().progress("train", 1, 5, epochs=2, **values))
        while "loss 3.5000" not in written(observed):
            time.sleep(0.01)
    assert ("loss 3.5000 (box 1.25, cls 12.50)" in written(observed)) is told


def test_a_terminal_has_a_bar_while_the_run_goes_on_and_keeps_the_epochs():
    observed = console(terminal=True)
    told = Told()
    with ConsoleObserver(observed) as observer:
        events = list(a_run(told))
        for event in events[:5]:
            observer.event(event)
        deadline = time.monotonic() + 60
        while "1,234 images/s" not in written(observed):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert "epoch 1/2" in written(observed)
        assert "5/10  loss 1.5000" in written(observed)
        for event in events[5:]:
            observer.event(event)
    assert "\x1b[?25h" in written(observed)  # the cursor is back
    assert "best" in written(observed)


def test_an_estimate_is_a_line_and_each_attempt_has_its_own():
    observed = console()
    told = Told()
    said = {"epochs": 2.0, "epoch_seconds": 60.0}
    with ConsoleObserver(observed) as observer:
        for event in (
            told.status(), told.estimate(120.0, **said), told.estimate(118.0, **said),
            told.status(attempt=2), told.estimate(120.0, **said),
        ):  # fmt: skip
            observer.event(event)
    first, second = written(observed).splitlines()
    assert first.startswith("About 2 min 00 s for 2 epochs (1 min 00 s each, ends about ")
    assert second == first


def test_what_moves_leaves_room_for_what_ctrl_c_types():
    observed = console(terminal=True)
    region = Region(observed)
    region.show(lambda: bar("epoch 1/2", 5, 10, "5/10"))
    region.hide()
    drawn = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written(observed))
    lines = {line for line in re.split(r"[\r\n]", drawn) if line}
    assert [(len(line), line[-7:]) for line in lines] == [(80, "5/10   ")]


def test_what_is_printed_to_a_file_still_goes_there(capsys):
    with ConsoleObserver(console(terminal=True)) as observer:
        observer.event(Told().status())
        print("mine")  # noqa: T201
    assert capsys.readouterr().out == "mine\n"


def test_an_error_in_a_block_takes_the_region_off_the_screen():
    observed = console(terminal=True)

    def fail():
        with ConsoleObserver(observed) as observer:
            observer.event(Told().status())
            raise ValueError("oops")

    with pytest.raises(ValueError, match="oops"):
        fail()
    assert written(observed).count("\x1b[?25l") == written(observed).count("\x1b[?25h") == 1


def test_an_observer_that_must_not_move_does_not_on_a_terminal_either():
    observed = console(terminal=True)
    with ConsoleObserver(observed, animate=False) as observer:
        for event in a_run(Told()):
            observer.event(event)
    assert "\x1b[?25l" not in written(observed)


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"checkpoint": "checkpoints/last.pt"}, "Resumed from checkpoints/last.pt, with 2.5 epochs done."),
        ({"checkpoint": None}, "There is no checkpoint: from the beginning."),
        (
            {"checkpoint": "c.pt", "exact": False, "reason": "another GPU"},
            "Warning: not exactly as without the interruption: another GPU",
        ),
    ],
)
def test_where_a_run_goes_on_from(fields, line):
    observed = console()
    ConsoleObserver(observed).event(Told().resumed(2.5, **fields))
    assert line in written(observed).splitlines()


def test_foreign_text_can_not_move_the_cursor():
    observed = console(terminal=True)
    say(observed, "a\x1b[2Jb [bold]c[/bold] :smile:")
    say_field(observed, "data", "x\x1b]0;title\x07y")
    assert written(observed) == "a\\x1b[2Jb [bold]c[/bold] :smile:\n" + written(observed).split("\n", 1)[1]
    assert "\x1b]" not in written(observed)
    assert "[2J" in written(observed)
    assert "\x1b[2J" not in written(observed)


def test_a_path_longer_than_the_terminal_stays_whole():
    observed = console(terminal=True, width=40)
    path = "/data/" + "x" * 60
    say(observed, f"Made {path} for you")
    assert path in written(observed)


def test_messages_wrap_at_words_on_a_terminal_and_not_at_all_elsewhere():
    message = "word " * 30
    observed = console(terminal=True, width=40)
    say(observed, message)
    assert [len(line) for line in written(observed).splitlines()] == [39, 39, 39, 29]
    plain = console()
    say(plain, message)
    assert written(plain).splitlines() == [message]


def test_wrapping_keeps_indents_empty_lines_and_styles():
    observed = console(terminal=True, width=20)
    say(observed, Text.assemble(("Error: ", "red"), "one two three four\n\n    " + "y" * 30 + " end"))
    assert re.sub(r"\x1b\[[0-9;]*m", "", written(observed)).splitlines() == [
        "Error: one two three",
        "four",
        "",
        "    " + "y" * 30,
        "end",
    ]
    assert "\x1b[31mError: " in written(observed)


@pytest.mark.parametrize("animated", [True, False])
def test_a_dumb_terminal_is_not_animated(animated):
    environ = {"TERM": "xterm" if animated else "dumb"}
    assert can_animate(Console(file=io.StringIO(), force_terminal=True, _environ=environ)) is animated


def test_a_notebook_is_animated_where_it_has_widgets(monkeypatch):
    observed = Console(file=io.StringIO(), force_jupyter=True)
    monkeypatch.setattr("visiontrain.display.consoles.find_spec", lambda name: None)
    assert not can_animate(observed)
    monkeypatch.setattr("visiontrain.display.consoles.find_spec", lambda name: object())
    assert can_animate(observed)


def test_a_build_says_its_cost_first_and_each_phase_once():
    observed = console()
    cost = BuildCost(packages=3, download_bytes=10, disk_bytes=20, free_bytes=30)
    with ConsoleObserver(observed) as observer:
        observer.building(BuildProgress("timm", "interpreter", "Python 3.12; 3 packages", cost=cost))
        observer.building(BuildProgress("timm", "interpreter", "little space", warning=True))
        for done in range(3):
            observer.building(BuildProgress("timm", "downloading", "Downloading", done=done, total=3))
        observer.building(BuildProgress("timm", "ready", "Environment timm (ab12) is ready"))
    lines = written(observed).splitlines()
    assert lines[:3] == [
        "Building the environment timm: Python 3.12; 3 packages",
        "Warning: little space",
        "  Downloading",
    ]
    assert lines[3].startswith("Environment timm (ab12) is ready after ")
    assert len(lines) == 4


def test_reading_a_small_dataset_shows_nothing():
    observed = console(terminal=True)
    with ConsoleObserver(observed) as observer:
        for phase in ("scan", "probe", "settle", "write"):
            observer.indexing(IndexProgress(phase, 1, 1))
    assert written(observed) == ""


def test_reading_a_large_dataset_shows_how_far_it_is(monkeypatch):
    monkeypatch.setattr(preparing, "_PATIENCE", -1.0)
    observed = console(terminal=True)
    with ConsoleObserver(observed) as observer:
        observer.indexing(IndexProgress("scan", 12_345, 0))
        observer.indexing(IndexProgress("probe", 600, 12_345))
        deadline = time.monotonic() + 60
        while "600/12,345" not in written(observed):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_without_a_terminal_a_long_silence_is_explained_once(monkeypatch):
    monkeypatch.setattr(preparing, "_SILENCE", -1.0)
    observed = console()
    with ConsoleObserver(observed) as observer:
        for done in (1, 2, 3):
            observer.indexing(IndexProgress("probe", done, 12_345))
    assert written(observed) == "Checking images: 1/12,345\n"


def test_an_error_is_its_reason_then_what_to_do():
    observed = console()
    say_error(observed, SpecError("epochs", "must be more", instruction="Give more."))
    error = RunFailedError(
        "ValueError: x", instruction="Go on.", remote_traceback="Traceback\x1b[0m", log_tail="the log"
    )
    say_error(observed, error)
    assert written(observed).splitlines() == [
        "Error: epochs: must be more",
        "Give more.",
        "Error: ValueError: x",
        "Traceback\\x1b[0m",
        "Last lines of the worker's log:",
        "the log",
        "Go on.",
    ]


@pytest.mark.parametrize(("kind", "leaves"), [("train", True), ("evaluate", False)])
def test_a_stop_promises_a_checkpoint_only_where_one_is_left(kind, leaves):
    observed = console()
    with ConsoleObserver(observed) as observer:
        observer.joined(replace(record("r"), kind=kind))
        observer.stopping("r")
    assert ("leaves a checkpoint" in written(observed)) == leaves
    assert "Ctrl-C once more ends it at once." in written(observed)
