"""``visiontrain runs``."""

from __future__ import annotations

from typing import Annotated

import typer

from visiontrain.cli.completion import complete_run
from visiontrain.cli.guard import guarded
from visiontrain.cli.options import CONTEXT, DefaultsToList, JsonOption, RunOrLastArgument

__all__ = ["app"]

app = typer.Typer(
    cls=DefaultsToList,
    context_settings=CONTEXT,
    rich_markup_mode=None,
    help="List, show, follow, report and send runs.",
)


@app.command("list", context_settings=CONTEXT)
@guarded
def list_runs(as_json: JsonOption = False) -> None:
    """List the runs, newest first."""
    from visiontrain.cli.output import print_json, print_table
    from visiontrain.cli.results import run_object
    from visiontrain.cli.run_report import list_row
    from visiontrain.display.consoles import error_console, say
    from visiontrain.errors import UnknownRunError
    from visiontrain.session import Session

    console = error_console()
    rows: list[tuple[str, ...]] = []
    for run in Session().runs():
        try:
            if as_json:
                print_json(run_object(run))
            else:
                rows.append(list_row(run))
        except UnknownRunError as error:  # a record that can't be read hides no other
            say(console, f"Warning: {error.reason}", "yellow")
    if rows:
        print_table(("RUN", "KIND", "STATUS", "MODEL", "BEST", "DATA", "NAME"), rows)
    elif not as_json:
        say(console, "There is no run yet. Start one: visiontrain train DATA --model NAME")


@app.command("show", context_settings=CONTEXT)
@guarded
def show(run: RunOrLastArgument = "last", as_json: JsonOption = False) -> None:
    """Show all that is known of a run.

    What was asked for, what it ran on, how it went, how to go on.
    """
    from visiontrain.cli.output import print_json
    from visiontrain.cli.run_report import print_report, report_object
    from visiontrain.session import Session

    found = Session().run(run)
    if as_json:
        print_json(report_object(found))
    else:
        print_report(found)


@app.command("follow", context_settings=CONTEXT)
@guarded
def follow(run: RunOrLastArgument = "last", as_json: JsonOption = False) -> None:
    """Show a run from its beginning to its end.

    It may be any process's. Ctrl-C ends the following; the run goes on. Exit codes as for `visiontrain train`.
    """
    from visiontrain.cli.output import print_json
    from visiontrain.cli.results import result
    from visiontrain.cli.training import make_observer
    from visiontrain.display.consoles import say
    from visiontrain.session import Session

    handle = Session().follow(run)
    with make_observer(as_json=as_json) as observer:
        observer.joined(handle.run.record)
        try:
            for event in handle.events():
                observer.event(event)
        except KeyboardInterrupt:
            say(observer.console, f"The run goes on. To end it: visiontrain stop {handle.run_id}", "yellow")
            raise
        observer.ended(handle.run)
    if as_json:
        print_json(result(handle.run))
    handle.run.raise_for_status()
    if handle.status != "completed":
        raise typer.Exit(1)


@app.command("report", context_settings=CONTEXT)
@guarded
def report(
    run: RunOrLastArgument = "last",
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Write a run's page, report.html in its folder, and print where it is.

    One file with curves, metrics, pictures and settings, which needs no network. It shows a run as it stands: also one
    that goes on, or that another process has started.
    """
    import webbrowser

    from visiontrain.cli.output import print_text
    from visiontrain.session import Session

    path = Session().run(run).report()
    print_text(str(path))
    if show:
        webbrowser.open(path.as_uri())


@app.command("sync", context_settings=CONTEXT)
@guarded
def sync(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            help="A run's id, a unique prefix of one, its name, or last; by default all that something is missing of.",
            autocompletion=complete_run,
            show_default=False,
        ),
    ] = None,
    checkpoints: Annotated[bool, typer.Option("--checkpoints", help="Send the run's checkpoints, too.")] = False,
    register: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Make the model of an export the next version of this registered model."),
    ] = None,
) -> None:
    """Send to the tracker what it has missed.

    Nothing is sent twice. What a tracker did not take stays in the run's record: this can be tried again at any time.
    """
    from visiontrain.cli.guard import terminable
    from visiontrain.cli.output import print_text
    from visiontrain.display.consoles import error_console, say
    from visiontrain.session import Session

    with terminable():
        sent = Session().sync(run, checkpoints=checkpoints, register=register)
    for each in sent:
        version = f"  {register} version {each.version}" if each.version else ""
        print_text(f"{each.run_id}  {each.url or ''}".rstrip() + version)
    if not sent:
        say(error_console(), "There is nothing to send: what is tracked was accepted, all of it.")
