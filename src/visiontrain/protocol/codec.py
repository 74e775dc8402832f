"""Messages to lines and back: strict JSON, UTF-8, one message a line."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NoReturn, cast

from visiontrain.errors import ProtocolError
from visiontrain.protocol.messages import ErrorInfo, Notification, Request, Response
from visiontrain.protocol.structure import JsonObject, structure, unstructure

__all__ = [
    "EVENT_PREFIX",
    "MAX_LINE",
    "Message",
    "decode",
    "dumps",
    "encode",
    "encode_event",
    "loads",
]

Message = Request | Response | Notification

#: Longest line in bytes. Large data never rides the pipe, so a longer one is a mistake and must not fill the memory.
MAX_LINE = 16 * 2**20

#: What an event's line starts with. Its JSON object is the rest of the line but for the closing brace.
EVENT_PREFIX = b'{"jsonrpc":"2.0","method":"event","params":'


def _encoder(string: Callable[[str], str]) -> Callable[[Any, int], tuple[str, ...]]:
    """What JSONEncoder.encode makes anew for each call, which is a fourth of a short line's time.

    It notes no containers: one that holds itself is told by the depth.
    """
    encode: Callable[[Any, int], tuple[str, ...]] = cast("Any", json.encoder).c_make_encoder(
        markers=None,
        default=json.JSONEncoder().default,
        encoder=string,
        indent=None,
        key_separator=":",
        item_separator=",",
        sort_keys=False,
        skipkeys=False,
        allow_nan=False,
    )
    return encode


_encode = _encoder(json.encoder.encode_basestring)
_encode_ascii = _encoder(json.encoder.encode_basestring_ascii)


def dumps(value: Any) -> bytes:
    """Strict JSON in UTF-8 without a newline.

    Raises:
        ProtocolError: the value holds NaN, an infinity, or something that JSON has no word for.
    """
    try:
        try:
            return "".join(_encode(value, 0)).encode("utf-8")
        except UnicodeEncodeError:
            # A file name that is not UTF-8 is a string with lone surrogates: as escapes it survives.
            return "".join(_encode_ascii(value, 0)).encode("ascii")
    except (TypeError, ValueError, RecursionError) as e:
        raise ProtocolError(f"not representable as strict JSON: {e}") from e


def loads(data: bytes | str) -> Any:
    """Parse strict JSON.

    Raises:
        ProtocolError: not JSON, not UTF-8, a bare NaN or Infinity, or a number that is too large for a float.
    """
    try:
        text = (data if isinstance(data, str) else data.decode("utf-8")).strip(" \t\r\n")
        value, end = _scan(text, 0)
    except StopIteration as e:
        raise ProtocolError(f"not strict JSON: no value at character {e.value}") from e
    except (ValueError, RecursionError) as e:
        raise ProtocolError(f"not strict JSON: {e}") from e
    if end != len(text):
        raise ProtocolError(f"not strict JSON: more after the value, at character {end}")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _parse_float(digits: str) -> float:
    number = float(digits)
    if number - number != 0:  # 1e999: Python reads an infinity, which nobody could write again
        raise ValueError(f"{digits[:20]} is too large for a float")
    return number


# What JSONDecoder.decode calls, less two searches for white space in Python: half the time of a short line.
_scan: Callable[[str, int], tuple[Any, int]] = cast(
    "Any", json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_parse_float)
).scan_once


def encode(message: Message) -> bytes:
    """The message's line, with its newline.

    Raises:
        ProtocolError: what it carries is not JSON, or the line would be longer than `MAX_LINE`.
    """
    body: JsonObject = {"jsonrpc": "2.0"}
    if isinstance(message, Response):
        body["id"] = message.id
        if message.error is None:
            body["result"] = message.result
        else:
            error = unstructure(message.error)
            body["error"] = {"code": error.pop("code"), "message": error.pop("message"), "data": error}
    else:
        if isinstance(message, Request):
            body["id"] = message.id
        body["method"] = message.method
        body["params"] = message.params
    return _line(dumps(body))


def encode_event(event: JsonObject) -> bytes:
    """The line of an ``event`` notification that carries `event`."""
    return _line(EVENT_PREFIX + dumps(event) + b"}")


def _line(data: bytes) -> bytes:
    if len(data) >= MAX_LINE:
        raise ProtocolError(f"a message of {len(data):,} bytes is longer than the {MAX_LINE:,} that a line may have")
    return data + b"\n"


def decode(line: bytes) -> Message:
    """Parse one line.

    Raises:
        ProtocolError: not strict JSON, or not a JSON-RPC 2.0 request, response or notification.
    """
    if len(line) > MAX_LINE:
        raise ProtocolError(f"a line is longer than the {MAX_LINE:,} bytes that a message may have")
    body = loads(line)
    if not isinstance(body, dict) or body.get("jsonrpc") != "2.0":
        raise ProtocolError("not a JSON-RPC 2.0 message")
    if "method" in body:
        body.setdefault("params", {})
        return structure(Request, body) if "id" in body else structure(Notification, body)
    if "error" in body:
        return Response(_response_id(body), error=_error(body["error"]))
    if "result" in body:
        return Response(_response_id(body), result=body["result"])
    raise ProtocolError("a message needs a method, a result or an error")


def _response_id(body: JsonObject) -> int | None:
    found = body.get("id")
    if found is not None and (not isinstance(found, int) or isinstance(found, bool)):
        raise ProtocolError("a response's id is a number or null")
    return found


def _error(value: Any) -> ErrorInfo:
    if not isinstance(value, dict):
        raise ProtocolError("a response's error is an object")
    data = value.get("data")
    extra = data if isinstance(data, dict) else {}
    return structure(ErrorInfo, {**extra, "code": value.get("code"), "message": value.get("message")})
