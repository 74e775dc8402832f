"""The command ``visiontrain``."""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from visiontrain import __version__
from visiontrain.cli import data, doctor, env, models, runs, train, ui, use
from visiontrain.cli.options import CONTEXT

__all__ = ["app", "main"]

app = typer.Typer(
    name="visiontrain",
    context_settings=CONTEXT,
    no_args_is_help=True,
    # Plain help: brackets stay brackets, it pipes, and it comes without loading what draws tables.
    rich_markup_mode=None,
    # Values of local variables may be secrets.
    pretty_exceptions_show_locals=False,
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"visiontrain {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Train vision models of any framework, each in its own locked environment.

    Results go to stdout, messages and progress to stderr. Everything lives in VISIONTRAIN_HOME.
    """


train.add_commands(app)
use.add_commands(app)
app.add_typer(runs.app, name="runs")
ui.add_commands(app)
models.add_commands(app)
app.add_typer(env.app, name="env")
data.add_commands(app)
doctor.add_commands(app)


def main() -> None:
    """Run the command line, and exit."""
    for stream in (sys.stdout, sys.stderr):
        # A locale that lacks a character must not end a training.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        app()
    except KeyboardInterrupt:  # before a command has begun
        sys.exit(128 + signal.SIGINT)
