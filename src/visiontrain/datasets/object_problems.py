"""What is odd about a dataset whose images have objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from visiontrain.datasets.flaws import Known, flaws_of
from visiontrain.datasets.report import MAX_FILES, Problem
from visiontrain.datasets.survey import Survey
from visiontrain.datasets.words import number, shown, some

__all__ = ["object_problems"]

# Errors: training on what is left would be training on something else. Warnings: what is left is what was meant.
_FLAWS: tuple[Known, ...] = (
    ("bad-annotations", "error", "annotation", "can't be understood:"),
    ("unknown-classes", "error", "annotation", "of a class that has no name:"),
    (
        "not-normalised",
        "error",
        "annotation",
        "with numbers outside of 0 to 1, which are no shares of the image's width and height:",
    ),
    ("no-outlines", "error", "object", "without an outline, which the task segment needs:"),
    ("no-quads", "error", "object", "without four corners, which the task obb needs:"),
    ("degenerate-boxes", "warning", "object", "without any area left out:"),
    (
        "boxes-outside",
        "warning",
        "box",
        "reaching out of their images: what is inside was kept, boxes with nothing inside were left out:",
    ),
    ("keypoints-outside", "warning", "object", "with keypoints outside of the image, taken as not labelled:"),
    (
        "repeated-objects",
        "warning",
        "object",
        "left out: the same image has them with the same class and place already:",
    ),
    (
        "sizes-differ",
        "warning",
        "image",
        "of another size than their annotations say; these are taken as pixels as shown:",
    ),
    ("boxes-clipped", "note", "box", "reaching out of their images by 2 pixels or less, cut off there:"),
)


def object_problems(
    survey: Survey, classes: Mapping[str, Mapping[str, int]], totals: Mapping[str, int]
) -> Iterator[Problem]:
    """Look at the objects.

    Args:
        survey: The dataset as it was read.
        classes: Number of objects by class and split.
        totals: Number of images by split.
    """
    yield from flaws_of(survey, _FLAWS)
    yield from _missing(classes, totals, carved=survey.carved is not None)
    yield from _remarks(survey)


def _missing(classes: Mapping[str, Mapping[str, int]], totals: Mapping[str, int], *, carved: bool) -> Iterator[Problem]:
    for split in totals:
        if not any(counts[split] for counts in classes.values()):
            yield Problem(
                severity="error" if split in ("train", "val") else "warning",
                code="no-objects",
                message=f"the images of {split} have no objects",
            )
    nowhere = [name for name, counts in classes.items() if not any(counts.values())]
    if nowhere:
        yield Problem(
            severity="note",
            code="empty-class",
            message=f"{number(len(nowhere), 'class')} without any object: {some(nowhere)}",
            count=len(nowhere),
        )
    for split in totals:
        lacking = [name for name, counts in classes.items() if not counts[split] and name not in nowhere]
        if lacking and not (split == "val" and carved):
            yield Problem(
                severity="warning" if split == "train" else "note",
                code="class-missing-from-split",
                message=f"{split} has no object of {number(len(lacking), 'class')} found in others: {some(lacking)}",
                count=len(lacking),
            )


def _remarks(survey: Survey) -> Iterator[Problem]:
    staging = survey.staging
    for code, message in staging.notes.items():
        yield Problem(severity="note", code=code, message=message)
    ((empty,),) = staging.rows("SELECT COUNT(*) FROM kept WHERE labels = ''")
    if empty:
        rows = staging.rows("SELECT path FROM kept WHERE labels = '' ORDER BY path LIMIT ?", MAX_FILES)
        yield Problem(
            severity="note",
            code="background-images",
            message=f"{number(empty, 'image')} without objects, read as background:",
            files=shown(rows),
            count=empty,
        )
    for code, flag, message in (
        ("crowds", 1, "marked as a crowd: not trained on, and passed over when a model is evaluated"),
        ("difficult-objects", 2, "marked as difficult: passed over when a model is evaluated"),
    ):
        ((count,),) = staging.rows("SELECT COUNT(*) FROM object WHERE flags & ?", flag)
        if count:
            yield Problem(severity="note", code=code, message=f"{number(count, 'object')} {message}", count=count)
