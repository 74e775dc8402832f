"""``visiontrain train``, ``resume`` and ``stop``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from visiontrain.cli.completion import complete_environment, complete_framework, complete_model
from visiontrain.cli.guard import guarded
from visiontrain.cli.options import CONTEXT, RunArgument

__all__ = ["add_commands"]

_RUN_JSON = "Print each event as one JSON line on stdout, the last one a result; messages stay on stderr."
_DETACH = "Leave the run going on by itself, and print its id."


def add_commands(app: typer.Typer) -> None:
    """Add them."""
    app.command("train", context_settings=CONTEXT)(guarded(train))
    app.command("resume", context_settings=CONTEXT)(guarded(resume))
    app.command("stop", context_settings=CONTEXT)(guarded(stop))


def train(  # noqa: PLR0917 - typer reads the command line from its parameters
    data: Annotated[
        str | None, typer.Argument(metavar="DATA", help="The dataset's folder, or the file that lists it.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The model's name: visiontrain models.", autocompletion=complete_model),
    ] = None,
    task: Annotated[
        str | None, typer.Option(metavar="T", help="The vision problem; by default what model and data are for.")
    ] = None,
    framework: Annotated[
        str | None,
        typer.Option(metavar="F", help="By default the one that knows the model.", autocompletion=complete_framework),
    ] = None,
    epochs: Annotated[int | None, typer.Option(metavar="N", help="Passes over the training split.")] = None,
    batch_size: Annotated[
        str | None, typer.Option(metavar="N|auto", help="Images a step; auto: as many as suit the device.")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--lr", "--learning-rate", metavar="X", help="The highest learning rate.")
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(metavar="N", help="Side of the square that images are brought to, in pixels.")
    ] = None,
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="Begin with the model's published weights (the default).")
    ] = False,
    scratch: Annotated[bool, typer.Option("--scratch", help="Begin with random weights.")] = False,
    weights: Annotated[str | None, typer.Option(metavar="PATH", help="Begin with the weights in a file.")] = None,
    device: Annotated[
        str | None, typer.Option(metavar="D", help="auto, cpu, cuda, cuda:N or mps; by default auto.")
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Decides every random choice; by default 0.")] = None,
    name: Annotated[str | None, typer.Option(metavar="TEXT", help="A name for the run.")] = None,
    detach: Annotated[bool, typer.Option("--detach", help=_DETACH)] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="key=value", help="An option of the framework: visiontrain models NAME --options."
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE.yaml", help="Settings by name; what is typed wins over them.")
    ] = None,
    environment: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[@GENERATION]",
            help="Use a kept generation of the environment.",
            autocompletion=complete_environment,
        ),
    ] = None,
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Leave images out that can't be decoded, instead of refusing.")
    ] = False,
    tracking: Annotated[
        str | None,
        typer.Option(metavar="off|URI", help="Where the run is tracked; by default MLFLOW_TRACKING_URI, else here."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help=_RUN_JSON)] = False,
) -> None:
    """Train a model on a folder of images.

    Ctrl-C stops the run at its next safe point with a checkpoint that `visiontrain resume` goes on from; a second one
    ends it at once. Exit codes: 0 completed, 1 not completed, 2 bad input or usage, 130 stopped by Ctrl-C.
    """
    from visiontrain.cli.request import request_fields
    from visiontrain.cli.training import carry_out
    from visiontrain.specs import make_train_spec

    typed: dict[str, Any] = {
        "data": data,
        "model": model,
        "task": task,
        "framework": framework,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "image_size": image_size,
        "device": device,
        "seed": seed,
        "name": name,
        "environment": environment,
        "skip_unreadable": skip_unreadable or None,
        "tracking": tracking,
    }
    begin_with = _weights(pretrained=pretrained, scratch=scratch, path=weights)
    carry_out(
        lambda session, observer: session.start_spec(
            make_train_spec(**request_fields(typed, settings=settings or (), config=config, weights=begin_with)),
            detach=detach,
            observer=observer,
        ),
        detach=detach,
        as_json=as_json,
    )


def resume(
    run: RunArgument,
    epochs: Annotated[
        int | None, typer.Option(metavar="TOTAL", help="A new total of epochs; needed for a run that is completed.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help=_DETACH)] = False,
    as_json: Annotated[bool, typer.Option("--json", help=_RUN_JSON)] = False,
) -> None:
    """Go on with a run from its last checkpoint.

    It goes on in the environment and on the data that it had.
    """
    from visiontrain.cli.training import carry_out

    carry_out(
        lambda session, observer: session.resume(run, epochs=epochs, detach=detach, observer=observer),
        detach=detach,
        as_json=as_json,
    )


def stop(
    run: RunArgument,
    now: Annotated[
        bool, typer.Option("--now", help="End it at once; what was done since its last checkpoint is lost.")
    ] = False,
) -> None:
    """Stop a run, whichever process started it.

    It ends at its next safe point and leaves a checkpoint to resume from; this waits until then. Ctrl-C ends the
    waiting; the run stops all the same.
    """
    import time

    from visiontrain.display.consoles import error_console, say
    from visiontrain.display.ending import say_ending
    from visiontrain.rundir.directory import is_being_worked_on
    from visiontrain.session import Session

    console = error_console()
    found = Session().run(run)
    if not is_being_worked_on(found.run_dir):
        say(console, f"{found.run_id} is not running: it is {found.status}.")
        return
    if now:
        found.kill()
        say(console, f"Asked {found.run_id} to end at once.")
    else:
        found.stop()
        say(console, f"Asked {found.run_id} to stop; it ends at its next safe point.")
    while is_being_worked_on(found.run_dir):
        time.sleep(0.1)
    say_ending(console, found)


def _weights(*, pretrained: bool, scratch: bool, path: str | None) -> str | None:
    if pretrained + scratch + (path is not None) > 1:
        raise typer.BadParameter("Give one of --pretrained, --scratch and --weights.")
    # The words that a spec has for the other two are not files here: ./scratch is.
    if path in ("pretrained", "scratch"):
        path = str(Path(path).absolute())
    return "pretrained" if pretrained else "scratch" if scratch else path
