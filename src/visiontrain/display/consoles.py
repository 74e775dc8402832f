"""Consoles to write to, and whether they can show something that changes."""

from __future__ import annotations

from importlib.util import find_spec

from rich.console import Console
from rich.table import Table
from rich.text import Text

from visiontrain.wording import clean

__all__ = ["can_animate", "error_console", "output_console", "say", "say_field"]


#: Width of labels, with the space behind them.
_LABEL = 14


def error_console() -> Console:
    """Stderr, for messages and progress."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def output_console() -> Console:
    """Stdout, for what was asked for."""
    return Console(highlight=False, markup=False, emoji=False)


def can_animate(console: Console) -> bool:
    """Whether lines can be drawn again: a terminal that moves its cursor, or a notebook with widgets."""
    if console.is_jupyter:
        return find_spec("ipywidgets") is not None and find_spec("IPython") is not None
    return console.is_terminal and not console.is_dumb_terminal


def say(console: Console, message: str | Text, style: str = "", *, whole: bool = False) -> None:
    """Print a message, wrapped at words on a terminal and left as it is elsewhere.

    Args:
        console: Where.
        message: What; text of unknown origin is cleaned, unless it is a `Text`.
        style: Of a `str`.
        whole: Never wrap it: a command that can be copied.
    """
    text = message if isinstance(message, Text) else Text(clean(message), style)
    if not whole and console.is_terminal:
        text = _wrapped(text, console.width)
    console.print(text, soft_wrap=True)


def say_field(console: Console, label: str, value: str, *, whole: bool = False) -> None:
    """Print a label and its value; on a terminal a long value goes on below itself, unless it is to be left `whole`."""
    text = Text("  " + label.ljust(_LABEL), "dim")
    if whole or not console.is_terminal:
        console.print(Text.assemble(text, clean(value)), soft_wrap=True)
        return
    line = Table.grid(expand=True)
    line.add_column(no_wrap=True)
    line.add_column(ratio=1, overflow="fold")
    line.add_row(text, Text(clean(value)))
    console.print(line)


def _wrapped(text: Text, width: int) -> Text:
    """Break lines at spaces. A word that is longer than a line is a path: it stays whole, so that it can be copied."""
    lines: list[Text] = []
    for line in text.split("\n", allow_blank=True):
        cuts, start, plain = [], 0, line.plain
        while len(plain) - start > width:
            space = plain.rfind(" ", start, start + width + 1)
            if not plain[start : space + 1].strip():
                space = plain.find(" ", start + width)
            if space < 0:
                break
            start = space + 1
            cuts.append(start)
        lines += line.divide(cuts)
    for line in lines:
        line.rstrip()
    return Text("\n").join(lines)
