"""``visiontrain env``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from visiontrain.cli.completion import complete_buildable, complete_environment
from visiontrain.cli.guard import guarded
from visiontrain.cli.options import CONTEXT, DefaultsToList, JsonOption

if TYPE_CHECKING:
    from visiontrain.environment.generation import Generation
    from visiontrain.session import Session

__all__ = ["app"]

app = typer.Typer(
    cls=DefaultsToList,
    context_settings=CONTEXT,
    rich_markup_mode=None,
    help="List, build and choose environments.",
)

NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="The framework's or tracker's name.",
        autocompletion=complete_buildable,
        show_default=False,
    ),
]
GenerationArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME[@GENERATION]",
        help="The environment, or one of its generations: a unique prefix of the id is enough.",
        autocompletion=complete_environment,
        show_default=False,
    ),
]


@app.command("list", context_settings=CONTEXT)
@guarded
def list_environments(as_json: JsonOption = False) -> None:
    """List what is built and adopted.

    Generations come by environment, the newest first.
    """
    from visiontrain.cli.environment_report import generation_object, generation_row
    from visiontrain.cli.output import print_json, print_table
    from visiontrain.display.consoles import error_console, say
    from visiontrain.protocol.events import UNFINISHED
    from visiontrain.session import Session

    session = Session()
    found = session.environments()
    in_use = {
        record.environment.generation
        for record in (run.record for run in session.runs() if run.is_readable)
        if record.status in UNFINISHED
    }
    stale = {generation.id for generation in found if _is_stale(session, generation)}
    if as_json:
        for generation in found:
            print_json(generation_object(generation, in_use=generation.id in in_use, stale=generation.id in stale))
        return
    if found:
        rows = [
            generation_row(generation, in_use=generation.id in in_use, stale=generation.id in stale)
            for generation in found
        ]
        print_table(("ENVIRONMENT", "PYTHON", "SIZE", "BUILT", "STATE"), rows, right=("SIZE",))
    names = {generation.name for generation in found}
    for plugin in session.plugins():
        for manifest in plugin.frameworks:
            if manifest.name not in names:
                say(error_console(), f"{manifest.name} is not built yet: visiontrain env build {manifest.name}")
        for tracker in plugin.trackers:
            if tracker.name not in names:
                say(error_console(), f"{tracker.name} is not built yet; the first run that is tracked builds it")


@app.command("build", context_settings=CONTEXT)
@guarded
def build(
    name: NameArgument,
    torch_backend: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The build of torch: cpu, cu128, auto...; by default the package index's."),
    ] = None,
) -> None:
    """Build an environment.

    It is built as it is locked, and made the current one. What is built already is kept and made current. A killed
    build leaves nothing behind.
    """
    from visiontrain.cli.guard import terminable
    from visiontrain.display.console import ConsoleObserver
    from visiontrain.display.consoles import say
    from visiontrain.session import Session

    observer = ConsoleObserver()
    try:
        with terminable(), observer:
            Session().build_environment(name, torch_backend=torch_backend, progress=observer.building)
    except KeyboardInterrupt:
        say(observer.console, "Interrupted: what was being built is not used.", "yellow")
        raise


@app.command("adopt", context_settings=CONTEXT)
@guarded
def adopt(
    name: NameArgument,
    python: Annotated[Path, typer.Argument(metavar="PYTHON", help="The interpreter: /path/to/environment/bin/python.")],
) -> None:
    """Use an existing interpreter.

    It is checked, never written to, and becomes the current environment of the framework.
    """
    from visiontrain.display.consoles import error_console, say
    from visiontrain.session import Session

    console = error_console()
    adopted = Session().adopt_environment(name, python)
    for warning in adopted.warnings:
        say(console, f"Warning: {warning}", "yellow")
    say(console, f"Adopted {adopted.python} as {adopted.name}@{adopted.id}; it is the current one, and not locked.")


@app.command("use", context_settings=CONTEXT)
@guarded
def use(
    generation: Annotated[
        str,
        typer.Argument(
            metavar="NAME@GENERATION", autocompletion=complete_environment, show_default=False, help="Which."
        ),
    ],
) -> None:
    """Make a kept generation the current one.

    It stays that until another one is built or used: going back takes a moment.
    """
    from visiontrain.display.consoles import error_console, say
    from visiontrain.session import Session

    name, wanted = _split(generation)
    if wanted is None:
        raise typer.BadParameter(f"{generation!r} names no generation: visiontrain env list shows them.")
    used = Session().use_environment(name, wanted)
    say(error_console(), f"{used.name}@{used.id} is the current one now.")


@app.command("python", context_settings=CONTEXT)
@guarded
def python(environment: GenerationArgument) -> None:
    """Print the path of an interpreter.

    Nothing else is printed: "$(visiontrain env python timm)" starts it.
    """
    from visiontrain.cli.output import print_text
    from visiontrain.environment.store import EnvironmentStore
    from visiontrain.errors import EnvironmentBuildError
    from visiontrain.session import Session

    name, generation = _split(environment)
    session = Session()
    found = EnvironmentStore(session.home.environments).resolve(session.definition(name), generation=generation)
    if found is None:
        raise EnvironmentBuildError(
            f"the environment {name} is not built", instruction=f"Build it: visiontrain env build {name}"
        )
    print_text(str(found.python))


@app.command("remove", context_settings=CONTEXT)
@guarded
def remove(
    environment: GenerationArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove an environment, or a generation.

    One that a run uses is refused; an adopted interpreter stays where it is.
    """
    from visiontrain.display.consoles import error_console, say
    from visiontrain.environment.progress import format_size
    from visiontrain.session import Session

    console = error_console()
    name, generation = _split(environment)
    session = Session()
    if not yes:
        chosen = [each for each in session.environments() if each.name == name and each.id.startswith(generation or "")]
        for each in chosen:
            say(console, f"{each.name}@{each.id}, {format_size(each.size_bytes)}")
        if chosen and not _can_ask():
            raise typer.BadParameter("Nobody is there to be asked: give --yes to remove it.")
        if chosen and not typer.confirm("Remove?", err=True):
            raise typer.Exit(1)
    for removed in session.remove_environment(name, generation):
        say(console, f"Removed {name}@{removed}.")


def _can_ask() -> bool:
    return sys.stdin.isatty()


def _split(text: str) -> tuple[str, str | None]:
    name, _, generation = text.partition("@")
    return name, generation or None


def _is_stale(session: Session, generation: Generation) -> bool:
    """Whether the installed plugin would have it built otherwise; what no plugin knows any more is not stale."""
    from visiontrain.errors import InputError

    try:
        definition = session.definition(generation.name)
    except InputError:
        return False
    return generation.fingerprint.is_stale(definition, torch_backend=None)
