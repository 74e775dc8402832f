"""Consoles to write to, and whether they can show something that changes."""

from __future__ import annotations

from importlib.util import find_spec

from rich.console import Console
from rich.text import Text

from visiontrain.display.text import clean

__all__ = ["can_animate", "error_console", "output_console", "say"]


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


def say(console: Console, message: str | Text, style: str = "") -> None:
    """Print a message. Its lines are left for the terminal to wrap, so that paths and commands can be copied whole."""
    console.print(message if isinstance(message, Text) else Text(clean(message), style), soft_wrap=True)
