"""What an export has left: a model for other programs."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from visiontrain.errors import PluginError
from visiontrain.protocol.events import ArtifactEvent
from visiontrain.rundir.events import EVENTS, EventReader
from visiontrain.storage import explained

if TYPE_CHECKING:
    from visiontrain.handles import Run

__all__ = ["DIFFERENCE", "KIND", "Export", "delivered"]

#: The artifact's kind of a file that belongs to an exported model; the first one is the model itself.
KIND = "export"

#: The metric that says how far the two models are from each other.
DIFFERENCE = "export_difference"


@dataclass(frozen=True)
class Export:
    """A model as it was written.

    Args:
        run_id: The export's run.
        format: onnx, torchscript...
        files: The model's file first, then what lies beside it: preprocessing, class map, large weights.
        difference: Largest difference between what the model says and what was written of it, from 0 to 1, on images
            of the data.
    """

    run_id: str
    format: str
    files: tuple[Path, ...]
    difference: float

    @property
    def path(self) -> Path:
        """The model's file."""
        return self.files[0]


def delivered(run: Run) -> Export:
    """What an export that is completed has written, where the person wants it.

    Raises:
        PluginError: it says that it is completed, and told of no file or no difference.
        StorageError: the files can't be copied; they are still in the run's folder.
    """
    record = run.record
    events = EventReader(run.run_dir / EVENTS).read()
    files = [run.run_dir / event.path for event in events if isinstance(event, ArtifactEvent) and event.kind == KIND]
    difference = run.metrics.get(DIFFERENCE)
    if not files or difference is None:
        raise PluginError(
            f"the framework {record.framework} told of no {DIFFERENCE if files else 'exported file'}",
            instruction="Tell the plugin's author.",
        )
    output = record.spec.get("output")
    if output is not None:
        folder = Path(output)
        with explained(f"the exported files, which are in {run.run_dir / 'artifacts'}, can't be copied"):
            folder.mkdir(parents=True, exist_ok=True)
            files = [Path(shutil.copy2(file, folder)) for file in files]
    return Export(record.run_id, str(record.spec["format"]), tuple(files), difference)
