"""An error as a person reads it: what happened, then what to do."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from visiontrain.display.consoles import say
from visiontrain.errors import RunError, VisiontrainError
from visiontrain.wording import clean

__all__ = ["error_lines", "say_error"]


def error_lines(error: VisiontrainError) -> list[Text]:
    """The reason, the worker's traceback or log where there is one, and the instruction on a line of its own."""
    lines = [Text.assemble(("Error: ", "bold red"), clean(error.reason))]
    if isinstance(error, RunError):
        if error.remote_traceback:
            lines.append(Text(clean(error.remote_traceback.rstrip()), "dim"))
        if error.log_tail:
            lines.append(Text("Last lines of the worker's log:", "dim"))
            lines.append(Text(clean(error.log_tail.rstrip()), "dim"))
    if error.instruction:
        lines.append(Text(clean(error.instruction)))
    return lines


def say_error(console: Console, error: VisiontrainError) -> None:
    """Print an error."""
    for line in error_lines(error):
        say(console, line)
