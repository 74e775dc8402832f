"""Look a dataset over without training on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from visiontrain.datasets.pillow import Pillow
from visiontrain.datasets.problems import make_report
from visiontrain.datasets.progress import IndexProgress
from visiontrain.datasets.report import DatasetReport
from visiontrain.datasets.survey import survey_dataset
from visiontrain.protocol.tasks import Task

__all__ = ["check_dataset"]


def check_dataset(
    data: str | os.PathLike[str],
    *,
    folder: Path,
    task: Task | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    progress: Callable[[IndexProgress], None] | None = None,
    others: Callable[[], Iterable[Pillow]] = tuple,
) -> DatasetReport:
    """Read a dataset, decode every image, and report what it holds and what is odd about it.

    Args:
        data: The data's folder, or the file that says what there is; never written to.
        folder: Where what is known about each image is kept, for all datasets.
        task: The task to read it for; None: what the data was made for.
        seed: Decides which images become val where there is no val split.
        batch_size: Images of a training batch, to be told when there are fewer.
        progress: Told how far it is, about twenty times a second.
        others: Further Pillows that have to read the images, such as a framework's own.

    Raises:
        DatasetError: there is no dataset at `data`. All that is wrong with a dataset is in the report.
        StorageError: `folder` can't be written to, or has no room.
        VisiontrainError: no process could be started to decode images.
    """
    with survey_dataset(data, folder=folder, task=task, seed=seed, progress=progress, others=others) as survey:
        return make_report(survey, batch_size=batch_size, skip_unreadable=False)
