"""``visiontrain ui``."""

from __future__ import annotations

from typing import Annotated

import typer

from visiontrain.cli.guard import guarded
from visiontrain.cli.options import CONTEXT

__all__ = ["add_commands"]


def add_commands(app: typer.Typer) -> None:
    """Add it."""
    app.command("ui", context_settings=CONTEXT)(guarded(ui))


def ui(
    port: Annotated[int, typer.Option(metavar="N", min=1, max=65535, help="Where the server listens.")] = 5000,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
) -> None:
    """Open the tracker's page on the runs of this home.

    Its address is printed, and a server on this machine shows it until Ctrl-C. Where runs go to a server of their own,
    as MLFLOW_TRACKING_URI says, that one's address is printed and opened.
    """
    import webbrowser
    from urllib.parse import urlsplit, urlunsplit

    from visiontrain.cli.guard import terminable
    from visiontrain.cli.output import print_text
    from visiontrain.display.console import ConsoleObserver
    from visiontrain.display.consoles import say
    from visiontrain.session import Session

    observer = ConsoleObserver()
    session = Session()
    elsewhere = session.tracking_address()
    if elsewhere is not None and elsewhere.startswith(("http://", "https://")):
        parts = urlsplit(elsewhere)  # a browser asks for name and password itself
        address = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        print_text(address)
        if not no_browser:
            webbrowser.open(address)
        return
    with terminable(), observer, session.pages(port=port, observer=observer) as pages:
        print_text(pages.address)
        if elsewhere is not None:
            say(observer.console, f"This page shows the runs of this home's own store, not those in {elsewhere}.")
        say(observer.console, "Ctrl-C ends the server.")
        if not no_browser:
            webbrowser.open(pages.address)
        pages.wait()
