"""Exceptions as text: what can cross between two Pythons that share no classes."""

from __future__ import annotations

import traceback

from visiontrain.protocol.messages import ErrorInfo

__all__ = [
    "INVALID_REQUEST",
    "METHOD_NOT_FOUND",
    "PARSE_ERROR",
    "TRAINER_ERROR",
    "describe_exception",
]

# JSON-RPC 2.0's codes, and one of ours from the range that it leaves to servers.
PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
TRAINER_ERROR = -32000


def describe_exception(error: BaseException) -> ErrorInfo:
    """The exception's class, message, notes, causes and traceback as text."""
    cls = type(error)
    module = "" if cls.__module__ in ("builtins", "__main__", "visiontrain.errors") else cls.__module__ + "."
    reason = getattr(error, "reason", None)
    instruction = getattr(error, "instruction", None)
    return ErrorInfo(
        code=TRAINER_ERROR,
        message=reason if isinstance(reason, str) else _message(error),
        type=module + cls.__qualname__,
        instruction=instruction if isinstance(instruction, str) else None,
        traceback="".join(traceback.format_exception(cls, error, error.__traceback__)),
    )


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as e:  # noqa: BLE001 - a broken __str__ must not hide the failure that it describes
        return f"<its message can't be shown: {type(e).__name__}>"
