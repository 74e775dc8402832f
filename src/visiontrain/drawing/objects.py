"""Objects drawn into an image: masks, boxes, keypoints, and what they are."""

from __future__ import annotations

import colorsys

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from visiontrain.drawing.reading import enlarged
from visiontrain.predictions import DetectedObject, Prediction

__all__ = ["KEYPOINT_SCORE", "colour_of", "with_objects"]

#: Keypoints of a lower score are not drawn: those are out of sight, and lie anywhere.
KEYPOINT_SCORE = 0.5

#: Longer side in pixels that an image has at least: a smaller one is enlarged, so that texts don't cover it.
_SIDE = 400

#: How much of its colour a mask lays over the image, of 255.
_OPACITY = 110

#: Height of the text in pixels, and its distance from the edge of its ground.
_SMALLEST, _MARGIN = 12, 2

_GOLDEN = 0.618034
_BRIGHT = 140  # of 255: the ground from which on a text is black

Colour = tuple[int, int, int]


def with_objects(image: Image.Image, prediction: Prediction) -> Image.Image:
    """A copy of an RGB image with all objects of its prediction; the better ones lie over the others.

    A mask is a translucent area with its outline, a turned box stands in place of the upright one, and keypoints are
    dots with lines between those that belong together. Beside each box stand class and score.
    """
    times = -(-_SIDE // max(image.size))
    drawn = enlarged(image.copy(), times)
    scale = drawn.width // image.width
    line = max(2, round(max(drawn.size) / 500))
    worst_first = prediction.objects[::-1]
    for found in worst_first:
        _draw_mask(drawn, found, scale, colour_of(found.class_index))
    draw = ImageDraw.Draw(drawn)
    for found in worst_first:
        _draw_box(draw, found, scale, line)
        _draw_keypoints(draw, found, prediction.edges, scale, line)
    font = ImageFont.load_default(size=max(_SMALLEST, min(drawn.size) // 35))
    for found in worst_first:
        _draw_text(draw, found, scale, font, drawn.size)
    return drawn


def colour_of(number: int) -> Colour:
    """The colour of a class, by its number: always the same one, and far from those of the classes beside it."""
    hue = number * _GOLDEN % 1
    lightness = (0.5, 0.35, 0.68)[number // 6 % 3]
    red, green, blue = (round(255 * part) for part in colorsys.hls_to_rgb(hue, lightness, 0.95))
    return red, green, blue


def _draw_mask(image: Image.Image, found: DetectedObject, scale: int, colour: Colour) -> None:
    mask = found.mask_image()
    around = None if mask is None else mask.getbbox()
    if mask is None or around is None:  # no pixel
        return
    left, top, right, bottom = around[0] - 1, around[1] - 1, around[2] + 1, around[3] + 1
    inside = mask.crop((left, top, right, bottom))  # what lies beyond the border is outside
    inside = inside.resize((inside.width * scale, inside.height * scale), Image.Resampling.NEAREST)
    place = (left * scale, top * scale)
    image.paste(colour, place, inside.point([level * _OPACITY // 255 for level in range(256)]))
    image.paste(colour, place, ImageChops.subtract(inside, inside.filter(ImageFilter.MinFilter(3))))


def _draw_box(draw: ImageDraw.ImageDraw, found: DetectedObject, scale: int, line: int) -> None:
    colour = colour_of(found.class_index)
    if found.quad is not None:
        corners = [(x * scale, y * scale) for x, y in zip(found.quad[::2], found.quad[1::2], strict=True)]
        draw.line([*corners, corners[0]], fill=colour, width=line, joint="curve")
        return
    left, top, right, bottom = (side * scale for side in found.box)
    # Pillow's right and bottom are the last pixels inside.
    draw.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=colour, width=line)


def _draw_keypoints(
    draw: ImageDraw.ImageDraw, found: DetectedObject, edges: tuple[tuple[int, int], ...], scale: int, line: int
) -> None:
    colour = colour_of(found.class_index)
    seen = {
        number: (point.x * scale, point.y * scale)
        for number, point in enumerate(found.keypoints)
        if point.score >= KEYPOINT_SCORE
    }
    for one, other in edges:
        if one in seen and other in seen:
            draw.line([seen[one], seen[other]], fill=colour, width=line)
    radius = line + 1
    for x, y in seen.values():
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour, outline=(255, 255, 255))


def _draw_text(
    draw: ImageDraw.ImageDraw,
    found: DetectedObject,
    scale: int,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    size: tuple[int, int],
) -> None:
    """Class and score on the box's upper edge, or below it where that is the image's; always inside of the image."""
    colour = colour_of(found.class_index)
    text = f"{found.label} {found.score:.2f}"
    _, _, right, bottom = draw.textbbox((0, 0), text, font=font)
    width, height = right + 2 * _MARGIN, bottom + 2 * _MARGIN
    left, top = (side * scale for side in found.box[:2])
    x = max(0.0, min(left, size[0] - width))
    y = top - height if top >= height else max(0.0, min(top, size[1] - height))
    draw.rectangle((x, y, x + width, y + height), fill=colour)
    red, green, blue = colour
    dark = 0.299 * red + 0.587 * green + 0.114 * blue >= _BRIGHT
    draw.text((x + _MARGIN, y + _MARGIN), text, font=font, fill=(0, 0, 0) if dark else (255, 255, 255))
