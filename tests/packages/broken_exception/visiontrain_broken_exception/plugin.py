from __future__ import annotations


class _UnprintableError(BaseException):
    def __str__(self) -> str:
        raise RuntimeError("no text either")


raise _UnprintableError
