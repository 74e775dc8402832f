from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiontrain.errors import ProtocolError
from visiontrain.protocol.codec import dumps, loads
from visiontrain.protocol.events import (
    ArtifactEvent,
    CheckpointEvent,
    EstimateEvent,
    LogEvent,
    MetricsEvent,
    ProgressEvent,
    ResumedEvent,
    StatusEvent,
    WorkerEvent,
    event_from_json,
    event_to_json,
    in_epochs,
    join_non_finite,
    split_non_finite,
)

KINDS = [
    ArtifactEvent,
    CheckpointEvent,
    EstimateEvent,
    LogEvent,
    MetricsEvent,
    ProgressEvent,
    ResumedEvent,
    StatusEvent,
    WorkerEvent,
]
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.dictionaries(st.text(), st.none() | FLOATS)
HEAD = {"time": FLOATS, "monotonic": FLOATS}
EVENTS = st.one_of(
    st.builds(ArtifactEvent, **HEAD),
    st.builds(CheckpointEvent, epoch=FLOATS, **HEAD),
    st.builds(
        EstimateEvent, seconds=FLOATS, epoch_seconds=FLOATS, epochs=FLOATS, memory=st.none() | st.integers(), **HEAD
    ),
    st.builds(LogEvent, **HEAD),
    st.builds(MetricsEvent, values=VALUES, **HEAD),
    st.builds(ProgressEvent, values=VALUES, **HEAD),
    st.builds(ResumedEvent, epoch=FLOATS, **HEAD),
    st.builds(StatusEvent, metrics=VALUES, **HEAD),
    st.builds(WorkerEvent, **HEAD),
)


@given(EVENTS)
def test_an_event_comes_back_as_it_was(event):
    value = loads(dumps(event_to_json(event)))
    assert next(iter(value)) == "type"
    assert event_from_json(value) == event


@pytest.mark.parametrize("cls", KINDS)
def test_an_event_of_a_kind_needs_its_head_alone(cls):
    head = {"type": cls.type, "run_id": "r", "seq": 1, "time": 1.0, "monotonic": 2.0}
    assert event_from_json(head) == cls("r", 1, 1.0, 2.0)
    for name in ("run_id", "seq", "time", "monotonic"):
        with pytest.raises(ProtocolError, match=f"missing: {name}"):
            event_from_json({key: value for key, value in head.items() if key != name})


def test_an_unknown_kind_is_left_alone():
    assert event_from_json({"type": "of a later version"}) is None


@pytest.mark.parametrize("value", [None, [], "x", {}, {"type": 1}])
def test_what_is_no_event_is_refused(value):
    with pytest.raises(ProtocolError, match="an event is an object with a type"):
        event_from_json(value)


@given(st.dictionaries(st.text(), st.floats()))
def test_numbers_that_are_not_finite_survive_strict_json(values):
    finite, non_finite = split_non_finite(values)
    assert dumps([finite, non_finite])
    assert set(non_finite) == {name for name, value in values.items() if not math.isfinite(value)}
    joined = join_non_finite(*loads(dumps([finite, non_finite])))
    assert list(joined) == list(values)
    assert list(map(repr, joined.values())) == list(map(repr, values.values()))


def test_what_is_no_number_is_refused():
    with pytest.raises((TypeError, ValueError)):
        split_non_finite({"accuracy": "high"})


def test_a_null_of_unknown_reason_is_not_a_number():
    assert math.isnan(join_non_finite({"x": None}, {})["x"])


@pytest.mark.parametrize(
    ("epoch", "words"), [(0, "0"), (3.0, "3"), (20.0, "20"), (0.25, "0.25"), (1.0 / 3, "0.33"), (1850.5, "1,850.5")]
)
def test_epochs_in_words(epoch, words):
    assert in_epochs(epoch) == words
