"""Make the index of a dataset, or find the one that was made before."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from visiontrain.datasets.index import FORMAT_VERSION, SCHEMA, DatasetIndex
from visiontrain.datasets.indexed_images import fingerprint_of, images_of
from visiontrain.datasets.objects import COLUMNS
from visiontrain.datasets.pillow import Pillow
from visiontrain.datasets.problems import SKIPPABLE, TRAINING_ALONE, make_report
from visiontrain.datasets.progress import IndexProgress
from visiontrain.datasets.report import DatasetReport, IndexedDataset
from visiontrain.datasets.survey import Survey, survey_dataset
from visiontrain.errors import DatasetError
from visiontrain.protocol.tasks import Task
from visiontrain.storage import explained, flock

__all__ = ["index_dataset"]

_TOLD_EVERY = 10_000  # images written


def index_dataset(
    data: str | os.PathLike[str],
    *,
    folder: Path,
    task: Task | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    skip_unreadable: bool = False,
    for_training: bool = True,
    progress: Callable[[IndexProgress], None] | None = None,
    others: Callable[[], Iterable[Pillow]] = tuple,
    among: Collection[Task] | None = None,
) -> IndexedDataset:
    """Read a dataset, check it, and write its index where there is none yet.

    Args:
        data: The data's folder, or the file that says what there is; never written to.
        folder: Where indexes are kept, and what is known about each image.
        task: The task to read it for; None: what the data was made for.
        seed: Decides which images become val where there is no val split.
        batch_size: Images of a training batch, to be warned when there are fewer.
        skip_unreadable: Leave unreadable images out, with a warning, instead of refusing the data.
        for_training: Whether there must be something to train on, beside something to evaluate on.
        progress: Told how far it is, about twenty times a second.
        others: Further Pillows that have to read the images, such as a framework's own.
        among: Where `task` is None: the tasks to choose from; None: any.

    Raises:
        DatasetError: there is no dataset at `data`, or its report has an error.
        UnservedTaskError: there is one, for other tasks.
        StorageError: `folder` can't be written to or locked, or has no room.
        VisiontrainError: no process could be started to decode images.
    """
    with survey_dataset(
        data,
        folder=folder,
        task=task,
        seed=seed,
        progress=progress,
        others=others,
        among=among,
        for_training=for_training,
    ) as survey:
        report = make_report(survey, batch_size=batch_size, skip_unreadable=skip_unreadable)
        _refuse_errors(report, for_training=for_training)
        classes = tuple(report.classes)
        fingerprint = fingerprint_of(survey, classes)
        # The index holds the root: the same data in two places has two.
        place = hashlib.sha256(os.fsencode(survey.root)).hexdigest()
        path = folder.absolute() / f"{fingerprint[:16]}-{place[:8]}" / "index.sqlite"
        with _locked(path.with_name("index.lock")):
            if not _is_written(path, fingerprint, survey.root):
                _write(path, survey, fingerprint, report, progress or (lambda _: None))
    return IndexedDataset(
        path=path,
        root=report.root,
        source=report.source,
        format=report.format,
        task=report.task,
        tasks=report.tasks,
        multi_label=report.multi_label,
        fingerprint=fingerprint,
        splits=report.splits,
        classes=classes,
        report=report,
        uncommon=survey.staging.uncommon,
        carved=survey.carved is not None,
    )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that the kernel frees when we end, whichever way, in a folder that need not exist yet."""
    with explained("the index of the dataset can't be kept"):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        flock(descriptor, fcntl.LOCK_EX, path)
        yield
    finally:
        os.close(descriptor)


def _refuse_errors(report: DatasetReport, *, for_training: bool) -> None:
    errors = [problem for problem in report.of("error") if for_training or problem.code not in TRAINING_ALONE]
    if not errors and not report.splits:
        errors = list(report.of("error"))
    if errors:
        skippable = all(problem.code in SKIPPABLE for problem in errors)
        raise DatasetError(
            "\n".join(str(problem) for problem in errors),
            instruction="Repair or remove what is named, or leave it out: --skip-unreadable, or skip_unreadable=True."
            if skippable
            else "Mend or add what is named and try again.",
        )


