"""Precision, recall and F1 of what finds objects, over confidence and over recall: as numbers and as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from visiontrain.svg import COLOURS, DASHES, Drawing, shortened
from visiontrain.torchkit.artifacts import PICTURE, write_json, write_whole

__all__ = ["GRID", "HeadCurves", "draw_curves", "write_curves"]

#: Recalls, or confidences, that curves are told at: shares from 0 to 1.
GRID = tuple(number / 200 for number in range(201))

#: With more classes than this they are grey, and named by the mouse alone.
_COLOURED = 20

_GREY, _INK, _MEAN = "#b5b5b5", "#222", "#000"

#: Pixels.
_WIDTH, _HEIGHT, _GAP, _LEFT, _TOP, _LEGEND, _ROW = 360.0, 270.0, 62.0, 56.0, 84.0, 230.0, 20.0
_SIZE, _TITLE = 12.0, 16.0

#: So near to a diagram's side a number stands beside its line, else above it.
_EDGE = 0.05


@dataclass(frozen=True)
class HeadCurves:
    """What one head of a model finds of the objects of each class.

    Each curve is a list of shares from 0 to 1, one for each of `GRID`, by the names of the classes that have objects.

    Args:
        head: ``box``, ``mask`` or ``pose``.
        average_precision: Area below precision over recall, by class.
        confidence: At which the mean F1 is highest; precision and recall among the metrics are told at it.
        precision_over_recall: Precision at each recall.
        f1_over_confidence: F1 of what has each confidence or a higher one.
        precision_over_confidence: Likewise.
        recall_over_confidence: Likewise.
    """

    head: str
    average_precision: Mapping[str, float]
    confidence: float
    precision_over_recall: Mapping[str, Sequence[float]]
    f1_over_confidence: Mapping[str, Sequence[float]]
    precision_over_confidence: Mapping[str, Sequence[float]]
    recall_over_confidence: Mapping[str, Sequence[float]]

    def by_name(self) -> dict[str, Mapping[str, Sequence[float]]]:
        """The four kinds of curves."""
        return {
            "precision_over_recall": self.precision_over_recall,
            "f1_over_confidence": self.f1_over_confidence,
            "precision_over_confidence": self.precision_over_confidence,
            "recall_over_confidence": self.recall_over_confidence,
        }


def write_curves(
    folder: Path, heads: Sequence[HeadCurves], *, epoch: int, overlap: float, measure: Mapping[str, str]
) -> list[tuple[Path, str]]:
    """Write ``curves.json``, and ``curves.svg`` or, of several heads, ``curves_HEAD.svg``.

    Args:
        folder: The run's artifacts.
        heads: With the same classes each. Where they have none there is nothing to write.
        epoch: That the model is of, counted from 1.
        overlap: From which on an object is found, from 0 to 1.
        measure: How that is measured, by head: ``IoU`` and the like.

    Returns:
        The files with their kinds.

    Raises:
        StorageError: the disk did not take them.
    """
    if not heads[0].average_precision:
        return []
    numbers = folder / "curves.json"
    told = {
        head.head: {
            "overlap": measure[head.head],
            "best_confidence": _rounded([head.confidence])[0],
            "average_precision": dict(
                zip(head.average_precision, _rounded(head.average_precision.values()), strict=True)
            ),
            **{name: _told(curves) for name, curves in head.by_name().items()},
        }
        for head in heads
    }
    write_json(numbers, {"epoch": epoch, "least_overlap": overlap, "grid": list(GRID), "heads": told})
    found = [(numbers, "curves")]
    for head in heads:
        picture = folder / ("curves.svg" if len(heads) == 1 else f"curves_{head.head}.svg")
        what = f"{head.head}, {measure[head.head]} of {overlap:g} or more"
        write_whole(picture, draw_curves(head, title=f"Curves of epoch {epoch}: {what}"))
        found.append((picture, PICTURE))
    return found


def draw_curves(head: HeadCurves, *, title: str) -> bytes:
    """Four diagrams and their legend as SVG.

    Args:
        head: With one class or more.
        title: What they show.
    """
    drawing = Drawing(2 * (_LEFT + _WIDTH) + _LEGEND + 30, _TOP + 2 * _HEIGHT + _GAP + 50, title)
    drawing.text(16, 30, title, size=_TITLE, bold=True)
    for place, (name, curves) in enumerate(head.by_name().items()):
        y_name, _, x_name = name.partition("_over_")
        left = _LEFT + place % 2 * (_WIDTH + _LEFT)
        top = _TOP + place // 2 * (_HEIGHT + _GAP)
        _draw_axes(drawing, left, top, x_name, y_name)
        _draw_lines(drawing, left, top, curves)
        if x_name == "confidence":
            _draw_best(drawing, left, top, head.confidence)
    _draw_legend(drawing, 2 * (_LEFT + _WIDTH) + 24, _TOP, head)
    return drawing.to_bytes()


def _draw_axes(drawing: Drawing, left: float, top: float, x_name: str, y_name: str) -> None:
    bottom = top + _HEIGHT
    for tick in range(6):
        x, y, label = left + tick / 5 * _WIDTH, bottom - tick / 5 * _HEIGHT, f"{tick / 5:g}"
        drawing.line([(x, top), (x, bottom)], stroke="#e6e6e6")
        drawing.line([(left, y), (left + _WIDTH, y)], stroke="#e6e6e6")
        drawing.text(x, bottom + 16, label, size=_SIZE - 1, anchor="middle", fill="#555")
        drawing.text(left - 6, y + 4, label, size=_SIZE - 1, anchor="end", fill="#555")
    drawing.rectangle(left, top, _WIDTH, _HEIGHT, stroke="#999")
    drawing.text(left + _WIDTH / 2, bottom + 32, x_name, size=_SIZE, anchor="middle")
    drawing.text(left - 34, top + _HEIGHT / 2, _shown(y_name), size=_SIZE, anchor="middle", turned=True)
    drawing.text(left, top - 16, f"{_shown(y_name)} over {x_name}", size=_SIZE, bold=True)


def _draw_lines(drawing: Drawing, left: float, top: float, curves: Mapping[str, Sequence[float]]) -> None:
    def points(values: Sequence[float]) -> list[tuple[float, float]]:
        return [(left + x * _WIDTH, round(top + (1 - y) * _HEIGHT, 1)) for x, y in zip(GRID, values, strict=True)]

    for number, (name, values) in enumerate(curves.items()):
        stroke, dashes = _look(number, len(curves))
        drawing.line(points(values), stroke=stroke, width=1.4, dashes=dashes, hint=name)
    if len(curves) > 1:
        drawing.line(points(_mean(curves)), stroke=_MEAN, width=3, hint="mean")


def _draw_best(drawing: Drawing, left: float, top: float, confidence: float) -> None:
    x = left + confidence * _WIDTH
    drawing.line([(x, top), (x, top + _HEIGHT)], stroke=_INK, dashes="2 3", hint="highest mean F1")
    anchor = "start" if confidence < _EDGE else "end" if confidence > 1 - _EDGE else "middle"
    drawing.text(x, top - 3, f"{confidence:.3f}", size=_SIZE - 2, anchor=anchor)


def _draw_legend(drawing: Drawing, left: float, top: float, head: HeadCurves) -> None:
    found = head.average_precision
    drawing.text(left, top - 3, "average precision", size=_SIZE, fill="#555")
    rows: list[tuple[str, str, float, str | None]] = []
    if len(found) > 1:
        mean = sum(found.values()) / len(found)
        rows.append((f"mean {mean:.3f}", _MEAN, 3, None))
    if len(found) <= _COLOURED:
        for number, (name, value) in enumerate(found.items()):
            short = shortened(name, _LEGEND - 80, _SIZE)
            rows.append((f"{short} {value:.3f}", _look(number, len(found))[0], 1.4, _look(number, len(found))[1]))
    else:
        rows.append((f"each of {len(found):,} classes", _GREY, 1.4, None))
    for number, (text, stroke, width, dashes) in enumerate(rows):
        y = top + 14 + number * _ROW
        drawing.line([(left, y), (left + 28, y)], stroke=stroke, width=width, dashes=dashes)
        drawing.text(left + 36, y + 4, text, size=_SIZE)
    y = top + 14 + len(rows) * _ROW + 4
    drawing.line([(left, y), (left + 28, y)], stroke=_INK, dashes="2 3")
    drawing.text(left + 36, y + 4, "confidence of the highest mean F1", size=_SIZE - 1)


def _look(number: int, of: int) -> tuple[str, str | None]:
    """Colour and dashes of a class."""
    if of > _COLOURED:
        return _GREY, None
    return COLOURS[number % len(COLOURS)], DASHES if number >= len(COLOURS) else None


def _shown(name: str) -> str:
    return "F1" if name == "f1" else name


def _mean(curves: Mapping[str, Sequence[float]]) -> list[float]:
    return [sum(values) / len(values) for values in zip(*curves.values(), strict=True)]


def _told(curves: Mapping[str, Sequence[float]]) -> dict[str, object]:
    return {"classes": {name: _rounded(values) for name, values in curves.items()}, "mean": _rounded(_mean(curves))}


def _rounded(values: object) -> list[float]:
    return [round(value, 4) for value in values]  # type: ignore[attr-defined]
