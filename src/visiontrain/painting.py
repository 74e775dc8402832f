"""Objects painted into an image: masks, boxes, keypoints, and what they are. Needs Pillow alone, on both sides."""

from __future__ import annotations

import colorsys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

__all__ = ["Colour", "Figure", "colour_of", "font_of", "legible", "paint"]

#: How much of its colour a mask lays over the image, of 255.
_OPACITY = 110

#: Height of the text in pixels, and its distance from the edge of its ground.
_SMALLEST, _MARGIN = 12, 2

_GOLDEN = 0.618034
_BRIGHT = 140  # of 255: the ground from which on a text is black

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Figure:
    """An object, in pixels of the image that it is painted into.

    Args:
        text: What stands beside its box; empty for nothing.
        colour: Red, green and blue, from 0 to 255.
        box: Left, top, right, bottom.
        quad: Four corners, x and y in turn, in place of the box.
        mask: Of the mode L: 255 inside, 0 outside; it need not hold more than the object.
        mask_at: Where the mask's top left corner is.
        keypoints: x and y of each; None for one that is not painted.
    """

    text: str
    colour: Colour
    box: tuple[float, float, float, float]
    quad: tuple[float, ...] | None = None
    mask: Image.Image | None = None
    mask_at: tuple[int, int] = (0, 0)
    keypoints: tuple[tuple[float, float] | None, ...] = ()


def paint(image: Image.Image, figures: Sequence[Figure], *, edges: Sequence[tuple[int, int]] = ()) -> None:
    """Paint figures into an RGB image, each over those before it; masks below all else, texts above.

    A mask is a translucent area with its outline, a quad stands in place of the box, and keypoints are dots with lines
    between those that belong together.

    Args:
        image: Is changed.
        figures: What to paint.
        edges: Pairs of keypoints that belong together, counted from 0.
    """
    line = max(2, round(max(image.size) / 500))
    for figure in figures:
        if figure.mask is not None:
            _paint_mask(image, figure.mask, figure.mask_at, figure.colour)
    draw = ImageDraw.Draw(image)
    for figure in figures:
        _paint_box(draw, figure, line)
        _paint_keypoints(draw, figure, edges, line)
    font = font_of(max(_SMALLEST, min(image.size) // 35))
    for figure in figures:
        if figure.text:
            _paint_text(draw, figure, font, image.size)


def colour_of(number: int) -> Colour:
    """The colour of a class, by its number: always the same one, and far from those of the classes beside it."""
    hue = number * _GOLDEN % 1
    lightness = (0.5, 0.35, 0.68)[number // 6 % 3]
    red, green, blue = (round(255 * part) for part in colorsys.hls_to_rgb(hue, lightness, 0.95))
    return red, green, blue


def font_of(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, so that no file is looked for. It has ASCII's letters alone: see `legible`.

    Args:
        size: In pixels.
    """
    return ImageFont.load_default(size=size)


def legible(name: str, number: int) -> str:
    """A class name in letters that Pillow's font has: without accents, or the class's number where it has others."""
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", name) if not unicodedata.combining(letter))
    return plain if plain.isascii() and plain.isprintable() else f"#{number}"


def _paint_mask(image: Image.Image, mask: Image.Image, at: tuple[int, int], colour: Colour) -> None:
    around = mask.getbbox()
    if around is None:  # no pixel
        return
    left, top, right, bottom = around[0] - 1, around[1] - 1, around[2] + 1, around[3] + 1
    inside = mask.crop((left, top, right, bottom))  # what lies beyond the border is outside
    place = (at[0] + left, at[1] + top)
    image.paste(colour, place, inside.point([level * _OPACITY // 255 for level in range(256)]))
    image.paste(colour, place, ImageChops.subtract(inside, inside.filter(ImageFilter.MinFilter(3))))


def _paint_box(draw: ImageDraw.ImageDraw, figure: Figure, line: int) -> None:
    if figure.quad is not None:
        corners = list(zip(figure.quad[::2], figure.quad[1::2], strict=True))
        draw.line([*corners, corners[0]], fill=figure.colour, width=line, joint="curve")
        return
    left, top, right, bottom = figure.box
    # Pillow's right and bottom are the last pixels inside.
    draw.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=figure.colour, width=line)


def _paint_keypoints(draw: ImageDraw.ImageDraw, figure: Figure, edges: Sequence[tuple[int, int]], line: int) -> None:
    points = figure.keypoints
    for one, other in edges:
        first, second = points[one : one + 1], points[other : other + 1]
        if first and second and first[0] is not None and second[0] is not None:
            draw.line([first[0], second[0]], fill=figure.colour, width=line)
    radius = line + 1
    for point in points:
        if point is not None:
            x, y = point
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=figure.colour, outline=(255, 255, 255))


def _paint_text(
    draw: ImageDraw.ImageDraw,
    figure: Figure,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    size: tuple[int, int],
) -> None:
    """On the box's upper edge, or below it where that is the image's; always inside of the image."""
    _, _, right, bottom = draw.textbbox((0, 0), figure.text, font=font)
    width, height = right + 2 * _MARGIN, bottom + 2 * _MARGIN
    left, top = figure.box[:2]
    x = max(0.0, min(left, size[0] - width))
    y = top - height if top >= height else max(0.0, min(top, size[1] - height))
    draw.rectangle((x, y, x + width, y + height), fill=figure.colour)
    red, green, blue = figure.colour
    dark = 0.299 * red + 0.587 * green + 0.114 * blue >= _BRIGHT
    draw.text((x + _MARGIN, y + _MARGIN), figure.text, font=font, fill=(0, 0, 0) if dark else (255, 255, 255))
