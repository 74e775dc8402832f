"""What is odd about a dataset: one function a question, each a query on the survey's images."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from visiontrain.datasets.formats.files import printable
from visiontrain.datasets.report import MAX_FILES, DatasetReport, Problem, Severity
from visiontrain.datasets.survey import VAL_SHARE, Survey

__all__ = ["make_report"]

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
    rows = survey.staging.rows(
        "SELECT class.name, split, COUNT(*) FROM kept JOIN class ON class.id = kept.class GROUP BY class.id, split"
    )
    names = sorted({name for name, _, _ in rows})
    splits = [split for split in ("train", "val", "test") if any(row[1] == split for row in rows)]
    counts = {(name, split): count for name, split, count in rows}
    classes = {name: {split: counts.get((name, split), 0) for split in splits} for name in names}
    totals = {split: sum(of_class[split] for of_class in classes.values()) for split in splits}
    problems = [
        *_unreadable(survey, "warning" if skip_unreadable else "error"),
        *_left_out(survey),
        *_structure(survey, classes, totals),
        *_balance(classes, totals, batch_size),
        *_contents(survey),
        *_appearance(survey),
    ]
    problems.sort(key=lambda problem: _SEVERITIES.index(problem.severity))
    return DatasetReport(
        root=survey.root,
        format=survey.format,
        task=survey.task,
        splits=totals,
        classes=classes,
        problems=tuple(problems),
    )
