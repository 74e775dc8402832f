"""The last lines of a terminal, drawn again a few times a second while other lines scroll by above them."""

from __future__ import annotations

import sys
from collections.abc import Callable

from rich.console import Console, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from visiontrain.display.consoles import can_animate

__all__ = ["Region", "bar"]

#: Drawings a second. What is drawn is asked for by the drawing itself, so events cost nothing but their bookkeeping.
RATE = 5.0


class Region:
    """Shows what `show` was given last, on consoles that can; on others nothing.

    Args:
        console: Where.
        redirect: Whether what the process prints itself is taken to above the region.
        animate: Whether it is used at all.
    """

    def __init__(self, console: Console, *, redirect: bool = True, animate: bool = True) -> None:
        self.animated = animate and can_animate(console)
        self._console = console
        self._redirect = redirect
        self._render: Callable[[], RenderableType] = Text
        self._live: Live | None = None

    def show(self, render: Callable[[], RenderableType]) -> None:
        """Draw what `render` gives, now and again until `hide`."""
        self._render = render
        if self._live is None and self.animated:
            self._live = Live(
                console=self._console,
                refresh_per_second=RATE,
                transient=True,
                # What goes to a file or a pipe must still go there.
                redirect_stdout=self._redirect and sys.stdout is not None and sys.stdout.isatty(),
                redirect_stderr=self._redirect,
                get_renderable=self._rendered,
            )
            self._live.start(refresh=True)

    def hide(self) -> None:
        """Take the region off the screen."""
        if self._live is not None:
            live, self._live = self._live, None
            live.stop()

    def _rendered(self) -> RenderableType:
        # Room for the ^C that a terminal shows: in a full line it would push the region down, and leave it there.
        return Padding(self._render(), (0, 3, 0, 0))


def bar(label: str, done: int, total: int, text: str) -> RenderableType:
    """One line: what is going on, a bar where the total is known, and numbers."""
    line = Table.grid(padding=(0, 1), expand=True)
    if total <= 0:
        line.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        line.add_column(no_wrap=True)
        line.add_row(Text(label), Text(text))
        return line
    line.add_column(no_wrap=True, overflow="ellipsis")
    line.add_column(ratio=1, min_width=8)
    line.add_column(no_wrap=True)
    line.add_row(Text(label), ProgressBar(total=total, completed=min(done, total)), Text(text))
    return line
