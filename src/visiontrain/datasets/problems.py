"""What is odd about a dataset: one function a question, each a query on the survey's images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from visiontrain.datasets.formats.files import printable
from visiontrain.datasets.left_out import left_out, unreadable
from visiontrain.datasets.mask_problems import mask_problems, pixel_shares
from visiontrain.datasets.object_problems import object_problems
from visiontrain.datasets.report import MAX_FILES, DatasetReport, Problem, Severity
from visiontrain.datasets.survey import VAL_SHARE, Survey
from visiontrain.datasets.words import number, shown, some

__all__ = ["SKIPPABLE", "TRAINING_ALONE", "make_report"]

#: Errors that are warnings where unreadable images are to be left out.
SKIPPABLE = frozenset({"unreadable", "unreadable-folder", "missing-images"})

#: Errors that keep data from being trained on, and not from being evaluated on.
TRAINING_ALONE = frozenset({"too-few-classes", "empty-split", "no-objects", "no-classes"})

_IMBALANCE = 10  # the largest class to the smallest
_TINY = 16  # pixels, of the shorter side
_PLAIN_MODES = ("RGB", "L")
_SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


def make_report(survey: Survey, *, batch_size: int | None, skip_unreadable: bool) -> DatasetReport:
    """Count a survey's images and look for problems.

    Args:
        survey: The dataset as it was read.
        batch_size: Images of a training batch, if it is known already.
        skip_unreadable: Unreadable files are left out with a warning, instead of being an error.
    """
    staging = survey.staging
    rows = staging.rows(
        "SELECT class.name, split, COUNT(*) FROM object JOIN kept ON kept.id = object.image"
        " JOIN class ON class.id = object.class GROUP BY class.id, split"
        if survey.has_objects
        else "SELECT class.name, split, COUNT(*) FROM label JOIN kept ON kept.id = label.image"
        " JOIN class ON class.id = label.class GROUP BY class.id, split"
        if survey.multi_label or survey.has_masks
        else "SELECT class.name, split, COUNT(*) FROM kept JOIN class ON class.id = kept.class GROUP BY class.id, split"
    )
    names = [name for name, _, _ in rows]
    if survey.has_objects or survey.has_masks:  # such models have the classes that their data names, found or not
        names = [name for (name,) in staging.rows("SELECT name FROM class ORDER BY id")]
    names = list(dict.fromkeys(names)) if staging.in_order else sorted(set(names))
    sizes = dict(staging.rows("SELECT split, COUNT(*) FROM kept GROUP BY split"))
    totals = {split: sizes[split] for split in ("train", "val", "test") if split in sizes}
    counts = {(name, split): count for name, split, count in rows}
    classes = {name: {split: counts.get((name, split), 0) for split in totals} for name in names}
    problems = [
        *unreadable(survey, "warning" if skip_unreadable else "error"),
        *left_out(survey),
        *_splits(survey, totals),
        *_of_kind(survey, classes, totals),
        *_several_labels(survey),
        *_elsewhere(survey),
        *([] if survey.has_objects or survey.has_masks else _balance(classes)),
        *_batch(totals, batch_size),
        *_contents(survey),
        *_appearance(survey),
    ]
    problems.sort(key=lambda problem: _SEVERITIES.index(problem.severity))
    return DatasetReport(
        root=Path(survey.root),
        source=Path(survey.source),
        format=survey.format,
        task=survey.task,
        tasks=survey.tasks,
        multi_label=survey.multi_label,
        splits=totals,
        classes=classes,
        objects={split: sum(of[split] for of in classes.values()) for split in totals} if survey.has_objects else {},
        pixel_shares=pixel_shares(survey, classes) if survey.has_masks else {},
        problems=tuple(problems),
    )


def _of_kind(survey: Survey, classes: Mapping[str, Mapping[str, int]], totals: Mapping[str, int]) -> Iterator[Problem]:
    """What is odd about the labels, objects or masks that the images have."""
    if survey.has_objects:
        yield from object_problems(survey, classes, totals)
    elif survey.has_masks:
        yield from mask_problems(survey, classes, totals)
    else:
        yield from _structure(survey, classes, totals)


def _splits(survey: Survey, totals: Mapping[str, int]) -> Iterator[Problem]:
    for split in ("train", "val"):
        if not totals.get(split):
            yield Problem(severity="error", code="empty-split", message=f"the split {split} has no readable image")
    if survey.carved:
        each = "train" if survey.has_objects or survey.has_masks else "each class in train"
        yield Problem(
            severity="note",
            code="split-carved",
            message=f"there is no val split: {VAL_SHARE:.0%} of {each} became val, "
            f"{number(survey.carved, 'image')} with seed {survey.seed}",
            count=survey.carved,
        )


def _structure(
    survey: Survey, classes: Mapping[str, Mapping[str, int]], totals: Mapping[str, int]
) -> Iterator[Problem]:
    if len(classes) < 2:  # noqa: PLR2004
        yield Problem(
            severity="error",
            code="too-few-classes",
            message=f"readable images of {number(len(classes), 'class')}: two are needed"
            + (
                "; for a single label, make two classes of what has it and what has not"
                if survey.multi_label
                else " to tell one from another"
            ),
            count=len(classes),
        )
    listed = {name for (name,) in survey.staging.rows("SELECT name FROM class")}
    empty = sorted(listed - classes.keys())
    if empty:
        yield Problem(
            severity="warning",
            code="empty-class",
            message=f"{number(len(empty), 'class')} without a readable image, left out of the classes: {some(empty)}",
            count=len(empty),
        )
    for split in totals:
        missing = [name for name, counts in classes.items() if not counts[split]]
        if missing and not (split == "val" and survey.carved is not None):
            yield Problem(
                severity="warning",
                code="class-missing-from-split",
                message=f"{split} has no image of {number(len(missing), 'class')}: {some(missing)}",
                count=len(missing),
            )


def _several_labels(survey: Survey) -> Iterator[Problem]:
    """What a person should know of multi-label data."""
    staging = survey.staging
    if survey.multi_label:
        ((several,),) = staging.rows("SELECT COUNT(*) FROM kept WHERE labels LIKE '%,%'")
        ((none,),) = staging.rows("SELECT COUNT(*) FROM kept WHERE labels = ''")
        yield Problem(
            severity="note",
            code="multi-label",
            message=f"read as multi-label data: {number(several, 'image')} with several labels, {none:,} with none",
            count=several,
        )


def _elsewhere(survey: Survey) -> Iterator[Problem]:
    """Images that a copy of the folder would lack."""
    staging = survey.staging
    ((count,),) = staging.rows("SELECT COUNT(*) FROM kept WHERE substr(path, 1, 1) = x'2f'")
    if count:
        rows = staging.rows("SELECT path FROM kept WHERE substr(path, 1, 1) = x'2f' ORDER BY path LIMIT ?", MAX_FILES)
        yield Problem(
            severity="warning",
            code="outside-of-folder",
            message=f"{number(count, 'image')} outside of {printable(survey.root)}: a copy of that folder lacks them:",
            files=shown(rows),
            count=count,
        )


def _balance(classes: Mapping[str, Mapping[str, int]]) -> Iterator[Problem]:
    train = {name: counts["train"] for name, counts in classes.items() if counts.get("train")}
    if not train:
        return
    single = [name for name, count in train.items() if count == 1]
    if single:
        yield Problem(
            severity="warning",
            code="single-image-class",
            message=f"{number(len(single), 'class')} with a single image to train on: {some(single)}",
            count=len(single),
        )
    most, least = max(train, key=train.__getitem__), min(train, key=train.__getitem__)
    if train[most] >= _IMBALANCE * train[least]:
        yield Problem(
            severity="warning",
            code="imbalance",
            message=f"classes differ much in size in train: {most} has {number(train[most], 'image')}, {least} has "
            f"{train[least]:,}; accuracy says little then, look at the metrics of each class",
            count=len(train),
        )


def _batch(totals: Mapping[str, int], batch_size: int | None) -> Iterator[Problem]:
    count = totals.get("train")
    if batch_size is not None and count and count < batch_size:
        yield Problem(
            severity="warning",
            code="fewer-images-than-batch",
            message=f"train has {number(count, 'image')}, fewer than a batch of {batch_size:,}",
            count=count,
        )


def _contents(survey: Survey) -> Iterator[Problem]:
    for code, column, message in (
        (
            "duplicates-across-splits",
            "split",
            "found in more than one split, so that the measured accuracy is too good",
        ),
        ("same-image-two-annotations", "labels", "found with different objects")
        if survey.has_objects
        else ("same-image-two-masks", "labels", "found with different masks")
        if survey.has_masks
        else ("same-image-two-label-sets", "labels", "found with different labels")
        if survey.multi_label
        else ("same-image-two-classes", "class", "found in more than one class"),
    ):
        groups = f"SELECT sha256 FROM kept GROUP BY sha256 HAVING COUNT(DISTINCT {column}) > 1"  # noqa: S608
        ((count,),) = survey.staging.rows(f"SELECT COUNT(*) FROM ({groups})")  # noqa: S608
        if count:
            rows = survey.staging.rows(
                f"SELECT path FROM kept WHERE sha256 IN ({groups}) ORDER BY sha256, path LIMIT ?",  # noqa: S608
                MAX_FILES,
            )
            yield Problem(
                severity="warning",
                code=code,
                message=f"{number(count, 'image')} {message}:",
                files=shown(rows),
                count=count,
            )


def _appearance(survey: Survey) -> Iterator[Problem]:
    staging = survey.staging
    ((count,),) = staging.rows("SELECT COUNT(*) FROM kept WHERE MIN(width, height) < ?", _TINY)
    if count:
        rows = staging.rows(
            "SELECT path FROM kept WHERE MIN(width, height) < ? ORDER BY path LIMIT ?", _TINY, MAX_FILES
        )
        message = f"{number(count, 'image')} less than {_TINY} pixels wide or high:"
        yield Problem(severity="warning", code="tiny-images", message=message, files=shown(rows), count=count)
    modes = staging.rows("SELECT mode, COUNT(*) FROM kept WHERE mode NOT IN (?, ?) GROUP BY mode", *_PLAIN_MODES)
    if modes:
        listed = ", ".join(f"{count:,} {mode}" for mode, count in modes)
        yield Problem(
            severity="note",
            code="colour-modes",
            message=f"images of other colour modes than RGB and grey are converted: {listed}",
            count=sum(count for _, count in modes),
        )
