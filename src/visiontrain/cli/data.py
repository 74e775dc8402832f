"""``visiontrain dataset`` and ``visiontrain sample``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from visiontrain.cli.completion import complete_sample
from visiontrain.cli.guard import guarded
from visiontrain.cli.options import CONTEXT, JsonOption

if TYPE_CHECKING:
    from visiontrain.datasets.report import DatasetReport

__all__ = ["add_commands"]

dataset = typer.Typer(context_settings=CONTEXT, rich_markup_mode=None, no_args_is_help=True, help="Check datasets.")


def add_commands(app: typer.Typer) -> None:
    """Add them."""
    app.add_typer(dataset, name="dataset")
    app.command("sample", context_settings=CONTEXT)(guarded(sample))


@dataset.callback()
def _group() -> None:
    """Check datasets."""


@dataset.command("check", context_settings=CONTEXT)
@guarded
def check(
    data: Annotated[
        Path,
        typer.Argument(metavar="DATA", help="The dataset's folder, or the file that lists it.", show_default=False),
    ],
    task: Annotated[
        str | None, typer.Option(metavar="T", help="Read it for this task; by default the one it was made for.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(metavar="N", help="Say so where there are fewer images to train on.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is wrong with a dataset.

    Every image is decoded. Exit code 2 where the dataset can't be trained on.
    """
    from visiontrain.cli.output import print_json
    from visiontrain.display.console import ConsoleObserver
    from visiontrain.session import Session

    if batch_size is not None and batch_size < 1:
        raise typer.BadParameter(f"A batch has one image or more, not {batch_size}.", param_hint="'--batch-size'")
    with ConsoleObserver() as observer:
        report = Session().check_dataset(data, task=task, batch_size=batch_size, progress=observer.indexing)
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        _print_report(report)
    if not report.trainable:
        raise typer.Exit(2)


def sample(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Which; without one they are listed.", autocompletion=complete_sample),
    ] = None,
    folder: Annotated[Path | None, typer.Argument(metavar="DIR", help="A new or an empty folder.")] = None,
    image_format: Annotated[
        str, typer.Option("--format", metavar="F", help="Of the images: jpg, png, or ppm, which needs no decoder.")
    ] = "jpg",
    as_json: JsonOption = False,
) -> None:
    """Generate a small dataset."""
    from visiontrain.cli.output import print_json, print_table
    from visiontrain.datasets.samples import SAMPLES, holds_sample, make_sample
    from visiontrain.display.consoles import error_console, say
    from visiontrain.protocol.tasks import Task

    if name is None:
        for kind in SAMPLES.values() if as_json else ():
            print_json({"name": kind.name, "task": str(kind.task), "summary": kind.summary})
        if not as_json:
            print_table(("SAMPLE", "TASK", "WHAT"), [(s.name, str(s.task), s.summary) for s in SAMPLES.values()])
        return
    if folder is None:
        raise typer.BadParameter(f"Give a folder too: visiontrain sample {name} DIR")
    was_there = holds_sample(name, folder, image_format=image_format)
    made = make_sample(name, folder, image_format=image_format)
    if as_json:
        print_json({"name": name, "path": str(made)})
        return
    console = error_console()
    found = f"The sample {name} is already there, in {made}" if was_there else f"Made the sample {name} in {made}"
    say(console, f"{found}. Next:")
    if SAMPLES[name].task is Task.classify:
        command = f"train {folder} --model resnet18 --scratch --image-size 64 --epochs 5"
    else:
        command = f"dataset check {folder}"
    say(console, f"  visiontrain {command}", whole=True)


def _print_report(report: DatasetReport) -> None:
    from visiontrain.cli.output import print_table, print_text

    several = ", multi-label" if report.multi_label else ""
    others = ", ".join(str(task) for task in report.tasks if task is not report.task)
    further = f" (--task reads it for {others})" if others else ""
    print_text(f"{report.source}: {report.format}, for {report.task}{several}{further}")
    splits = list(report.splits)
    shares = report.pixel_shares
    named_alone = bool(report.objects or shares)  # such data may name classes that it does not show
    counted = {name: counts for name, counts in report.classes.items() if not named_alone or any(counts.values())}
    rows = [
        (
            name,
            *(f"{counts.get(split, 0):,}" for split in splits),
            *(f"{shares[name].get(split, 0):.1%}" for split in splits if shares),
        )
        for name, counts in counted.items()
    ]
    blank = ("",) * len(splits) if shares else ()
    if report.objects:
        rows.append(("all objects", *(f"{report.objects[split]:,}" for split in splits)))
    rows.append(("images" if named_alone else "all", *(f"{report.splits[split]:,}" for split in splits), *blank))
    of_pixels = [f"{split} pixels" for split in splits if shares]
    print_table(("CLASS", *splits, *of_pixels), rows, right=[*splits, *of_pixels])
    for problem in report.problems:
        print_text(f"{problem.severity}: {problem}")
