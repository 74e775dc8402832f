"""What a dataset lacks or has too much: files that can't be read, and what is left out."""

from __future__ import annotations

import os
from collections.abc import Iterator

from visiontrain.datasets.formats.base import LeftOut
from visiontrain.datasets.formats.files import printable
from visiontrain.datasets.report import MAX_FILES, Problem, Severity
from visiontrain.datasets.survey import Survey
from visiontrain.datasets.words import number, shown

__all__ = ["left_out", "unreadable"]


def unreadable(survey: Survey, severity: Severity) -> Iterator[Problem]:
    """Images that can't be read or are not there, and folders that can't be opened."""
    staging = survey.staging
    ((count,),) = staging.rows("SELECT COUNT(*) FROM image WHERE reason IS NOT NULL")
    if count:
        rows = staging.rows("SELECT path, reason FROM image WHERE reason IS NOT NULL ORDER BY path LIMIT ?", MAX_FILES)
        left_out = "; left out" if severity == "warning" else ""
        yield Problem(
            severity=severity,
            code="unreadable",
            message=f"{number(count, 'image')} can't be read{left_out}:",
            files=shown(rows),
            reasons=tuple(reason for _, reason in rows),
            count=count,
        )
    yield from _paths_left_out(
        survey, "denied", "unreadable-folder", "can't be opened", severity=severity, noun="folder"
    )
    name = printable(os.path.basename(survey.source))
    message = f"named in {name} can't be found; paths are taken from {printable(survey.root)}"
    yield from _paths_left_out(survey, "missing", "missing-images", message, severity=severity, noun="image")


def left_out(survey: Survey) -> Iterator[Problem]:
    """Files, folders and rows that are not part of what is trained on."""
    for why, severity, code, noun, message in _LEFT_OUT:
        yield from _paths_left_out(survey, why, code, message, severity=severity, noun=noun)


_LEFT_OUT: tuple[tuple[LeftOut, Severity, str, str, str], ...] = (
    (
        "unsupported",
        "warning",
        "unsupported-images",
        "image",
        "left out: of a kind to be converted to JPEG or PNG first",
    ),
    ("loose", "warning", "loose-images", "image", "left out: outside of any class folder"),
    ("folder", "warning", "ignored-folders", "folder", "left out: beside the splits"),
    ("labels", "warning", "labels-without-image", "annotation", "left out: the image is not there"),
    ("unlisted", "warning", "unlisted-images", "image", "left out: in a folder of the data's images, and in no list"),
    ("unlabelled", "warning", "missing-annotations", "image", "left out: without annotations"),
    ("list", "note", "other-annotations", "file", "of annotations not read"),
    ("repeated", "warning", "repeated-rows", "row", "left out: another row said the same"),
    ("other", "note", "ignored-files", "file", "left out: no image"),
)


def _paths_left_out(
    survey: Survey, why: LeftOut, code: str, message: str, *, severity: Severity, noun: str
) -> Iterator[Problem]:
    ((count,),) = survey.staging.rows("SELECT COUNT(*) FROM left_out WHERE why = ?", why)
    if count:
        rows = survey.staging.rows(
            "SELECT path, reason FROM left_out WHERE why = ? ORDER BY path LIMIT ?", why, MAX_FILES
        )
        reasons = tuple(reason for _, reason in rows)
        yield Problem(
            severity=severity,
            code=code,
            message=f"{number(count, noun)} {message}:",
            files=shown(rows),
            reasons=reasons if any(reasons) else (),
            count=count,
        )
