"""What was taken for what: a matrix as numbers and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from visiontrain.svg import Drawing, shortened, width_of
from visiontrain.torchkit.artifacts import PICTURE, write_json, write_whole

__all__ = ["draw_matrix", "write_confusion_matrix"]

#: Pixels: of the whole grid at the most, of a cell at the most, of a label's letters, and of a label.
_GRID, _CELL, _SIZE, _LABEL = 760.0, 56.0, 12.0, 170.0
_TITLE, _MARGIN, _KEY = 16.0, 16.0, 14.0

#: With as many classes or fewer each cell has its number.
_NUMBERED = 40

#: Shades from nothing to all of a row: right ones, and wrong ones.
_RIGHT = ("#e5eef8", "#cddff1", "#abcbe6", "#82b0d9", "#5893ca", "#3676b6", "#205a9b", "#12417a")
_WRONG = ("#fdeedd", "#fcdfc0", "#fac794", "#f7a765", "#f0843d", "#dd6120", "#b94711", "#8f340c")
_DARK = 4  # from this shade on numbers are white

_LINE, _INK = "#999", "#222"


def write_confusion_matrix(
    folder: Path, matrix: Sequence[Sequence[int]], classes: Sequence[str], *, epoch: int, of: str
) -> list[tuple[Path, str]]:
    """Write ``confusion_matrix.json`` and ``confusion_matrix.svg``.

    Args:
        folder: The run's artifacts.
        matrix: A row a true class, a column a class that it was taken for.
        classes: Names by class index.
        epoch: That the model is of, counted from 1.
        of: What is counted: ``images`` or ``objects``.

    Returns:
        The files with their kinds.

    Raises:
        StorageError: the disk did not take them.
    """
    numbers, picture = folder / "confusion_matrix.json", folder / "confusion_matrix.svg"
    content = {
        "epoch": epoch,
        "classes": list(classes),
        "rows": "true class",
        "columns": "predicted class",
        "counts": of,
        "matrix": [list(row) for row in matrix],
    }
    write_json(numbers, content)
    write_whole(picture, draw_matrix(matrix, classes, title=f"Confusion matrix of epoch {epoch}, {of}"))
    return [(numbers, "confusion_matrix"), (picture, PICTURE)]


def draw_matrix(matrix: Sequence[Sequence[int]], classes: Sequence[str], *, title: str) -> bytes:
    """The matrix as SVG: each cell shaded by its share of its row, right ones in another colour than wrong ones.

    Labels shrink with the cells, so that a thousand classes can be read where the picture is enlarged.

    Args:
        matrix: As for `write_confusion_matrix`.
        classes: Names by class index.
        title: What it shows.
    """
    side = min(_CELL, _GRID / len(classes))
    size = min(_SIZE, 0.8 * side)
    names = [shortened(name, _LABEL, size) for name in classes]
    space = max(width_of(name, size) for name in names) + size
    left, top = _MARGIN + _SIZE + space, 2 * _MARGIN + _TITLE + _KEY + _SIZE + space
    grid = side * len(classes)
    least = _MARGIN + max(width_of(title, _TITLE), width_of(_KEYS, _KEY)) + _MARGIN
    drawing = Drawing(max(left + grid + _MARGIN, least), top + grid + _MARGIN, title)
    drawing.text(_MARGIN, _MARGIN + _TITLE, title, size=_TITLE, bold=True)
    drawing.text(_MARGIN, _MARGIN + _TITLE + _KEY + 6, _KEYS, size=_KEY - 2, fill="#555")
    drawing.text(left + grid / 2, top - space - 2, "predicted", size=_SIZE, anchor="middle", fill="#555")
    drawing.text(_MARGIN + _SIZE, top + grid / 2, "true", size=_SIZE, anchor="middle", fill="#555", turned=True)
    for place, name in enumerate(names):
        middle = (place + 0.5) * side + size / 3
        drawing.text(left - size / 2, top + middle, name, size=size, anchor="end")
        drawing.text(left + middle, top - size / 2, name, size=size, turned=True)
    shades = _shades(matrix)
    for (right, shade), places in shades.items():
        fill = (_RIGHT if right else _WRONG)[shade]
        drawing.cells(places, left=left, top=top, side=side, fill=fill)
    if len(classes) <= _NUMBERED:
        for (_, shade), places in shades.items():
            for row, column in places:
                text = f"{matrix[row][column]:,}"
                drawing.text(
                    left + (column + 0.5) * side, top + (row + 0.5) * side + size / 3, text,
                    size=min(size, size * 0.9 * side / width_of(text, size)), anchor="middle",
                    fill="#fff" if shade >= _DARK else _INK,
                )  # fmt: skip
    drawing.rectangle(left, top, grid, grid, stroke=_LINE)
    return drawing.to_bytes()


_KEYS = "Shades: share of the row. Blue is right, orange is wrong."


def _shades(matrix: Sequence[Sequence[int]]) -> dict[tuple[bool, int], list[tuple[int, int]]]:
    """The cells that are not 0, by whether they are right and how dark they are."""
    found: dict[tuple[bool, int], list[tuple[int, int]]] = {}
    for row, counts in enumerate(matrix):
        whole = sum(counts)
        for column, count in enumerate(counts):
            if count:
                shade = min(len(_RIGHT) - 1, len(_RIGHT) * count // whole)
                found.setdefault((row == column, shade), []).append((row, column))
    return found
