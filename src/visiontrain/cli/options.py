"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from visiontrain.cli.completion import complete_run

__all__ = ["CONTEXT", "DefaultsToList", "JsonOption", "RunArgument", "RunOrLastArgument"]

#: For every command: -h as well as --help.
CONTEXT = {"help_option_names": ["-h", "--help"]}

_RUN = "A run's id, a unique prefix of one, its name, or last."

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help=_RUN, autocompletion=complete_run, show_default=False)]

RunOrLastArgument = Annotated[str, typer.Argument(metavar="RUN", help=_RUN, autocompletion=complete_run)]

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object a line instead of a table.")]


class DefaultsToList(TyperGroup):
    """A group of commands that means its ``list`` where no command is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put ``list`` before options that are not the group's own."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)
