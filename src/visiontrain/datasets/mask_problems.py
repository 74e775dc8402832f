"""What is odd about a dataset whose images have masks that say what class each pixel is of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from visiontrain.datasets.flaws import Known, flaws_of
from visiontrain.datasets.report import Problem
from visiontrain.datasets.survey import Survey
from visiontrain.datasets.words import number, some

__all__ = ["mask_problems", "pixel_shares"]

_LISTED = 10  # values in a sentence
_MUCH = 0.5  # share of pixels that are ignored


def mask_problems(
    survey: Survey, classes: Mapping[str, Mapping[str, int]], totals: Mapping[str, int]
) -> Iterator[Problem]:
    """Look at the masks.

    Args:
        survey: The dataset as it was read.
        classes: Number of images that show a class, by class and split.
        totals: Number of images by split.
    """
    yield from flaws_of(survey, _known(survey))
    yield from _classes(survey, classes, totals)
    for code, message in survey.staging.notes.items():
        yield Problem(severity="note", code=code, message=message)
    yield from _ignored(survey)


def pixel_shares(survey: Survey, classes: Mapping[str, object]) -> dict[str, dict[str, float]]:
    """Share of each class among the pixels of a split that are of any, by class and split; 0 where there are none."""
    ids = dict(survey.staging.rows("SELECT name, id FROM class"))
    shares: dict[str, dict[str, float]] = {name: {} for name in classes}
    for split, counts in survey.staging.masks.pixels().items():
        total = sum(count for number, count in counts.items() if number is not None)
        for name, of_class in shares.items():
            of_class[split] = counts.get(ids[name], 0) / total if total else 0.0
    return shares


def _known(survey: Survey) -> tuple[Known, ...]:
    meaning = survey.staging.masks.meaning
    values = f"the values of classes are {_ranges(meaning.values)}" if meaning.values else "there are no classes"
    ignored = f", those of pixels to ignore {_ranges(meaning.ignored)}" if meaning.ignored else ""
    return (
        (
            "mask-channels",
            "error",
            "mask",
            "with several numbers a pixel, such as colours, where one is due, that of its class:",
        ),
        ("mask-sizes-differ", "error", "mask", "of another size than their images:"),
        (
            "unknown-values",
            "error",
            "mask",
            f"with pixels that are of no class; {values}{ignored}; name the others, or call them void to ignore them:",
        ),
        ("empty-masks", "warning", "mask", "without a pixel that is of a class: nothing is learnt from these images"),
    )


def _ranges(values: tuple[int, ...]) -> str:
    """Numbers in words: ``0 to 20``, ``0, 3 to 5``; the first ones of many."""
    runs: list[list[int]] = []
    for value in sorted(values):
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    words = [str(first) if first == last else f"{first} to {last}" for first, last in runs]
    return ", ".join(words[:_LISTED]) + (f" and {len(words) - _LISTED} more" if len(words) > _LISTED else "")


def _classes(survey: Survey, classes: Mapping[str, Mapping[str, int]], totals: Mapping[str, int]) -> Iterator[Problem]:
    shown = [name for name, counts in classes.items() if any(counts.values())]
    if len(classes) < 2 or (shown and len(shown) < 2):  # noqa: PLR2004
        found = f"the masks show {number(len(shown), 'class')}" + (f", {shown[0]}" if shown else "")
        both = set(survey.staging.masks.meaning.ignored) == {255} and len(shown) == 1
        hint = (
            "; where 255 is a class and not to be ignored, name it: a line 255: NAME in classes.txt, as 0: NAME for 0"
            if both
            else ""
        )
        yield Problem(
            severity="error",
            code="too-few-classes",
            message=f"{found}: two are needed to tell one from another{hint}",
            count=len(shown),
        )
    for split in totals:
        if not any(counts[split] for counts in classes.values()):
            yield Problem(
                severity="error" if split in ("train", "val") else "warning",
                code="no-classes",
                message=f"the masks of {split} have no pixel of a class",
            )
    nowhere = [name for name in classes if name not in shown]
    if nowhere:
        yield Problem(
            severity="note",
            code="empty-class",
            message=f"{number(len(nowhere), 'class')} in no mask: {some(nowhere)}",
            count=len(nowhere),
        )
    for split in totals:
        lacking = [name for name in shown if not classes[name][split]]
        if lacking and not (split == "val" and survey.carved is not None):
            yield Problem(
                severity="warning" if split == "train" else "note",
                code="class-missing-from-split",
                message=f"no mask of {split} has {number(len(lacking), 'class')} found in others: {some(lacking)}",
                count=len(lacking),
            )


def _ignored(survey: Survey) -> Iterator[Problem]:
    pixels = survey.staging.masks.pixels()
    shares = {split: counts.get(None, 0) / max(1, sum(counts.values())) for split, counts in pixels.items()}
    told = [f"{shares[split]:.1%} of {split}" for split in ("train", "val", "test") if shares.get(split)]
    if told:
        yield Problem(
            severity="warning" if max(shares.values()) > _MUCH else "note",
            code="ignored-pixels",
            message=f"pixels that are ignored, neither trained on nor counted: {', '.join(told)} "
            f"(of value {_ranges(survey.staging.masks.meaning.ignored)})",
            count=len(told),
        )
