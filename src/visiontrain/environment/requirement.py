"""Requirements as PEP 508 writes them, read by one thread at a time."""

from __future__ import annotations

import threading
from functools import lru_cache

from packaging.requirements import Requirement

__all__ = ["parse_requirement"]

#: A marker's strings are read by `ast`, which some releases of Python 3.11 and 3.12 can't do in two threads at once: it
#: then raises "AST constructor recursion depth mismatch" (python/cpython#106905).
_READING = threading.Lock()


def parse_requirement(text: str) -> Requirement:
    """Read a requirement. It is shared by all who ask for the same text: not to be changed.

    Raises:
        InvalidRequirement: the text is none.
    """
    with _READING:
        return _parsed(text)


@lru_cache(maxsize=2048)
def _parsed(text: str) -> Requirement:
    return Requirement(text)
