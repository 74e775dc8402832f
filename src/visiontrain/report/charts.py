"""How a training's numbers went, epoch by epoch: a line a metric."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from visiontrain.protocol.metrics import LOSS_PART
from visiontrain.report.metrics import ASIDE
from visiontrain.report.tables import history_names
from visiontrain.rundir.history import HistoryRow
from visiontrain.svg import COLOURS, DASHES, Drawing, shortened, width_of
from visiontrain.wording import clean

__all__ = ["charts_of", "draw_chart", "ticks"]

#: Pixels: of the whole, of the margins around the diagram, of a row of the legend.
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM, _ROW = 540.0, 300.0, 62.0, 18.0, 34.0, 44.0, 18.0
_SIZE, _TITLE = 11.0, 14.0

#: Beyond these the difference of two numbers, or a fifth of it, is none any more.
_LARGEST, _SMALLEST = 1e300, 1e-300

#: Diagrams have about as many lines across.
_TICKS = 5

_LOSSES = ("train_loss", "val_loss")
_HEADS = {
    "_box": "Metrics of boxes",
    "_mask": "Metrics of masks",
    "_pose": "Metrics of keypoints",
    "_obb": "Metrics of turned boxes",
}

#: In the order in which they are shown.
_TITLES = ("Loss", "Metrics", *_HEADS.values(), "What the loss is made of", "Learning rate", "Images per second")

Points = Sequence[tuple[float, float]]


def charts_of(history: Sequence[HistoryRow], primary: str | None, *, best: int | None = None) -> list[str]:
    """Diagrams over the epochs, as SVG: losses, metrics by the model's heads, then the rest.

    Args:
        history: A row an epoch; with fewer than two there is nothing to draw a line through.
        primary: The metric that picks the best checkpoint.
        best: The epoch that it picked.
    """
    if len(history) <= 1:
        return []
    groups: dict[str, dict[str, Points]] = {}
    for name in history_names(history, primary):
        if points := _points(history, name):
            groups.setdefault(_title(name), {})[name] = points
    return [draw_chart(title, groups[title], best=best) for title in sorted(groups, key=_TITLES.index)]


def draw_chart(title: str, lines: Mapping[str, Points], *, best: int | None = None) -> str:
    """A diagram over epochs as SVG.

    Args:
        title: What it shows.
        lines: By name their points: epoch and value, all finite, by epoch. One point at the least in all.
        best: An epoch that is marked.
    """
    lines = {name: [(epoch, _held(value)) for epoch, value in points] for name, points in lines.items()}
    rows = list(_legend_rows(list(lines)))
    drawing = Drawing(_WIDTH, _HEIGHT + _ROW * len(rows), title)
    drawing.text(_LEFT, _TOP - 14, title, size=_TITLE, bold=True)
    epochs = [epoch for points in lines.values() for epoch, _ in points]
    values = [value for points in lines.values() for _, value in points]
    across, up = ticks(min(epochs), max(epochs), whole=True), ticks(min(values), max(values))
    lowest, highest = min(up[0], *values), max(up[-1], *values)
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def place(epoch: float, value: float) -> tuple[float, float]:
        x = (epoch - min(epochs)) / (max(epochs) - min(epochs) or 1)
        y = (value - lowest) / (highest - lowest or 1)
        return _LEFT + x * width, round(_TOP + (1 - y) * height, 1)

    for value in up:
        y = place(min(epochs), value)[1]
        drawing.line([(_LEFT, y), (_LEFT + width, y)], stroke="#e6e6e6")
        drawing.text(_LEFT - 6, y + 4, _short(value, up), size=_SIZE, anchor="end", fill="#555")
    for epoch in across:
        x = place(epoch, lowest)[0]
        drawing.text(x, _TOP + height + 16, f"{epoch:,.0f}", size=_SIZE, anchor="middle", fill="#555")
    drawing.text(_LEFT + width / 2, _TOP + height + 32, "epoch", size=_SIZE, anchor="middle", fill="#555")
    drawing.rectangle(_LEFT, _TOP, width, height, stroke="#999")
    if best is not None and min(epochs) <= best <= max(epochs):
        x = place(best, lowest)[0]
        drawing.line([(x, _TOP), (x, _TOP + height)], stroke="#222", dashes="2 3", hint=f"best epoch: {best}")
    for number, (name, points) in enumerate(lines.items()):
        stroke, dashes = _look(number)
        for piece in _unbroken(points):
            line = [place(*point) for point in piece]
            if len(line) == 1:  # seen, too
                line = [(line[0][0] - 2, line[0][1]), (line[0][0] + 2, line[0][1])]
            drawing.line(line, stroke=stroke, width=1.8, dashes=dashes, hint=clean(name))
    for row, names in enumerate(rows):
        for number, x, name in names:
            y = _HEIGHT + row * _ROW + 4
            stroke, dashes = _look(number)
            drawing.line([(x, y), (x + 20, y)], stroke=stroke, width=1.8, dashes=dashes)
            drawing.text(x + 26, y + 4, name, size=_SIZE)
    return drawing.to_bytes().decode("utf-8")


def ticks(lowest: float, highest: float, *, whole: bool = False) -> list[float]:
    """About five round numbers that span a range: steps of 1, 2 or 5 times a power of ten.

    They begin at or below `lowest` and end at or above `highest`; of whole numbers only those inside are given.

    Source: P. Heckbert, "Nice Numbers for Graph Labels", Graphics Gems (1990).
    """
    span = highest - lowest or abs(highest) or 1.0
    rough = max(span / _TICKS, _SMALLEST)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * part for part in (1, 2, 5, 10) if power * part >= rough * (1 - 1e-9))
    if whole:
        step = max(1.0, step)
        first, last = math.ceil(lowest / step), math.floor(highest / step)
    else:
        first, last = math.floor(lowest / step + 1e-9), math.ceil(highest / step - 1e-9)
    return [number * step for number in range(first, last + 1)] or [lowest]


def _held(value: float) -> float:
    return max(-_LARGEST, min(_LARGEST, value))


def _title(name: str) -> str:
    """Of the diagram that a metric is drawn in."""
    if name in _LOSSES:
        return "Loss"
    if LOSS_PART.fullmatch(name):
        return "What the loss is made of"
    if name in ASIDE:
        return "Learning rate" if name == "learning_rate" else "Images per second"
    return next((title for head, title in _HEADS.items() if name.endswith(head)), "Metrics")


def _points(history: Sequence[HistoryRow], name: str) -> list[tuple[float, float]]:
    return [(row["epoch"], row[name]) for row in history if name in row and math.isfinite(row[name])]


def _unbroken(points: Points) -> Iterable[Points]:
    """Points in a row: where a value was not finite, or missing, the line is interrupted."""
    usual = min((after[0] - before[0] for before, after in pairwise(points)), default=1.0)
    piece: list[tuple[float, float]] = []
    for point in points:
        if piece and point[0] - piece[-1][0] > usual:
            yield piece
            piece = []
        piece.append(point)
    if piece:
        yield piece


def _legend_rows(names: Sequence[str]) -> Iterable[list[tuple[int, float, str]]]:
    """Number, place and text of each line's name, as many in a row as there is room for."""
    row: list[tuple[int, float, str]] = []
    x = _LEFT
    for number, name in enumerate(names):
        text = shortened(clean(name), 200, _SIZE)
        wide = 26 + width_of(text, _SIZE) + 16
        if row and x + wide > _WIDTH:
            yield row
            row, x = [], _LEFT
        row.append((number, x, text))
        x += wide
    if row:
        yield row


def _look(number: int) -> tuple[str, str | None]:
    return COLOURS[number % len(COLOURS)], DASHES if number // len(COLOURS) % 2 else None


def _short(value: float, beside: Sequence[float]) -> str:
    """A tick's label: with as many digits as tell it from the ones beside it."""
    step = abs(beside[1] - beside[0]) if len(beside) > 1 else abs(value) or 1.0
    if step >= 1e5 or step < 1e-4:  # noqa: PLR2004 - as the labels' room is
        return f"{value:.1e}" if value else "0"
    return f"{value:,.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"
