"""The layouts of data that can be read. To add one: a module with a `Format`, and its line in `FORMATS`."""

from __future__ import annotations

import os
from collections.abc import Collection

from visiontrain.datasets.formats.annotations import sign_of_annotations
from visiontrain.datasets.formats.base import Format
from visiontrain.datasets.formats.class_folders import ClassFolders
from visiontrain.datasets.formats.coco import CocoJson
from visiontrain.datasets.formats.files import printable
from visiontrain.datasets.formats.label_file import LabelFile
from visiontrain.datasets.formats.mask_folders import MaskFolders
from visiontrain.datasets.formats.mmocr import MmocrJson
from visiontrain.datasets.formats.quads import QuadFolders
from visiontrain.datasets.formats.voc import PascalVoc
from visiontrain.datasets.formats.voc_masks import VocMasks
from visiontrain.datasets.formats.yolo import YoloFolder
from visiontrain.datasets.tasks import UnservedTaskError
from visiontrain.errors import DatasetError
from visiontrain.protocol.tasks import Task

__all__ = ["FORMATS", "choose_format"]

#: The first that recognises the data reads it: those with the surest signs come first.
FORMATS: tuple[Format, ...] = (
    YoloFolder(),
    CocoJson(),
    PascalVoc(),
    VocMasks(),
    MmocrJson(),
    QuadFolders(),
    LabelFile(),
    MaskFolders(),
    ClassFolders(),
)


def choose_format(source: str, task: Task | None, among: Collection[Task] | None = None) -> Format:
    """The format of the data, a folder or a file.

    Args:
        source: What the person gave.
        task: What it is wanted for; None: one of `among`.
        among: The tasks that it may be for; None: any.

    Raises:
        UnservedTaskError: it never holds data for these tasks.
        DatasetError: no reader is there for the layout.
    """
    wanted = among if task is None else (task,)
    other: Format | None = None
    for candidate in FORMATS:
        # Masks may lie beside boxes of the same images; what else fits after the surest is mistaken for something.
        if (other is None or Task.semantic in candidate.tasks) and candidate.recognises(source):
            if wanted is None or set(wanted) & set(candidate.tasks):
                return candidate
            other = other or candidate
    if other is not None and wanted is not None:
        raise UnservedTaskError(f"{printable(source)} is read as {other.name}", other.tasks, wanted)
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
