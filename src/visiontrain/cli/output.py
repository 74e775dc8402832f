"""Stdout: JSON lines and tables, and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from visiontrain.protocol.codec import dumps
from visiontrain.protocol.events import split_non_finite

__all__ = ["numbers", "print_json", "print_table", "print_text"]


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
    from visiontrain.display.text import clean

    sys.stdout.write(clean(line) + "\n")


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """Print a table: cut to the terminal's width on a terminal, whole and aligned anywhere else.

    Args:
        headers: Column names.
        rows: One text a column.
        right: Columns that are aligned to the right.
    """
    from visiontrain.display.text import clean

    cells = [[clean(cell).replace("\n", " ") for cell in row] for row in rows]
    if sys.stdout.isatty():
        from rich.table import Table
        from rich.text import Text

        from visiontrain.display.consoles import output_console

        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for header in headers:
            justify = "right" if header in right else "left"
            table.add_column(Text(header), justify=justify, no_wrap=True, overflow="ellipsis")  # type: ignore[arg-type]
        for row in cells:
            table.add_row(*map(Text, row))
        output_console().print(table)
        return
    widths = [max(len(header), *(len(row[n]) for row in cells), 0) for n, header in enumerate(headers)]
    for row in [list(headers), *cells]:
        padded = [
            cell.rjust(width) if header in right else cell.ljust(width)
            for cell, width, header in zip(row, widths, headers, strict=True)
        ]
        sys.stdout.write("  ".join(padded).rstrip() + "\n")
