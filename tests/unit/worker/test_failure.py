from __future__ import annotations

import pytest

from visiontrain.errors import SpecError, WeightsError
from visiontrain.worker.failure import TRAINER_ERROR, describe_exception


class OwnError(Exception):
    pass


class BrokenError(Exception):
    def __str__(self):
        raise RuntimeError


def described(error):
    try:
        raise error
    except Exception as caught:  # noqa: BLE001 - whatever it is
        return describe_exception(caught)


def test_class_message_and_traceback():
    info = described(ValueError("text"))
    assert (info.code, info.type, info.message, info.instruction) == (TRAINER_ERROR, "ValueError", "text", None)
    assert info.traceback.startswith("Traceback (most recent call last):")
    assert info.traceback.endswith("ValueError: text\n")


def test_a_class_of_a_module_is_named_with_it():
    assert described(OwnError()).type == f"{OwnError.__module__}.OwnError"


def test_errors_of_ours_keep_what_to_do():
    info = described(WeightsError("reason", instruction="Do this."))
    assert (info.type, info.message, info.instruction) == ("WeightsError", "reason", "Do this.")
    assert described(SpecError("epochs", "too few")).message == "epochs: too few"


def test_causes_and_contexts_are_told():
    try:
        try:
            raise KeyError("first")
        except KeyError as cause:
            raise ValueError("second") from cause
    except ValueError as error:
        text = describe_exception(error).traceback
    assert text.index("KeyError: 'first'") < text.index("direct cause") < text.index("ValueError: second")


def test_notes_are_told_where_the_interpreter_has_them():
    error = ValueError("text")
    if not hasattr(error, "add_note"):
        assert describe_exception(error).traceback == "ValueError: text\n"
        return
    error.add_note("a note")
    assert "a note" in describe_exception(error).traceback


def test_a_message_that_can_not_be_made_hides_nothing():
    info = describe_exception(BrokenError())
    assert info.message == "<its message can't be shown: RuntimeError>"
    assert "BrokenError" in info.traceback


@pytest.mark.parametrize("attributes", [{"reason": 1}, {"instruction": 2}])
def test_attributes_of_the_same_name_but_another_kind_are_left_alone(attributes):
    error = ValueError("text")
    error.__dict__.update(attributes)
    info = describe_exception(error)
    assert (info.message, info.instruction) == ("text", None)
