"""Export: write a model aside, run what was written on real images, and keep it only where it gives the same."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import torch
from torch import nn

import visiontrain
from visiontrain.datasets.index import DatasetIndex
from visiontrain.errors import DatasetError, ExportError
from visiontrain.protocol.inference import ExportResult
from visiontrain.storage import explained
from visiontrain.torchkit.exported import Description, ProbabilityModel
from visiontrain.torchkit.exportformats import ExportFormat, export_format
from visiontrain.torchkit.images import read_rgb
from visiontrain.torchkit.loading import SavedModel
from visiontrain.torchkit.transforms import EvalTransform, Normalize
from visiontrain.worker.context import ExportContext

__all__ = ["export"]

#: Images computed at once in the comparison, beside each one alone.
_BATCH = 8

_CPU = torch.device("cpu")
_STEPS = 3


@dataclass(frozen=True)
class _Difference:
    """The largest difference of a probability, from 0 to 1 or NaN, and where it was met."""

    value: float
    image: str
    batch: int


def export(
    context: ExportContext,
    saved: SavedModel,
    reference: nn.Module,
    exportable: Callable[[], nn.Module],
    *,
    packages: Sequence[str],
) -> ExportResult:
    """Write a classifier as `context.params` say, with model.json beside it, and check it.

    The files come into the run's ``artifacts`` folder only after the check.

    Args:
        context: The run.
        saved: What the checkpoint says.
        reference: Its model in float32 on the CPU, set to evaluation: what the exported one is compared with.
        exportable: Gives the same model as exporters want it; may be the same object.
        packages: Distributions whose versions model.json shall name.

    Raises:
        ExportError: it can't be written in that format, or gives other probabilities than the model.
        DatasetError: an image to compare on can't be read, or there are none.
    """
    params = context.params
    written = export_format(params.format)
    images = _Images(context.dataset, params.split, params.images, saved)
    versions = {name: version(name) for name in dict.fromkeys((*packages, *written.packages))}
    versions = {"visiontrain": visiontrain.__version__, **versions}
    description = Description(saved, written.name, written.file, versions)

    def step(number: int, message: str) -> bool:
        context.progress("export", step=number, steps=_STEPS, message=message)
        return context.stop_requested

    with _aside(context.artifacts_dir) as folder:
        if step(0, f"Writing {written.name}"):
            return ExportResult("stopped")
        model = ProbabilityModel(exportable(), multi_label=saved.multi_label)
        example = torch.zeros(2, 3, *saved.image.size)
        with explained(f"the export {folder} can't be written"):
            written.write(model, example, folder / written.file, description)
        del model
        if step(1, f"Comparing on {len(images)} images"):
            return ExportResult("stopped")
        difference = _compare(written, folder / written.file, reference, images, saved)
        if step(2, "Keeping what was written"):
            return ExportResult("stopped")
        if not difference.value <= params.tolerance:
            raise _too_different(written, difference, params.tolerance)
        check = {
            "images": len(images),
            "batch_sizes": sorted({1, images.largest_batch}),
            "largest_difference": difference.value,
            "tolerance": params.tolerance,
            "runtime": f"{written.runtime} {version(written.runtime)}",
        }
        with explained(f"the export in {context.artifacts_dir} can't be written"):
            replace(description, check=check).write(folder / "model.json")
            kept = _keep(folder, context.artifacts_dir, (written.file, f"{written.file}.data", "model.json"))
    for path in sorted(kept, key=lambda path: path.name != written.file):  # the model first: it is what is asked for
        context.artifact(path, kind="export")
    size = sum(path.stat().st_size for path in kept)
    context.log(
        f"Wrote {', '.join(path.name for path in kept)}: {size / 1e6:.1f} MB. On {len(images)} images, one by one and "
        f"{images.largest_batch} at once, {check['runtime']} gave the same probabilities as the model: the largest "
        f"difference is {difference.value:.1e}."
    )
    step(_STEPS, "Done")
    return ExportResult("completed", {"export_difference": difference.value, "images_checked": float(len(images))})


class _Images:
    """The first images of a split as the model sees them, each read when it is its turn."""

    def __init__(self, data: DatasetIndex, split: str, count: int, saved: SavedModel) -> None:
        self._paths = [image.path for image in islice(data.images(split), count)]
        if not self._paths:
            raise DatasetError(f"the data has no images in its split {split} to compare the export on")
        self._transform = EvalTransform(saved.image)
        self._normalize = Normalize(saved.image, _CPU, channels_last=False)

    def __len__(self) -> int:
        return len(self._paths)

    @property
    def largest_batch(self) -> int:
        """Of those that `batches` gives; more than one."""
        return max(2, min(_BATCH, len(self)))

    def batches(self) -> Iterator[tuple[list[str], torch.Tensor]]:
        """Paths and input, float32 (batch, 3, height, width). A single image comes twice, to make a batch."""
        paths = self._paths if len(self) > 1 else self._paths * 2
        for start in range(0, len(paths), self.largest_batch):
            chosen = paths[start : start + self.largest_batch]
            pixels = [torch.from_numpy(self._transform(read_rgb(path)).copy()) for path in chosen]
            yield chosen, self._normalize(torch.stack(pixels))


def _compare(
    written: ExportFormat, path: Path, reference: nn.Module, images: _Images, saved: SavedModel
) -> _Difference:
    """Run each image alone and with others."""
    try:
        run = written.open(path)
    except Exception as e:  # a runtime's errors are its own
        raise ExportError(
            f"what was written as {written.name} can't be loaded: {type(e).__name__}: {e}",
            instruction="Try another format. The file was removed.",
        ) from e
    model = ProbabilityModel(reference, multi_label=saved.multi_label)
    worst = _Difference(0.0, "", 0)
    for paths, batch in images.batches():
        with torch.inference_mode():
            wanted = model(batch)
        for size in (len(batch), 1):
            found = torch.cat([_run(run, part, written) for part in torch.split(batch, size)])
            if found.shape != wanted.shape:
                raise ExportError(
                    f"what was written as {written.name} gives {list(found.shape)} for {size} images at once, not "
                    f"{list(wanted.shape)}",
                    instruction="Try another format. The file was removed.",
                )
            differences = (found - wanted).abs().amax(1)
            for name, value in zip(paths, differences.tolist(), strict=True):
                if math.isnan(value) or value > worst.value:
                    worst = _Difference(value, name, size)
                if math.isnan(value):
                    return worst
    return worst


def _run(run: Callable[[torch.Tensor], torch.Tensor], batch: torch.Tensor, written: ExportFormat) -> torch.Tensor:
    try:
        return run(batch)
    except Exception as e:  # a runtime's errors are its own
        reason = f"can't be run with {len(batch)} images at once: {type(e).__name__}: {e}"
        raise ExportError(
            f"what was written as {written.name} {reason}",
            instruction="Try another format. The file was removed.",
        ) from e


def _too_different(written: ExportFormat, difference: _Difference, tolerance: float) -> ExportError:
    if math.isnan(difference.value):
        reason = f"the probabilities of {difference.image} are not numbers, in the model or in what was written of it"
        return ExportError(reason, instruction="Look at the run's losses, and export an earlier checkpoint.")
    return ExportError(
        f"what was written as {written.name} gives other probabilities than the model: they differ by "
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
