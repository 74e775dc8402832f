"""``visiontrain doctor``."""

from __future__ import annotations

import typer

from visiontrain.cli.guard import guarded
from visiontrain.cli.options import CONTEXT, JsonOption

__all__ = ["add_commands"]

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def add_commands(app: typer.Typer) -> None:
    """Add it."""
    app.command("doctor", context_settings=CONTEXT)(guarded(doctor))


def doctor(as_json: JsonOption = False) -> None:
    """Look for what is wrong here.

    The installation, the home, the plugins, the environments and the GPU are looked at, with what to do about each.
    Exit code 1 where something fails.
    """
    import dataclasses

    from rich.text import Text

    from visiontrain.cli.checks import examine
    from visiontrain.cli.output import print_json
    from visiontrain.display.consoles import output_console, say
    from visiontrain.session import Session
    from visiontrain.wording import clean

    console = output_console()
    failed = False
    for check in examine(Session()):
        failed = failed or check.level == "fail"
        if as_json:
            print_json(dataclasses.asdict(check))
            continue
        level = (f"{check.level:<5}", _STYLES[check.level])
        say(console, Text.assemble(level, clean(f"{check.name}: {check.message}")))
        if check.instruction:
            say(console, f"     {check.instruction}")
    if failed:
        raise typer.Exit(1)
