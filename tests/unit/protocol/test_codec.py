from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiontrain.errors import ProtocolError
from visiontrain.protocol.codec import (
    EVENT_PREFIX,
    MAX_LINE,
    decode,
    dumps,
    encode,
    encode_event,
    loads,
)
from visiontrain.protocol.messages import ErrorInfo, Notification, Request, Response

# Lone surrogates are what a file name that is not UTF-8 becomes: every text may hold them.
TEXT = st.text(st.characters(codec=None))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=20)
OBJECTS = st.dictionaries(TEXT, VALUES, max_size=5)
IDS = st.integers(0, 2**53)
ERRORS = st.builds(ErrorInfo, st.integers(), TEXT, TEXT, st.none() | TEXT, st.none() | TEXT)
MESSAGES = (
    st.builds(Request, IDS, TEXT, OBJECTS)
    | st.builds(Notification, TEXT, OBJECTS)
    | st.builds(Response, st.none() | IDS, VALUES)
    | st.builds(Response, st.none() | IDS, st.none(), ERRORS)
)


class TestRoundTrip:
    @given(VALUES)
    def test_a_value_comes_back_as_it_was(self, value):
        data = dumps(value)
        assert b"\n" not in data
        assert loads(data) == value

    @given(MESSAGES)
    def test_a_message_comes_back_as_it_was(self, message):
        line = encode(message)
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        assert decode(line[:-1]) == message
        assert decode(line) == message

    @given(MESSAGES)
    def test_a_message_is_what_json_rpc_says(self, message):
        body = json.loads(encode(message))
        assert body["jsonrpc"] == "2.0"
        assert ("result" in body) + ("error" in body) + ("method" in body) == 1

    @given(st.dictionaries(TEXT, VALUES))
    def test_an_event_is_a_notification_whose_object_stands_after_the_prefix(self, event):
        line = encode_event(event)
        assert decode(line) == Notification("event", event)
        assert line.startswith(EVENT_PREFIX)
        assert loads(line.removeprefix(EVENT_PREFIX)[:-2]) == event

    def test_lone_surrogates_survive(self):
        name = b"\xff\xfe.png".decode("utf-8", "surrogateescape")
        line = encode(Notification("event", {"path": name}))
        assert line.isascii()
        assert decode(line).params["path"].encode("utf-8", "surrogateescape") == b"\xff\xfe.png"

    def test_text_is_utf_8_and_not_escaped(self):
        assert dumps({"name": "Straße"}) == '{"name":"Straße"}'.encode()


class TestStrictness:
    @pytest.mark.parametrize(
        "value", [float("nan"), float("inf"), -float("inf"), Exception(), b"bytes", {(1, 2): 3}, {1j}]
    )
    def test_what_json_has_no_word_for_is_not_written(self, value):
        with pytest.raises(ProtocolError, match="not representable as strict JSON"):
            dumps({"deep": [value]})

    def test_what_holds_itself_is_not_written(self):
        endless = []
        endless.append(endless)
        with pytest.raises(ProtocolError):
            dumps(endless)

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b" ",
            b"NaN",
            b"Infinity",
            b"-Infinity",
            b'{"a":NaN}',
            b"[1,]",
            b"{'a':1}",
            b'{"a":1} {"b":2}',
            b'{"a":1},',
            b"// comment\n1",
            b'"\xff"',
            b'"\xed\xb2\x80"',  # a lone surrogate as raw bytes is not UTF-8
            b'"tab\tinside"',
            b'"unfinished',
            b"[" * 100_000,
            b"1" * 5_000 + b"x",
            "﻿1".encode(),
        ],
        ids=lambda data: repr(data[:20]),
    )
    def test_what_is_not_strict_json_is_not_read(self, data):
        with pytest.raises(ProtocolError, match="not strict JSON"):
            loads(data)

    @given(st.binary())
    def test_any_bytes_are_a_value_or_a_protocol_error(self, data):
        try:
            value = loads(data)
        except ProtocolError:
            return
        assert loads(dumps(value)) == value

    def test_space_around_a_value_is_ignored(self):
        assert loads(b" \t[1]\r\n") == [1]

    @pytest.mark.parametrize(
        "line",
        [
            b"1",
            b"[]",
            b"[{}]",
            b"{}",
            b'{"jsonrpc":"1.0","id":1,"method":"ping"}',
            b'{"jsonrpc":"2.0"}',
            b'{"jsonrpc":"2.0","id":1}',
            b'{"jsonrpc":"2.0","id":"1","method":"ping"}',
            b'{"jsonrpc":"2.0","id":true,"method":"ping"}',
            b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}',
            b'{"jsonrpc":"2.0","id":1,"method":2}',
            b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}',
            b'{"jsonrpc":"2.0","id":"1","result":null}',
            b'{"jsonrpc":"2.0","id":true,"result":null}',
            b'{"jsonrpc":"2.0","id":1,"error":null}',
            b'{"jsonrpc":"2.0","id":1,"error":{"message":"no code"}}',
            b'{"jsonrpc":"2.0","id":1,"error":{"code":"1","message":""}}',
            b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"","data":{"type":1}}}',
        ],
    )
    def test_what_is_no_message_is_refused(self, line):
        with pytest.raises(ProtocolError):
            decode(line)

    def test_unknown_fields_are_ignored(self):
        assert decode(b'{"jsonrpc":"2.0","id":1,"method":"ping","later":{}}') == Request(1, "ping")
        assert decode(b'{"jsonrpc":"2.0","id":1,"result":2,"later":{}}') == Response(1, 2)
        error = b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m","later":1,"data":{"later":1}},"later":{}}'
        assert decode(error) == Response(1, error=ErrorInfo(1, "m"))

    def test_an_errors_data_may_be_missing_or_of_another_kind(self):
        assert decode(b'{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"m","data":"text"}}') == Response(
            None, error=ErrorInfo(1, "m")
        )

    def test_a_missing_field_is_named(self):
        with pytest.raises(ProtocolError, match=r"ErrorInfo\.message: expected str, got NoneType"):
            decode(b'{"jsonrpc":"2.0","id":1,"error":{"code":1}}')


class TestLength:
    def test_a_line_that_is_too_long_is_not_written(self):
        with pytest.raises(ProtocolError, match="longer than the 16,777,216"):
            encode(Notification("event", {"text": "x" * MAX_LINE}))
        with pytest.raises(ProtocolError, match="longer than the 16,777,216"):
            encode_event({"text": "x" * MAX_LINE})

    def test_a_line_that_is_too_long_is_not_read(self):
        with pytest.raises(ProtocolError, match="longer than the 16,777,216"):
            decode(b" " * (MAX_LINE + 1))

    def test_the_longest_line_is_written_and_read(self):
        frame = len(encode(Notification("event", {"text": ""})))
        message = Notification("event", {"text": "x" * (MAX_LINE - frame)})
        assert decode(encode(message)) == message
