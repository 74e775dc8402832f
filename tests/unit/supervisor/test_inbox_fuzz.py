"""Whatever a worker says, its reader gives messages or a protocol error."""

from __future__ import annotations

import contextlib
import os

from hypothesis import given
from hypothesis import strategies as st
from visiontrain_harness.spoiled import spoiled_lines

from visiontrain.errors import ProtocolError
from visiontrain.protocol.codec import encode, encode_event, loads
from visiontrain.protocol.events import (
    CheckpointEvent,
    LogEvent,
    MetricsEvent,
    ProgressEvent,
    event_from_json,
    event_to_json,
)
from visiontrain.protocol.messages import ErrorInfo, Request, Response
from visiontrain.supervisor.inbox import Inbox, RawEvents

POINT = {"source": "worker", "time": 0.5, "monotonic": 1.5, "step": 1, "epoch": 1, "scope": "step"}  # in our order
SAID = [
    *(
        encode_event({"type": "metrics", "run_id": "r", "seq": seq, **POINT, "values": {"a": 0.5}, "non_finite": {}})
        for seq in (1, 2, 3)
    ),
    *(encode_event(event_to_json(LogEvent("r", seq, 0.5, 1.5, message="é"))) for seq in (1, 2, 3)),
    *(encode_event(event_to_json(MetricsEvent("r", seq, 0.5, 1.5, values={"a": 0.5}, step=1))) for seq in (1, 2)),
    encode_event(event_to_json(ProgressEvent("r", 2, 0.5, 1.5, step=1, values={"a": None}))),
    encode_event(event_to_json(CheckpointEvent("r", 3, 0.5, 1.5, path="checkpoints/last.pt"))),
    encode_event({"type": "later", "run_id": "r", "seq": 1}),
    encode(Response(1, {"a": [1, None]})),
    encode(Response(None, error=ErrorInfo(1, "m"))),
    encode(Request(1, "train")),
]


@given(spoiled_lines(SAID), st.integers(1, 50))
def test_it_is_messages_or_a_protocol_error(data, size):
    reader, writer = os.pipe()
    inbox = Inbox(reader, "r")
    found = []
    try:
        with contextlib.suppress(ProtocolError):
            for start in range(0, len(data), size):
                os.write(writer, data[start : start + size])
                found += inbox.read()
    finally:
        os.close(reader)
        os.close(writer)
    events = [message for message in found if isinstance(message, RawEvents)]
    assert all(isinstance(message, Response) for message in found if message not in events)
    # What is kept is what was understood, and every reader understands it.
    assert all(message.value in (None, loads(message.lines.split(b"\n")[0])) for message in events)
    values = [loads(line) for message in events for line in message.lines.split(b"\n")]
    assert [value["seq"] for value in values] == list(range(1, len(values) + 1))
    for value in values:
        assert value["run_id"] == "r"
        event_from_json(value)
