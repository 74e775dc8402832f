"""Counts, names and paths in the sentences of a report."""

from __future__ import annotations

import os
from collections.abc import Sequence

from visiontrain.datasets.formats.files import printable
from visiontrain.datasets.report import MAX_FILES

__all__ = ["number", "shown", "some"]


def shown(rows: Sequence[tuple[bytes, ...]]) -> tuple[str, ...]:
    """The paths that rows begin with, to be shown."""
    return tuple(printable(os.fsdecode(row[0])) for row in rows)


def number(count: int, noun: str) -> str:
    """A count and what is counted: ``1 class``, ``2 classes``."""
    return f"{count:,} {noun if count == 1 else noun + ('es' if noun.endswith(('s', 'x')) else 's')}"


def some(names: Sequence[str]) -> str:
    """Names with commas between; of many the first, and how many more."""
    more = f" and {len(names) - MAX_FILES:,} more" if len(names) > MAX_FILES else ""
    return ", ".join(names[:MAX_FILES]) + more
