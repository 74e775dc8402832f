"""The layouts of data that can be read. To add one: a module with a `Format`, and its line in `FORMATS`."""

from __future__ import annotations

import os

from visiontrain.datasets.formats.annotations import sign_of_annotations
from visiontrain.datasets.formats.base import Format
from visiontrain.datasets.formats.class_folders import ClassFolders
from visiontrain.datasets.formats.files import printable
from visiontrain.datasets.formats.label_file import LabelFile
from visiontrain.errors import DatasetError
from visiontrain.protocol.tasks import Task

__all__ = ["FORMATS", "choose_format"]

#: The first that recognises the data reads it: those with the surest signs come first.
FORMATS: tuple[Format, ...] = (LabelFile(), ClassFolders())


def choose_format(source: str, task: Task | None) -> tuple[Format, Task]:
    """The format of the data, a folder or a file, and the task to read it for.

    Raises:
        DatasetError: no reader is there for the layout, or not for this task.
    """
    for candidate in FORMATS:
        if candidate.recognises(source):
            if task is not None and task not in candidate.tasks:
                raise DatasetError(
                    f"{printable(source)} is read as {candidate.name}, which holds data to "
                    f"{', '.join(map(str, candidate.tasks))}, not to {task}",
                    instruction=f"Ask for the task {candidate.tasks[0]}, or give data for {task}.",
                )
            return candidate, candidate.tasks[0] if task is None else task
    known = f"What can be read: {', '.join(f'{known.name} ({known.summary})' for known in FORMATS)}."
    if not os.path.isdir(source):
        raise DatasetError(
            f"{printable(source)} is a file, neither a folder of images nor a list of them",
            instruction=f"Give the folder; unpack an archive first. {known}",
        )
    raise DatasetError(
        f"{printable(source)} looks like {sign_of_annotations(source)}, and no installed reader handles that yet"
        + ("" if task is None else f" for the task {task}"),
        instruction=known,
    )
