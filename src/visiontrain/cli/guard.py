"""What every command has in common: exit codes, and what is said when it can't go on.

0 done; 1 the run did not complete, or an environment could not be built; 2 bad input or usage; 130 ended by Ctrl-C;
141 nobody reads the output any more; 143 ended by SIGTERM.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import ParamSpec

import typer

from visiontrain.errors import InputError, VisiontrainError

__all__ = ["OutputClosedInterrupt", "TerminatedInterrupt", "exit_code", "guarded", "terminable"]

P = ParamSpec("P")


class TerminatedInterrupt(KeyboardInterrupt):
    """SIGTERM: does what Ctrl-C does."""


class OutputClosedInterrupt(KeyboardInterrupt):
    """Nobody reads stdout any more: what was started for its output is stopped as by Ctrl-C."""


def exit_code(error: BaseException) -> int:
    """The exit code that an exception stands for."""
    if isinstance(error, (OutputClosedInterrupt, BrokenPipeError)):
        return 128 + signal.SIGPIPE
    if isinstance(error, KeyboardInterrupt):
        return 128 + (signal.SIGTERM if isinstance(error, TerminatedInterrupt) else signal.SIGINT)
    return 2 if isinstance(error, InputError) else 1


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """Turn visiontrain's errors and interrupts into messages and exit codes; other exceptions are bugs and pass."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
            sys.stdout.flush()
        except VisiontrainError as error:
            from visiontrain.display.consoles import error_console
            from visiontrain.display.errors import say_error

            say_error(error_console(), error)
            raise typer.Exit(exit_code(error)) from None
        except (KeyboardInterrupt, BrokenPipeError) as error:
            if exit_code(error) == 128 + signal.SIGPIPE:
                _discard_output()
            raise typer.Exit(exit_code(error)) from None

    return run


@contextmanager
def terminable() -> Iterator[None]:
    """Within it, SIGTERM raises `TerminatedInterrupt`."""

    def terminate(_number: int, _frame: FrameType | None) -> None:
        raise TerminatedInterrupt

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _discard_output() -> None:
    """Let what is still in stdout's buffer go nowhere, so that the interpreter's own flush at its end is silent."""
    with suppress(OSError, ValueError):
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, sys.stdout.fileno())
        os.close(descriptor)
