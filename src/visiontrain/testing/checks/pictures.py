"""One picture in several forms, in all of which a model must find the same objects, or the same classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from visiontrain.datasets import index
from visiontrain.predictions import DetectedObject, Prediction
from visiontrain.semantic_maps import values_of

__all__ = ["Pictures", "differing", "make_pictures", "pixel_accuracy"]

_ORIENTATION = 0x0112
_ON_ITS_SIDE = 6  # shown after a turn by 90 degrees clockwise

#: How many of the best objects are compared, and among how many of the others each is looked for: where two have
#: nearly the same score their order may change.
_COMPARED, _AMONG = 3, 10

#: How much of two boxes must be common for them to be the same, and how far their scores may lie apart: rounding in
#: bfloat16, and JPEG's where an image is stored on its side.
_OVERLAP, _APART = 0.8, 0.03


#: Share of pixels that may be of another class, for the same reasons; more where the picture is stored on its side.
_PIXELS, _PIXELS_TURNED = 0.02, 0.1


@dataclass(frozen=True)
class Pictures:
    """Files of one picture, wider than high: `upright` as it is shown; `turned` stored on its side, where a format can.

    `others` are images of other sizes.
    """

    upright: Path
    turned: Path | None
    others: tuple[Path, ...]

    def seen(self, predict: Callable[..., list[Prediction]]) -> dict[str, Prediction]:
        """What a model says of them, by what is particular about each request.

        Args:
            predict: Given images, and options of the prediction.
        """
        (alone,) = predict(self.upright)
        among = predict([*self.others, self.upright, *self.others])[len(self.others)]
        with Image.open(self.upright) as opened:
            (pixels,) = predict(opened.convert("RGB"))
        found = {"alone": alone, "among others": among, "pixels": pixels}
        if self.turned is not None:
            (found["turned"],) = predict(self.turned)
        if alone.objects:
            (found["confident"],) = predict(self.upright, confidence=self.limit(alone))
        return found

    @staticmethod
    def limit(seen: Prediction) -> float:
        """A confidence between the best object's score and the worst one's: it leaves some out."""
        return (seen.objects[0].score + seen.objects[-1].score) / 2


def make_pictures(images: Sequence[index.Image], folder: Path, image_format: str) -> Pictures:
    """Write the files.

    Args:
        images: Of the data; there is at least one.
        folder: Where to.
        image_format: jpg, png or ppm; the last one can't be stored on its side.
    """
    with Image.open(images[0].path) as opened:
        picture = opened.convert("RGB")
    picture = picture.crop((0, 0, picture.width, max(1, picture.height * 3 // 4)))
    # Without loss, or nearly so: a JPEG's blocks are others on its side.
    exact = {"quality": 100, "subsampling": 0} if image_format == "jpg" else {}
    upright, small = folder / f"upright.{image_format}", folder / f"small.{image_format}"
    picture.save(upright, **exact)
    picture.resize((max(1, picture.width // 2), picture.height)).save(small, **exact)
    turned = None
    if image_format != "ppm":
        turned = folder / f"turned.{image_format}"
        exif = Image.Exif()
        exif[_ORIENTATION] = _ON_ITS_SIDE
        picture.transpose(Image.Transpose.ROTATE_90).save(turned, exif=exif, **exact)
    return Pictures(upright, turned, (small, Path(images[-1].path)))


def differing(one: Prediction, other: Prediction, *, turned: bool = False) -> str | None:
    """Why two predictions are not of the same picture, in words; None where the best objects, or the pixels, agree.

    Args:
        one: What a model says of a picture.
        other: What it says of that picture in another form.
        turned: Whether that is stored on its side.
    """
    for prediction in (one, other):
        if prediction.error is not None:
            return f"one can't be read: {prediction.error}"
    sizes = [f"{prediction.width} x {prediction.height}" for prediction in (one, other)]
    if sizes[0] != sizes[1]:
        return f"one is {sizes[0]} pixels, the other one {sizes[1]}"
    if one.class_map is not None and other.class_map is not None:
        pairs = zip(one.class_map.indices(), other.class_map.indices(), strict=True)
        apart = sum(a != b for a, b in pairs) / (one.width * one.height)
        limit = _PIXELS_TURNED if turned else _PIXELS
        return f"{apart:.1%} of the pixels are of another class" if apart > limit else None
    for seen, among in ((one, other), (other, one)):
        for found in seen.objects[:_COMPARED]:
            if not any(_same(found, candidate) for candidate in among.objects[:_AMONG]):
                return f"{found!r} has no equal among {list(among.objects[:_COMPARED])}"
    return None


def pixel_accuracy(data: index.DatasetIndex, images: Sequence[index.Image], found: Sequence[Prediction]) -> float:
    """Share of the pixels of a class that predictions give that class.

    Args:
        data: Its images have masks.
        images: Some of them.
        found: Their predictions, each with a class map.
    """
    right = total = 0
    if data.pixel_classes is None:
        return 0.0
    table, ignored = data.pixel_classes.table(), data.pixel_classes.ignore_value
    for image, prediction in zip(images, found, strict=True):
        if image.mask is None or prediction.class_map is None:
            continue
        with Image.open(image.mask) as opened:
            truth = [table[value] for value in values_of(ImageOps.exif_transpose(opened) or opened)]
        pairs = zip(truth, prediction.class_map.indices(), strict=True)
        right += sum(one == other for one, other in pairs)
        total += sum(one != ignored for one in truth)
    return right / total if total else 0.0


def _same(one: DetectedObject, other: DetectedObject) -> bool:
    return (
        one.label == other.label
        and abs(one.score - other.score) <= _APART
        and _overlap(one, other) >= _OVERLAP
        and len(one.keypoints) == len(other.keypoints)
    )


def _overlap(one: DetectedObject, other: DetectedObject) -> float:
    """Share of the two boxes' area that is common to them; 1 for equal boxes, also empty ones."""
    if one.box == other.box:
        return 1.0
    left, top, right, bottom = one.box
    others_left, others_top, others_right, others_bottom = other.box
    wide = max(0.0, min(right, others_right) - max(left, others_left))
    high = max(0.0, min(bottom, others_bottom) - max(top, others_top))
    both = (right - left) * (bottom - top) + (others_right - others_left) * (others_bottom - others_top) - wide * high
    return wide * high / both if both > 0 else 0.0
