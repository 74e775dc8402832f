"""The sample ``regions``: shapes before a background, and for each image a mask that says what its pixels are of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from visiontrain.datasets.figures import SHAPES, Drawn, Scene, draw_scene, scenes_of
from visiontrain.datasets.shapes import QUALITY

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["CLASSES", "list_regions", "make_regions"]

#: By the value of a pixel.
CLASSES = ("background", *SHAPES)

#: Each shape has a colour about this, so that a small model learns in a minute what is what.
_HUES = {name: number / len(SHAPES) for number, name in enumerate(SHAPES)}

_NAMES = "classes.txt"
_BORDER = 255  # of pixels on the edge of a shape: they are ignored
_BORDER_COLOUR = (224, 224, 192)


def make_regions(
    folder: Path, seed: int, images_per_class: Mapping[str, int], image_size: int, image_format: str
) -> None:
    """Write ``classes.txt``, ``images/<split>`` and ``masks/<split>``: of the masks each pixel is a class or 255."""
    (folder / _NAMES).write_text("".join(f"{name}\n" for name in CLASSES), encoding="utf-8")
    for split in images_per_class:
        (folder / "images" / split).mkdir(parents=True)
        (folder / "masks" / split).mkdir(parents=True)
    for scene in _scenes(images_per_class, image_format):
        picture, drawn = draw_scene("regions", seed, scene, SHAPES, image_size, hues=_HUES)
        picture.save(folder / scene.path, quality=QUALITY)
        _mask(drawn, image_size).save(folder / _mask_of(scene))


def list_regions(images_per_class: Mapping[str, int], image_format: str) -> Iterator[PurePath]:
    """The files that `make_regions` writes, relative to the folder."""
    yield PurePath(_NAMES)
    for scene in _scenes(images_per_class, image_format):
        yield scene.path
        yield _mask_of(scene)


def _scenes(images_per_class: Mapping[str, int], image_format: str) -> Iterator[Scene]:
    return scenes_of("images/{}", SHAPES, images_per_class, image_format)


def _mask_of(scene: Scene) -> PurePath:
    return PurePath("masks", scene.split, f"{scene.path.stem}.png")


def _mask(drawn: list[Drawn], image_size: int) -> Image:
    """With a palette, so that it can be looked at."""
    from PIL import Image, ImageDraw

    from visiontrain.painting import colour_of

    mask = Image.new("L", (image_size, image_size))
    draw = ImageDraw.Draw(mask)
    for found in drawn:
        draw.polygon(found.outline, fill=CLASSES.index(found.name), outline=_BORDER)
    colours = {number: colour_of(number) for number in range(1, len(CLASSES))} | {_BORDER: _BORDER_COLOUR}
    mask.putpalette([part for number in range(256) for part in colours.get(number, (0, 0, 0))])
    return mask