def _is_written(path: Path, fingerprint: str, root: str) -> bool:
    if not path.exists():
        return False
    try:
        index = DatasetIndex(path)
    except DatasetError:  # damaged, or of another version: written anew
        return False
    return index.fingerprint == fingerprint and index.root == Path(root)


def _write(
    path: Path, survey: Survey, fingerprint: str, report: DatasetReport, progress: Callable[[IndexProgress], None]
) -> None:
    """Write the index aside, put it on disk, and only then give it its name. Under the lock."""
    total = sum(report.splits.values())
    aside = path.with_suffix(".tmp")
    with explained("the index of the dataset can't be kept"):
        aside.unlink(missing_ok=True)  # of a process that was killed
        try:
            _fill(aside, survey, fingerprint, report, progress)
            _sync(aside)
            aside.replace(path)
        except BaseException:
            aside.unlink(missing_ok=True)  # half an index would keep a full disk full
            raise
        _sync(path.parent)
    progress(IndexProgress("write", total, total))


def _fill(
    path: Path, survey: Survey, fingerprint: str, report: DatasetReport, progress: Callable[[IndexProgress], None]
) -> None:
    total = sum(report.splits.values())
    classes = tuple(report.classes)
    skeleton = survey.staging.objects.skeleton
    one_label = not (survey.multi_label or survey.has_objects or survey.has_masks)

    def told() -> Iterator[tuple[str, int, str, int, int, int | None, bytes]]:
        for done, image in enumerate(images_of(survey, classes)):
            if done % _TOLD_EVERY == 0:
                progress(IndexProgress("write", done, total))
            name = json.dumps(os.fsdecode(image.path))
            label = image.labels[0] if one_label else None
            yield image.split, image.position, name, image.width, image.height, label, image.sha256

    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.executescript(SCHEMA)
        connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO meta VALUES (?, ?)",
            {
                "fingerprint": fingerprint,
                "task": str(survey.task),
                "format": survey.format,
                "root": json.dumps(survey.root),
                "classes": json.dumps(classes),
                "splits": json.dumps(report.splits),
                "seed": str(survey.seed),
                "carved": json.dumps(survey.carved),
                "multi_label": json.dumps(survey.multi_label),
                "has_objects": json.dumps(survey.has_objects),
                "has_masks": json.dumps(survey.has_masks),
                **(_mask_meta(survey) if survey.has_masks else {}),
                "tasks": json.dumps(survey.tasks),
                **({"skeleton": skeleton.to_json()} if skeleton is not None and survey.task is Task.pose else {}),
                "warnings": json.dumps([str(problem) for problem in report.of("warning")]),
            }.items(),
        )
        connection.executemany("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?)", told())
        if survey.multi_label:
            connection.executemany(
                "INSERT INTO labels VALUES (?, ?, ?)",
                (
                    (image.split, image.position, label)
                    for image in images_of(survey, classes)
                    for label in image.labels
                ),
            )
        if survey.has_objects:
            connection.executemany(
                f"INSERT INTO objects (split, position, label, {COLUMNS}) VALUES ({', '.join('?' * 12)})",  # noqa: S608
                (
                    (image.split, image.position, label, *row)
                    for image in images_of(survey, classes)
                    for label, row in image.objects
                ),
            )
        if survey.has_masks:
            connection.executemany(
                "INSERT INTO masks VALUES (?, ?, ?, ?)",
                (
                    (image.split, image.position, json.dumps(os.fsdecode(image.mask[0])), image.mask[1])
                    for image in images_of(survey, classes)
                    if image.mask
                ),
            )
        connection.execute("COMMIT")


def _mask_meta(survey: Survey) -> dict[str, str]:
    masks = survey.staging.masks
    ids = [number for (number,) in survey.staging.rows("SELECT id FROM class ORDER BY id")]  # all, in their order
    pixels = {split: [counts.get(number, 0) for number in ids] for split, counts in masks.pixels().items()}
    return {
        "mask_values": json.dumps(masks.meaning.values),
        "ignored_values": json.dumps(masks.meaning.ignored),
        "class_pixels": json.dumps(pixels),
    }


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
