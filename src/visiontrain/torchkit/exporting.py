"""Export: write a model aside, run what was written on real images, and keep it only where it gives the same."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import torch

import visiontrain
from visiontrain.errors import DatasetError, ExportError
from visiontrain.protocol.inference import ExportResult
from visiontrain.storage import explained
from visiontrain.torchkit.exported import Description, ExportTask, Tensors, tensors_of
from visiontrain.torchkit.exportformats import FORMATS, ExportFormat, Run, export_format
from visiontrain.worker.context import ExportContext

__all__ = ["export"]

#: Images computed at once in the comparison, beside each one alone.
_BATCH = 8

_STEPS = 3

_REMOVED = "Try another format. The file was removed."


@dataclass(frozen=True)
class _Difference:
    """The largest difference of something, from 0 to 1, and where it was met."""

    value: float = 0.0
    image: str = ""
    batch: int = 0


def export(
    context: ExportContext,
    task: ExportTask,
    *,
    packages: Sequence[str],
    formats: Mapping[str, ExportFormat] = FORMATS,
) -> ExportResult:
    """Write a model as `context.params` say, with model.json beside it, and check it.

    The files come into the run's ``artifacts`` folder only after the check.

    Args:
        context: The run.
        task: The model, and what it is for.
        packages: Distributions whose versions model.json shall name.
        formats: What the framework offers.

    Raises:
        ExportError: it can't be written in that format, or gives something else than the model.
        DatasetError: an image to compare on can't be read, or there are none.
    """
    params = context.params
    written = export_format(params.format, formats)
    paths = [image.path for image in islice(context.dataset.images(params.split), params.images)]
    if not paths:
        raise DatasetError(f"the data has no images in its split {params.split} to compare the export on")
    versions = {name: version(name) for name in dict.fromkeys((*packages, *written.packages))}
    versions = {"visiontrain": visiontrain.__version__, **versions}
    description = Description(task, written.name, written.file, versions)

    def step(number: int, message: str) -> bool:
        context.progress("export", step=number, steps=_STEPS, message=message)
        return context.stop_requested

    with _aside(context.artifacts_dir) as folder:
        if step(0, f"Writing {written.name}"):
            return ExportResult("stopped")
        with explained(f"the export {folder} can't be written"):
            written.write(task.exportable(), _example(task), folder / written.file, description)
        if step(1, f"Comparing on {len(paths)} images"):
            return ExportResult("stopped")
        differences = _compare(written, folder / written.file, task, paths)
        if step(2, "Keeping what was written"):
            return ExportResult("stopped")
        for what, difference in differences.items():
            if difference.value > params.tolerance:
                raise _too_different(written, what, difference, params.tolerance)
        largest = max(difference.value for difference in differences.values())
        check = {
            "images": len(paths),
            "batch_sizes": sorted({1, _largest_batch(paths)}),
            "largest_difference": largest,
            **_by_what(differences),
            "tolerance": params.tolerance,
            "runtime": f"{written.runtime} {version(written.runtime)}",
        }
        with explained(f"the export in {context.artifacts_dir} can't be written"):
            replace(description, check=check).write(folder / "model.json")
            names = (written.file, written.beside, "model.json")
            kept = _keep(folder, context.artifacts_dir, [name for name in names if name is not None])
    for path in sorted(kept, key=lambda path: path.name != written.file):  # the model first: it is what is asked for
        context.artifact(path, kind="export")
    size = sum(path.stat().st_size for path in kept)
    context.log(
        f"Wrote {', '.join(path.name for path in kept)}: {size / 1e6:.1f} MB. On {len(paths)} images, one by one and "
        f"{_largest_batch(paths)} at once, {check['runtime']} gave the same {_list([*differences])} as the model: "
        f"the largest difference is {_in_words(differences)}."
    )
    step(_STEPS, "Done")
    return ExportResult("completed", {"export_difference": largest, "images_checked": float(len(paths))})


def _example(task: ExportTask) -> torch.Tensor:
    shape = task.describe()["input"]["shape"]
    return torch.zeros(2, *shape[1:])


def _by_what(differences: Mapping[str, _Difference]) -> dict[str, Any]:
    """Each, where there are several."""
    if len(differences) == 1:
        return {}
    return {"differences": {what: difference.value for what, difference in differences.items()}}


def _in_words(differences: Mapping[str, _Difference]) -> str:
    if len(differences) == 1:
        return f"{next(iter(differences.values())).value:.1e}"
    return _list([f"{difference.value:.1e} of {what}" for what, difference in differences.items()])


def _list(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _largest_batch(paths: Sequence[str]) -> int:
    """Of those that `_batches` gives; more than one."""
    return max(2, min(_BATCH, len(paths)))


def _batches(paths: Sequence[str]) -> Iterator[Sequence[str]]:
    """The images in batches; a single one comes twice, to make a batch."""
    every = paths if len(paths) > 1 else [*paths, *paths]
    size = _largest_batch(paths)
    for start in range(0, len(every), size):
        yield every[start : start + size]


def _compare(written: ExportFormat, path: Path, task: ExportTask, paths: Sequence[str]) -> dict[str, _Difference]:
    """Run each image alone and with others; the largest difference by what differs."""
    try:
        run = written.open(path)
    except Exception as e:  # a runtime's errors are its own
        raise ExportError(
            f"what was written as {written.name} can't be loaded: {type(e).__name__}: {e}", instruction=_REMOVED
        ) from e
    worst: dict[str, _Difference] = {}
    for names in _batches(paths):
        batch = task.read(names)
        with torch.inference_mode():
            wanted = tensors_of(task.reference(batch))
        for size in (len(batch), 1):
            runs = [_run(run, part, written) for part in torch.split(batch, size)]
            found = tuple(map(torch.cat, zip(*runs, strict=True)))
            _check_shapes(written, task, wanted, found)
            for name, differences in zip(names, task.differences(wanted, found), strict=True):
                for what, value in differences.items():
                    if math.isnan(value):
                        raise ExportError(
                            f"the {what} of {name} are not numbers, in the model or in what was written of it",
                            instruction="Look at the run's losses, and export an earlier checkpoint.",
                        )
                    worst.setdefault(what, _Difference())
                    if value > worst[what].value:
                        worst[what] = _Difference(value, name, size)
    return worst


def _run(run: Run, batch: torch.Tensor, written: ExportFormat) -> Tensors:
    try:
        return tensors_of(run(batch))
    except Exception as e:  # a runtime's errors are its own
        reason = f"can't be run with {len(batch)} images at once: {type(e).__name__}: {e}"
        raise ExportError(f"what was written as {written.name} {reason}", instruction=_REMOVED) from e


def _check_shapes(written: ExportFormat, task: ExportTask, wanted: Tensors, found: Tensors) -> None:
    for name, one, other in zip(task.outputs, wanted, found, strict=True):
        if one.shape != other.shape:
            raise ExportError(
                f"what was written as {written.name} gives {list(other.shape)} for {len(one)} images at once, not "
                f"{list(one.shape)}, as {name}",
                instruction=_REMOVED,
            )


def _too_different(written: ExportFormat, what: str, difference: _Difference, tolerance: float) -> ExportError:
    return ExportError(
        f"what was written as {written.name} gives other {what} than the model: they differ by "
        f"{difference.value:.2g} for {difference.image} ({difference.batch} at once), and {tolerance:g} is allowed",
        instruction="Try another format, or allow more with --tolerance. The file was removed.",
    )


@contextmanager
def _aside(artifacts: Path) -> Iterator[Path]:
    """A folder for what is not checked yet; nothing of it stays."""
    folder = artifacts / "unchecked"
    shutil.rmtree(folder, ignore_errors=True)
    with explained(f"the export in {artifacts} can't be written"):
        folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _keep(folder: Path, artifacts: Path, names: Sequence[str]) -> list[Path]:
    """Move the files of these names; the model's comes first, and what says that it is whole last."""
    return [(folder / name).replace(artifacts / name) for name in names if (folder / name).exists()]
