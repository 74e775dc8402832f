"""Stdout: JSON lines and tables, and nothing else."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from visiontrain.protocol.codec import dumps
from visiontrain.protocol.events import split_non_finite

__all__ = ["numbers", "print_json", "print_table", "print_text"]

_SPACE = "  "
_CUT = "…"
#: A column is not cut below this.
_NARROWEST = 8


def print_json(value: Mapping[str, Any]) -> None:
    """Print an object as one line of strict JSON, at once.

    Raises:
        BrokenPipeError: nobody reads it.
    """
    sys.stdout.buffer.write(dumps(value) + b"\n")
    sys.stdout.buffer.flush()


def numbers(values: Mapping[str, float]) -> dict[str, Any]:
    """`metrics` for a JSON object, with null for what is not finite and its name in `non_finite`."""
    finite, non_finite = split_non_finite(values)
    return {"metrics": finite, "non_finite": non_finite}


def print_text(line: str) -> None:
    """Print a line."""
    from visiontrain.wording import clean

    sys.stdout.write(clean(line) + "\n")


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """Print a table: its last columns cut to the terminal's width on a terminal, whole anywhere else.

    Args:
        headers: Column names; the first column is never cut.
        rows: One text a column.
        right: Columns that are aligned to the right.
    """
    from rich.cells import cell_len, set_cell_size

    from visiontrain.wording import clean

    # Headers too: a metric's name is the framework's.
    table = [[clean(cell).replace("\n", " ") for cell in row] for row in (headers, *rows)]
    widths = [max(cell_len(row[number]) for row in table) for number in range(len(headers))]
    if sys.stdout.isatty():
        widths = _fitted(widths, shutil.get_terminal_size().columns)
    for row in table:
        cells = []
        for cell, width, header in zip(row, widths, headers, strict=True):
            cut = cell if cell_len(cell) <= width else set_cell_size(cell, width - 1) + _CUT
            space = " " * (width - cell_len(cut))
            cells.append(space + cut if header in right else cut + space)
        sys.stdout.write(_SPACE.join(cells).rstrip() + "\n")


def _fitted(widths: list[int], room: int) -> list[int]:
    """Widths that fit a terminal: taken from the last column first, and never from the first."""
    fitted = list(widths)
    excess = sum(widths) + len(_SPACE) * (len(widths) - 1) - room
    for number in range(len(widths) - 1, 0, -1):
        if excess <= 0:
            break
        cut = min(excess, max(0, fitted[number] - _NARROWEST))
        fitted[number] -= cut
        excess -= cut
    return fitted
