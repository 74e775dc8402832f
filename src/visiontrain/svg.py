"""Drawings as SVG: sharp at any size, names in any script, and neither a font nor a library that draws is needed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

__all__ = ["COLOURS", "DASHES", "Drawing", "shortened", "width_of"]

#: Ten colours of lines that are told apart, also by most of those who see fewer; the next ten lines have dashes.
COLOURS = (
    "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#17becf", "#bcbd22", "#7f7f7f",
)  # fmt: skip
DASHES = "5 3"

_FONTS = "system-ui, Helvetica, Arial, sans-serif"

#: What XML can't hold: most control characters, and halves of pairs, which stand for bytes of names that are no text.
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

#: Width of a letter as a share of the font's size: a little more than most have, as no font is at hand to ask.
_NARROW, _WIDE = 0.55, 1.0


def width_of(text: str, size: float) -> float:
    """About how wide a text is, in the unit of `size`, its font's."""
    return size * sum(_WIDE if unicodedata.east_asian_width(letter) in "WF" else _NARROW for letter in text)


def shortened(text: str, most: float, size: float) -> str:
    """The text, cut off where it is wider than `most`."""
    if width_of(text, size) <= most:
        return text
    while text and width_of(text + "…", size) > most:
        text = text[:-1]
    return text + "…"


class Drawing:
    """A white sheet with x to the right and y downwards, in pixels at its natural size.

    Args:
        width: Of the sheet.
        height: Likewise.
        title: What it shows, in words.
    """

    def __init__(self, width: float, height: float, title: str) -> None:
        wide, high = _number(width), _number(height)
        size = f'width="{wide}" height="{high}" viewBox="0 0 {wide} {high}"'
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{_FONTS}" role="img">',
            f"<title>{_text(title)}</title>",
            '<rect width="100%" height="100%" fill="#fff"/>',
        ]

    def rectangle(self, x: float, y: float, width: float, height: float, *, stroke: str) -> None:
        """A frame."""
        self._add("rect", {"x": x, "y": y, "width": width, "height": height, "fill": "none", "stroke": stroke})

    def line(
        self,
        points: Sequence[tuple[float, float]],
        *,
        stroke: str,
        width: float = 1.0,
        dashes: str | None = None,
        hint: str | None = None,
    ) -> None:
        """A line through points.

        Args:
            points: x and y.
            stroke: Its colour.
            width: In pixels.
            dashes: Lengths of dashes and gaps.
            hint: Shown while the mouse is on it.
        """
        path = " ".join(f"{_number(x)},{_number(y)}" for x, y in _corners(points))
        looks: dict[str, str | float] = {"fill": "none", "stroke": stroke, "stroke-width": width}
        looks |= {} if dashes is None else {"stroke-dasharray": dashes}
        self._add("polyline", {"points": path, **looks}, None if hint is None else f"<title>{_text(hint)}</title>")

    def cells(self, places: Sequence[tuple[int, int]], *, left: float, top: float, side: float, fill: str) -> None:
        """Squares of one colour, by row and column, in a grid of such squares."""
        path = "".join(f"M{column} {row}h1v1h-1z" for row, column in places)
        at = f"translate({_number(left)} {_number(top)}) scale({_number(side)})"
        self._add("path", {"d": path, "fill": fill, "transform": at, "shape-rendering": "crispEdges"})

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float,
        anchor: str = "start",
        fill: str = "#222",
        bold: bool = False,
        turned: bool = False,
    ) -> None:
        """A line of text.

        Args:
            x: Where it begins, has its middle or ends, as `anchor` says.
            y: Of its base line.
            text: Of any script.
            size: Of its letters.
            anchor: ``start``, ``middle`` or ``end``.
            fill: Its colour.
            bold: Whether it is.
            turned: Upwards, around (x, y).
        """
        looks: dict[str, str | float] = {"x": x, "y": y, "font-size": size, "fill": fill}
        looks |= {"text-anchor": anchor} if anchor != "start" else {}
        looks |= {"font-weight": "bold"} if bold else {}
        looks |= {"transform": f"rotate(-90 {_number(x)} {_number(y)})"} if turned else {}
        self._add("text", looks, _text(text))

    def to_bytes(self) -> bytes:
        """The file, UTF-8."""
        return "\n".join([*self._parts, "</svg>\n"]).encode("utf-8")

    def _add(self, tag: str, attributes: dict[str, str | float], content: str | None = None) -> None:
        listed = "".join(
            f" {name}={quoteattr(value if isinstance(value, str) else _number(value))}"
            for name, value in attributes.items()
        )
        self._parts.append(f"<{tag}{listed}/>" if content is None else f"<{tag}{listed}>{content}</{tag}>")


def _text(text: str) -> str:
    return escape(_NO_XML.sub("\ufffd", text))


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _corners(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Without points on a level between two others: most of a curve where little was found."""
    inner = zip(points, points[1:], points[2:], strict=False)
    kept = [now for before, now, after in inner if not before[1] == now[1] == after[1]]
    return [points[0], *kept, points[-1]] if len(points) > 1 else list(points)
