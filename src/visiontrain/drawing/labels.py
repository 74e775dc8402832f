"""Labels of a whole image, drawn into it."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

from visiontrain.drawing.reading import enlarged

__all__ = ["with_labels"]

_MARGIN = 4
_SMALLEST = 12  # height of the text, in pixels


def with_labels(image: Image.Image, lines: list[str]) -> Image.Image:
    """Light text on a dark ground in the upper left corner, of a size that goes with the image's.

    An image that is smaller than its text is enlarged first, so that the text has room.
    """
    text = "\n".join(lines)
    font = ImageFont.load_default(size=max(_SMALLEST, min(image.size) // 20))
    _, _, right, bottom = ImageDraw.Draw(image).multiline_textbbox((_MARGIN, _MARGIN), text, font=font)
    image = enlarged(image, max(-(-int(right + _MARGIN) // image.width), -(-int(bottom + _MARGIN) // image.height)))
    draw = ImageDraw.Draw(image, "RGBA")
    draw.rectangle((0, 0, right + _MARGIN, bottom + _MARGIN), fill=(0, 0, 0, 160))
    draw.multiline_text((_MARGIN, _MARGIN), text, font=font, fill=(255, 255, 255, 255))
    return image
