"""What is wrong with single annotations, as problems of the dataset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from visiontrain.datasets.annotation import FlawCode
from visiontrain.datasets.report import MAX_FILES, Problem, Severity
from visiontrain.datasets.survey import Survey
from visiontrain.datasets.words import number, shown

__all__ = ["Known", "flaws_of"]

#: A code, how bad it is, what is counted, and what is said of it.
Known = tuple[FlawCode, Severity, str, str]


def flaws_of(survey: Survey, known: Sequence[Known]) -> Iterator[Problem]:
    """A problem for each code that there are flaws of, in the order of `known`."""
    staging = survey.staging
    for code, severity, noun, message in known:
        ((count,),) = staging.rows("SELECT COUNT(*) FROM flaw WHERE code = ?", code)
        if count:
            rows = staging.rows(
                "SELECT path, reason FROM flaw WHERE code = ? ORDER BY path, rowid LIMIT ?", code, MAX_FILES
            )
            yield Problem(
                severity=severity,
                code=code,
                message=f"{number(count, noun)} {message}",
                files=shown(rows),
                reasons=tuple(reason for _, reason in rows),
                count=count,
            )
