"""``visiontrain evaluate``, ``predict`` and ``export``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from visiontrain.cli.guard import guarded
from visiontrain.cli.options import CONTEXT, RunArgument

__all__ = ["add_commands"]

CheckpointOption = Annotated[
    str | None,
    typer.Option(metavar="WHICH", help="best or last; by default the best one, and the last where there is none."),
]
DeviceOption = Annotated[str | None, typer.Option(metavar="D", help="auto, cpu, cuda, cuda:N or mps; by default auto.")]
BatchSizeOption = Annotated[
    int | None, typer.Option(metavar="N", help="Images at once; by default as the training had it.")
]
RunJsonOption = Annotated[
    bool, typer.Option("--json", help="Print each event as one JSON line on stdout, the last one a result.")
]


def add_commands(app: typer.Typer) -> None:
    """Add them."""
    for command in (evaluate, predict, export):
        app.command(command.__name__, context_settings=CONTEXT)(guarded(command))


def evaluate(  # noqa: PLR0917 - typer reads the command line from its parameters
    run: RunArgument,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA", help="A dataset's folder, or the file that lists it; by default the training's."
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(metavar="S", help="train, val, test or all; by default test where there is one, else val."),
    ] = None,
    checkpoint: CheckpointOption = None,
    batch_size: BatchSizeOption = None,
    device: DeviceOption = None,
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Leave images out that can't be decoded, instead of refusing.")
    ] = False,
    as_json: RunJsonOption = False,
) -> None:
    """Measure a trained model on data that it was not trained on.

    The classes of other data are matched by their names; it may lack some of the model's.
    """
    from visiontrain.cli.run_report import print_metrics
    from visiontrain.cli.training import carry_out
    from visiontrain.handles import Run

    def tell(found: Run) -> dict[str, Any]:
        if not as_json:
            print_metrics(found)
        return {}

    carry_out(
        lambda session, observer: session.start_evaluation(
            run,
            data,
            observer=observer,
            split=split,
            checkpoint=checkpoint,
            batch_size=batch_size,
            device=device,
            skip_unreadable=skip_unreadable or None,
        ),
        detach=False,
        as_json=as_json,
        finish=tell,
    )


def predict(  # noqa: PLR0917 - typer reads the command line from its parameters
    run: RunArgument,
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE", help="Image files, or folders: all images in and below them.")
    ],
    save: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Write copies with the prediction drawn in, and predictions.csv."),
    ] = None,
    top: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="How many labels of each image are shown; of objects, the best ones."),
    ] = 3,
    confidence: Annotated[
        float | None,
        typer.Option(metavar="X", help="Leave objects of a lower score out, from 0 to 1; by default 0.25."),
    ] = None,
    checkpoint: CheckpointOption = None,
    batch_size: BatchSizeOption = None,
    device: DeviceOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON line an image on stdout, the last one a result.")
    ] = False,
) -> None:
    """Say what a trained model sees in images.

    An image that can't be read is named; the others go on. Exit codes: 0 all were read, 1 some were not, 2 bad input.
    """
    import sys

    from visiontrain.cli.guard import terminable
    from visiontrain.cli.predictions import tell_all
    from visiontrain.session import Session
    from visiontrain.specs import absolute_path

    with terminable(), Session() as session:
        unread = tell_all(
            lambda: session.predict_given(
                run,
                images,
                progress=not (as_json and sys.stdout.isatty()),  # what moves would be torn by the lines
                skip_unreadable=True,
                checkpoint=checkpoint,
                batch_size=batch_size,
                device=device,
                confidence=confidence,
            ),
            save=None if save is None else absolute_path("save", save),
            top=top,
            as_json=as_json,
        )
    if unread:
        raise typer.Exit(1)


def export(  # noqa: PLR0917 - typer reads the command line from its parameters
    run: RunArgument,
    format: Annotated[  # noqa: A002 - as it is typed
        str, typer.Option(metavar="F", help="onnx or torchscript, where the framework offers them.")
    ] = "onnx",
    output: Annotated[
        str | None, typer.Option(metavar="DIR", help="Copy the files to this new folder; they stay in the run's, too.")
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(metavar="X", help="Largest difference that is let pass, from 0 to 1; by default 0.0001."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="DATA", help="The dataset that it is checked on; by default the training's.")
    ] = None,
    images: Annotated[
        int | None, typer.Option(metavar="N", help="How many images it is checked on; by default 32.")
    ] = None,
    checkpoint: CheckpointOption = None,
    as_json: RunJsonOption = False,
) -> None:
    """Write a trained model for other programs, and check what was written.

    Beside the model lies a JSON file with its preprocessing and classes. Model and file are compared on images of the
    data; a difference above the tolerance is an error.
    """
    from visiontrain.cli.training import carry_out
    from visiontrain.display.consoles import error_console, say, say_field
    from visiontrain.exports import delivered
    from visiontrain.handles import Run

    def deliver(found: Run) -> dict[str, Any]:
        exported = delivered(found)
        if not as_json:
            console = error_console()
            say(console, f"Largest difference: {exported.difference:.2g}")
            for file in exported.files:
                say_field(console, "written", str(file), whole=True)
        return {"files": [str(file) for file in exported.files], "difference": exported.difference}

    carry_out(
        lambda session, observer: session.start_export(
            run,
            format,
            observer=observer,
            data=data,
            output=output,
            tolerance=tolerance,
            images=images,
            checkpoint=checkpoint,
        ),
        detach=False,
        as_json=as_json,
        finish=deliver,
    )
