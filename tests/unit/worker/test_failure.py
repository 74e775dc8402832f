from __future__ import annotations

import sys

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


def test_attributes_of_another_librarys_error_are_not_taken_for_ours():
    error = ValueError("text")
    error.__dict__.update(reason="another", instruction="another")
    info = describe_exception(error)
    assert (info.message, info.instruction) == ("text", None)


def test_an_error_with_a_reason_of_its_own_keeps_its_message():
    try:
        b"\xff".decode()
    except UnicodeDecodeError as error:
        info = describe_exception(error)
    assert info.message == "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"


def test_an_error_of_ours_that_a_plugin_refines_keeps_reason_and_instruction():
    class OwnWeightsError(WeightsError):
        pass

    info = described(OwnWeightsError("reason", instruction="Do this."))
    assert (info.message, info.instruction) == ("reason", "Do this.")
    assert info.type.endswith("OwnWeightsError")


@pytest.mark.parametrize("error", [MemoryError(), type("OutOfMemoryError", (RuntimeError,), {})("of a GPU")])
def test_a_want_of_memory_says_what_to_do(error):
    assert "--batch-size" in described(error).instruction


def test_what_is_too_long_for_a_message_is_cut_in_the_middle():
    info = described(ValueError("first" + "x" * 20_000_000 + "last"))
    for text in (info.message, info.traceback):
        assert len(text) < 110_000
        assert "characters are left out" in text
    assert info.message.startswith("first")
    assert info.message.endswith("last")


def test_a_traceback_that_can_not_be_made_hides_nothing(monkeypatch):
    def broken(*_):
        raise RuntimeError

    monkeypatch.setattr("traceback.format_exception", broken)
    text = described(ValueError("text")).traceback
    assert "in described" in text
    assert "<the rest can't be shown: RuntimeError>" in text


def test_a_class_without_a_module():
    assert described(type("Odd", (Exception,), {"__module__": None})()).type == "None.Odd"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="groups came with 3.11")
def test_a_group_is_told_with_its_members():
    text = described(ExceptionGroup("several", [KeyError("first"), OSError("second")])).traceback  # noqa: F821
    assert "KeyError: 'first'" in text
    assert "OSError: second" in text
