"""Carrying a run out from the command line: shown, as JSON lines, or detached."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import typer

from visiontrain.cli.guard import OutputClosedInterrupt, terminable
from visiontrain.cli.output import print_json, print_text
from visiontrain.cli.results import result
from visiontrain.display.console import ConsoleObserver
from visiontrain.display.consoles import say
from visiontrain.errors import VisiontrainError
from visiontrain.following import RunHandle
from visiontrain.handles import Run
from visiontrain.observers import Observer
from visiontrain.protocol.events import Event, event_to_json
from visiontrain.running import follow_to_end
from visiontrain.session import Session

__all__ = ["JsonObserver", "carry_out", "make_observer"]


class JsonObserver(ConsoleObserver):
    """Prints each event on stdout, beside what a person sees on stderr."""

    def __init__(self) -> None:
        # On one screen with the lines, what moves would be torn by them.
        super().__init__(redirect=False, animate=not sys.stdout.isatty())
        self._closed = False

    def event(self, event: Event) -> None:
        """Print it, for both."""
        self._print(event)
        super().event(event)

    def _print(self, event: Event) -> None:
        if self._closed:
            return
        try:
            print_json(event_to_json(event))
        except BrokenPipeError:
            self._closed = True
            raise OutputClosedInterrupt from None


def make_observer(*, as_json: bool) -> ConsoleObserver:
    """The observer for a command."""
    return JsonObserver() if as_json else ConsoleObserver()


def carry_out(
    start: Callable[[Session, Observer], RunHandle],
    *,
    detach: bool,
    as_json: bool,
    finish: Callable[[Run], Mapping[str, Any]] | None = None,
) -> None:
    """Start a run and follow it to its end, or leave it.

    Args:
        start: Starts it.
        detach: Leave it: its id is printed on stdout.
        as_json: Print events, and a result whatever happens.
        finish: Is given the run when it is completed, and gives what else belongs to its result.
    """
    more: Mapping[str, Any] = {}
    handle: RunHandle | None = None
    observer = make_observer(as_json=as_json)
    try:
        with terminable(), observer:
            handle = start(Session(), observer)
            if detach:
                _leave(handle, observer, as_json=as_json)
            else:
                follow_to_end(handle, observer)
                if finish is not None and handle.status == "completed":
                    more = finish(handle.run)
    except OutputClosedInterrupt:
        raise  # nobody is there to be told
    except (VisiontrainError, KeyboardInterrupt) as raised:
        if handle is None and isinstance(raised, KeyboardInterrupt):
            say(observer.console, "Interrupted: nothing was started.", "yellow")
        if as_json:
            error = raised if isinstance(raised, VisiontrainError) else None
            print_json(result(handle.run if handle else None, error))
        raise
    if as_json:
        print_json({**result(handle.run), **more})
    if not detach and handle.status != "completed":
        raise typer.Exit(1)  # stopped by another process; the ending said so


def _leave(handle: RunHandle, observer: ConsoleObserver, *, as_json: bool) -> None:
    say(observer.console, f"Started {handle.run_id}. Follow it: visiontrain runs follow {handle.run_id}")
    if not as_json:
        print_text(handle.run_id)
