"""The rows of a label file, CSV or JSON lines: each a path, its labels and its split, or what is wrong with it."""

from __future__ import annotations

import csv
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from visiontrain.datasets.formats.base import Split
from visiontrain.datasets.formats.class_folders import SPLIT_NAMES
from visiontrain.datasets.formats.columns import EXPECTED, Columns, RowError, find_columns, read_header
from visiontrain.datasets.formats.files import printable
from visiontrain.datasets.formats.lines import Numbered, read_lines
from visiontrain.errors import DatasetError

__all__ = ["EXTENSIONS", "BadRow", "Row", "columns_of", "read_rows"]

_CSV = (".csv", ".tsv")
_JSON = (".jsonl", ".ndjson")
EXTENSIONS = (*_CSV, *_JSON)

_SEPARATORS = "|;"  # between the labels of a cell


@dataclass(frozen=True)
class Row:
    """One image, as its row says it.

    Args:
        line: Where it begins, counted from 1.
        path: As it was written.
        labels: Class names, each once, in the order they were written.
        several: Whether it was written so that there might be several: a list, or a cell with a separator.
        split: None where the row names none.
    """

    line: int
    path: str
    labels: tuple[str, ...]
    several: bool
    split: Split | None


@dataclass(frozen=True)
class BadRow:
    """A row that can't be used, and why, in words."""

    line: int
    reason: str


def columns_of(file: str) -> bool:
    """Whether the file's first row names a path and a label, and no boxes: a label file by a look at its beginning."""
    try:
        for _, text in read_lines(file):
            return (
                find_columns(_keys(json.loads(text))) is not None if _is_json(file) else read_header(text) is not None
            )
    except (DatasetError, RowError, OSError, ValueError, csv.Error, RecursionError):
        pass
    return False


def read_rows(file: str) -> Iterator[Row | BadRow]:
    """The rows of a label file, one by one.

    Raises:
        DatasetError: it is no label file, or broken so that nothing after that place can be trusted; names the line.
    """
    try:
        yield from _json_rows(file) if _is_json(file) else _csv_rows(file)
    except OSError as e:
        raise DatasetError(
            f"{printable(file)} can't be read: {e.strerror or e}", instruction="Check that it may be read by you."
        ) from e


def _is_json(file: str) -> bool:
    return file.lower().endswith(_JSON)


def _csv_rows(file: str) -> Iterator[Row | BadRow]:
    lines = read_lines(file)
    first = next(lines, None)
    if first is None:
        raise DatasetError(f"{printable(file)} is empty", instruction=EXPECTED)
    start, text = first
    try:
        header = read_header(text)
    except (RowError, csv.Error) as e:
        raise DatasetError(f"{printable(file)}, line {start} {e}", instruction=EXPECTED) from e
    if header is None:
        raise _no_columns(file, start, text.strip())
    separators = _SEPARATORS.replace(header.delimiter, "")
    at = Numbered(lines, start)
    reader = csv.reader(at, delimiter=header.delimiter, strict=True)
    while True:
        begin = at.line + 1
        try:
            cells = next(reader, None)
        except csv.Error as e:
            raise DatasetError(
                f"{printable(file)}, line {begin}: {e}",
                instruction="Check the quotes: a field that holds a comma, a quote or a line break stands in double "
                "quotes, and a quote inside of it is doubled.",
            ) from e
        if cells is None:
            return
        if not any(cell.strip() for cell in cells):
            continue
        line = at.begin
        if len(cells) != len(header.names):
            yield BadRow(line, f"has {len(cells)} fields, and the first line has {len(header.names)}")
            continue
        try:
            yield _row(line, dict(zip(header.names, cells, strict=True)), header.columns, separators)
        except RowError as e:
            yield BadRow(line, str(e))


def _json_rows(file: str) -> Iterator[Row | BadRow]:
    first = True
    for line, text in read_lines(file):
        try:
            content = json.loads(text)
            columns = find_columns(_keys(content))
        except (ValueError, RecursionError) as e:
            yield BadRow(line, f"is not JSON: {e}")
        except RowError as e:
            yield BadRow(line, str(e))
        else:
            if columns is None and first:
                raise _no_columns(file, line, ", ".join(content))
            try:
                yield _no_row() if columns is None else _row(line, content, columns, "")
            except RowError as e:
                yield BadRow(line, str(e))
        first = False


def _no_row() -> Row:
    raise RowError("has no path or no label")


def _keys(content: object) -> list[str]:
    if not isinstance(content, dict):
        raise RowError("is not a JSON object")
    return list(content)


def _no_columns(file: str, line: int, found: str) -> DatasetError:
    shown = found if len(found) <= 200 else f"{found[:200]}..."  # noqa: PLR2004
    return DatasetError(
        f"{printable(file)}, line {line} names no column of paths and one of labels: {shown}", instruction=EXPECTED
    )


def _row(line: int, fields: Mapping[str, object], columns: Columns, separators: str) -> Row:
    path = fields[columns.path]
    if not isinstance(path, str) or not path.strip():
        raise RowError("has no path" if path in ("", None) else f"has the path {path!r}, which is none")
    if "\0" in path or not _encodable(path, "surrogateescape"):  # which stands for bytes that are not UTF-8
        raise RowError(f"has the path {path!r}, which no file can have")
    labels, several = _labels(fields[columns.label], separators)
    split = None if columns.split is None else _split(fields[columns.split])
    return Row(line, path, labels, several, split)


def _labels(value: object, separators: str) -> tuple[tuple[str, ...], bool]:
    if isinstance(value, str):
        several = any(separator in value for separator in separators)
        parts: list[object] = list(re.split(f"[{separators}]", value)) if several else [value]
    elif isinstance(value, list):
        several, parts = True, value
    else:
        several, parts = False, [] if value is None else [value]
    names = []
    for part in parts:
        if isinstance(part, bool) or not isinstance(part, (str, int)):
            raise RowError(f"has the label {part!r}: a label is a text or a whole number")
        # One class may be spelled composed on one machine and decomposed on another.
        name = unicodedata.normalize("NFC", str(part).strip())
        if not _encodable(name):
            raise RowError(f"has the label {name!r}, which is no text")
        if name:
            names.append(name)
    return tuple(dict.fromkeys(names)), several


def _split(value: object) -> Split | None:
    if value is None or value == "":
        return None
    found = SPLIT_NAMES.get(value.strip().lower()) if isinstance(value, str) else None
    if found is None:
        raise RowError(f"has the split {value!r}, and there are train, val and test")
    return found


def _encodable(text: str, errors: str = "strict") -> bool:
    try:
        text.encode("utf-8", errors)
    except UnicodeEncodeError:
        return False
    return True
