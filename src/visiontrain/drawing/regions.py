"""What class each pixel is of, painted over an image."""

from __future__ import annotations

from PIL import Image, ImageDraw

from visiontrain.drawing.reading import enlarged
from visiontrain.painting import font_of, legible
from visiontrain.predictions import Prediction
from visiontrain.semantic_maps import SemanticMap

__all__ = ["with_regions"]

#: How much of a class's colour lies over the image, of 255.
_OPACITY = 130

#: Longer side in pixels that an image has at least: a smaller one is enlarged, so that the legend doesn't cover it.
_SIDE = 400
_MARGIN, _SMALLEST = 4, 12  # pixels


def with_regions(image: Image.Image, prediction: Prediction, top: int) -> Image.Image:
    """A copy of an RGB image with the classes of its class map in colours; a background stays as it is.

    In the upper left corner stand the `top` classes of most pixels, each with its colour and share.
    """
    seen = prediction.class_map
    if seen is None:
        return image.copy()
    colours = seen.coloured()
    # Of the image's size, unless the file was changed meanwhile.
    colours = colours.resize(image.size, Image.Resampling.NEAREST)
    shown = [255 if index >= len(seen.classes) or not seen.is_background(index) else 0 for index in range(256)]
    opacity = Image.frombytes("L", colours.size, colours.tobytes()).point([on * _OPACITY // 255 for on in shown])
    painted = Image.composite(colours.convert("RGB"), image, opacity)
    painted = enlarged(painted, -(-_SIDE // max(painted.size)))
    _paint_legend(painted, seen, [scored.label for scored in prediction.top(top)])
    return painted


def _paint_legend(image: Image.Image, seen: SemanticMap, labels: list[str]) -> None:
    if not labels:
        return
    size = max(_SMALLEST, min(image.size) // 30)
    font, line = font_of(size), size + _MARGIN
    draw = ImageDraw.Draw(image, "RGBA")
    indices = [seen.classes.index(label) for label in labels]
    texts = [f"{legible(seen.classes[index], index)} {seen.shares[seen.classes[index]]:.1%}" for index in indices]
    wide = max(int(draw.textbbox((0, 0), text, font=font)[2]) for text in texts)
    draw.rectangle((0, 0, wide + size + 3 * _MARGIN, line * len(texts) + _MARGIN), fill=(0, 0, 0, 160))
    for number, (index, text) in enumerate(zip(indices, texts, strict=True)):
        top = _MARGIN + number * line
        square = (_MARGIN, top, _MARGIN + size - 1, top + size - 1)
        draw.rectangle(square, fill=seen.colour(index), outline=(255, 255, 255))
        draw.text((size + 2 * _MARGIN, top), text, font=font, fill=(255, 255, 255, 255))
