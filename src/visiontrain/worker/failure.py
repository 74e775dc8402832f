"""Exceptions as text: what can cross between two Pythons that share no classes."""

from __future__ import annotations

import traceback

from visiontrain.errors import VisiontrainError
from visiontrain.protocol.messages import ErrorInfo
from visiontrain.storage import advice, is_full

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

#: Characters of a message or a traceback that are kept.
_LONGEST = 100_000

_MORE_MEMORY = (
    "Memory ran out. Start again with a smaller --batch-size or --image-size, a smaller model, or with less beside it."
)


def describe_exception(error: BaseException) -> ErrorInfo:
    """The exception's class, message, notes, causes and traceback as text; both are cut where they are very long."""
    cls = type(error)
    module = "" if cls.__module__ in ("builtins", "__main__", "visiontrain.errors") else f"{cls.__module__}."
    if isinstance(error, VisiontrainError):
        message, instruction = error.reason, error.instruction
    else:
        message, instruction = _message(error), _instruction(error)
    return ErrorInfo(
        code=TRAINER_ERROR,
        message=_cut(message),
        type=module + cls.__qualname__,
        instruction=instruction,
        traceback=_cut(_traceback(error)),
    )


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as e:  # noqa: BLE001 - a broken __str__ must not hide the failure that it describes
        return f"<its message can't be shown: {type(e).__name__}>"


def _traceback(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(type(error), error, error.__traceback__))
    except Exception as e:  # noqa: BLE001 - notes, causes and source lines are the trainer's, and may be broken as well
        where = "".join(traceback.format_tb(error.__traceback__))
        return f"Traceback (most recent call last):\n{where}<the rest can't be shown: {type(e).__name__}>\n"


def _instruction(error: BaseException) -> str | None:
    if isinstance(error, OSError) and is_full(error):
        return advice(error)
    return _MORE_MEMORY if _is_out_of_memory(type(error)) else None


def _is_out_of_memory(cls: type[BaseException]) -> bool:
    # torch.OutOfMemoryError and its like are no MemoryError.
    return issubclass(cls, MemoryError) or cls.__name__ == "OutOfMemoryError"


def _cut(text: str) -> str:
    """The text's beginning and its end: a message of the protocol has a limit, and the failure must get through."""
    if len(text) <= _LONGEST:
        return text
    half = _LONGEST // 2
    return f"{text[:half]}\n... {len(text) - 2 * half:,} characters are left out ...\n{text[-half:]}"
