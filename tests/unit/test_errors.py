from __future__ import annotations

import re

import pytest

from visiontrain import errors
from visiontrain.errors import RunFailedError, SpecError, VisiontrainError

CLASSES = [getattr(errors, name) for name in errors.__all__]


def test_all_stand_in_one_tree_and_in_its_picture():
    for cls in CLASSES:
        assert issubclass(cls, VisiontrainError)
        assert cls.__doc__
    drawn = re.findall(r"(\w+Error)\b", errors.__doc__)
    assert sorted(drawn) == sorted(errors.__all__)


def test_each_is_drawn_below_its_parent():
    parents = {}
    stack = []
    for line in errors.__doc__.splitlines():
        if found := re.search(r"\w+Error\b", line):
            depth = found.start()
            stack = [(column, name) for column, name in stack if column < depth]
            parents[found.group()] = stack[-1][1] if stack else None
            stack.append((depth, found.group()))
    for cls in CLASSES:
        if cls is not VisiontrainError:
            assert parents[cls.__name__] == cls.__base__.__name__


@pytest.mark.parametrize("cls", [cls for cls in CLASSES if cls is not SpecError])
def test_reason_and_instruction(cls):
    error = cls("What happened.", instruction="What to do.")
    assert (error.reason, error.instruction) == ("What happened.", "What to do.")
    assert str(error) == "What happened.\nWhat to do."
    assert str(cls("What happened.")) == "What happened."


def test_a_spec_error_names_its_field():
    error = SpecError("epochs", "must be more", instruction="Give more.")
    assert error.field == "epochs"
    assert str(error) == "epochs: must be more\nGive more."


def test_a_run_error_tells_all_that_is_known():
    error = RunFailedError(
        "It failed.", instruction="Go on.", run_id="r", remote_traceback="Traceback\n", log_tail="bye\n"
    )
    assert str(error) == "It failed.\nTraceback\nLast lines of the worker's log:\nbye\nGo on."
