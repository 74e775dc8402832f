"""The samples of objects, written as people write such data: YOLO folders, and COCO JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path, PurePath

from visiontrain.datasets.figures import ARROW, Drawn, Figure, Scene, draw_scene, scenes_of
from visiontrain.datasets.geometry import polygon_area
from visiontrain.datasets.shapes import QUALITY

__all__ = ["CocoSample", "YoloSample", "box_columns", "keypoint_columns", "outline_columns", "quad_columns"]

_VISIBLE = 2
#: The id of the first category, and from one to the next: there are gaps, as in COCO's own.
_FIRST_CATEGORY, _CATEGORY_STEP = 3, 2
_MOST = 10  # objects an image, and more: ids are numbers of images times this


def box_columns(drawn: Drawn, side: int) -> list[float]:
    """Centre, width and height, as shares."""
    x1, y1, x2, y2 = drawn.box
    return [(x1 + x2) / 2 / side, (y1 + y2) / 2 / side, (x2 - x1) / side, (y2 - y1) / side]


def outline_columns(drawn: Drawn, side: int) -> list[float]:
    """Corners of the outline, as shares."""
    return [value / side for value in drawn.outline]


def quad_columns(drawn: Drawn, side: int) -> list[float]:
    """Corners of the turned box, as shares."""
    return [value / side for value in drawn.quad]


def keypoint_columns(drawn: Drawn, side: int) -> list[float]:
    """The box and, for each keypoint, its place and that it is visible."""
    points = zip(drawn.keypoints[0::2], drawn.keypoints[1::2], strict=True)
    return box_columns(drawn, side) + [value for x, y in points for value in (x / side, y / side, _VISIBLE)]


@dataclass(frozen=True)
class YoloSample:
    """Writes ``data.yaml``, ``images/<split>`` and ``labels/<split>``.

    Args:
        name: The sample's.
        figures: What is drawn, by class.
        columns: What a label's line says after the class, given the object and the image's side in pixels.
        keypoints: Whether that ends in the keypoints of an arrow.
    """

    name: str
    figures: Mapping[str, Figure]
    columns: Callable[[Drawn, int], list[float]]
    keypoints: bool = False

    def make(
        self, folder: Path, seed: int, images_per_class: Mapping[str, int], image_size: int, image_format: str
    ) -> None:
        """Write the sample into an empty folder."""
        classes = list(self.figures)
        (folder / "data.yaml").write_text(self._description(images_per_class), encoding="utf-8")
        for split in images_per_class:
            (folder / "images" / split).mkdir(parents=True)
            (folder / "labels" / split).mkdir(parents=True)
        for scene in self._scenes(images_per_class, image_format):
            picture, drawn = draw_scene(self.name, seed, scene, self.figures, image_size)
            picture.save(folder / scene.path, quality=QUALITY)
            rows = [(classes.index(one.name), *self.columns(one, image_size)) for one in drawn]
            lines = [" ".join(f"{value:.6g}" for value in row) for row in rows]
            (folder / _labels_of(scene)).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def files(self, images_per_class: Mapping[str, int], image_format: str) -> Iterator[PurePath]:
        """The files that `make` writes, relative to the folder."""
        yield PurePath("data.yaml")
        for scene in self._scenes(images_per_class, image_format):
            yield scene.path
            yield _labels_of(scene)

    def _scenes(self, images_per_class: Mapping[str, int], image_format: str) -> Iterator[Scene]:
        return scenes_of("images/{}", self.figures, images_per_class, image_format)

    def _description(self, images_per_class: Mapping[str, int]) -> str:
        lines = ["path: .", *(f"{split}: images/{split}" for split in images_per_class), "names:"]
        lines += [f"  {number}: {name}" for number, name in enumerate(self.figures)]
        if self.keypoints:
            lines += [f"kpt_shape: [{len(ARROW.names)}, 3]", f"flip_idx: {list(ARROW.flip)}"]
            lines += ["kpt_names:", *(f"  {number}: [{', '.join(ARROW.names)}]" for number in range(len(self.figures)))]
        return "".join(f"{line}\n" for line in lines)


def _labels_of(scene: Scene) -> PurePath:
    return PurePath("labels", scene.split, scene.path.stem + ".txt")


@dataclass(frozen=True)
class CocoSample:
    """Writes ``annotations/instances_<split>.json`` and the images of ``<split>``: boxes, outlines and keypoints.

    Args:
        name: The sample's.
        figures: What is drawn, by class; each with the keypoints of an arrow.
    """

    name: str
    figures: Mapping[str, Figure]

    def make(
        self, folder: Path, seed: int, images_per_class: Mapping[str, int], image_size: int, image_format: str
    ) -> None:
        """Write the sample into an empty folder."""
        (folder / "annotations").mkdir()
        scenes = scenes_of("{}", self.figures, images_per_class, image_format)
        for split, of_split in groupby(scenes, key=attrgetter("split")):
            (folder / split).mkdir()
            images: list[object] = []
            annotations: list[object] = []
            for scene in of_split:
                picture, drawn = draw_scene(self.name, seed, scene, self.figures, image_size)
                picture.save(folder / scene.path, quality=QUALITY)
                # Of the image's own name, so that more images leave these as they are.
                number = scene.number * len(self.figures) + list(self.figures).index(scene.kind) + 1
                size = {"width": image_size, "height": image_size}
                images.append({"id": number, "file_name": scene.path.name, **size})
                annotations += [self._annotation(number, place, one) for place, one in enumerate(drawn)]
            text = _json({"categories": self._categories(), "images": images, "annotations": annotations})
            (folder / "annotations" / f"instances_{split}.json").write_text(text, encoding="utf-8")

    def files(self, images_per_class: Mapping[str, int], image_format: str) -> Iterator[PurePath]:
        """The files that `make` writes, relative to the folder."""
        yield from (PurePath("annotations", f"instances_{split}.json") for split, n in images_per_class.items() if n)
        yield from (scene.path for scene in scenes_of("{}", self.figures, images_per_class, image_format))

    def _categories(self) -> list[object]:
        edges = [[one + 1, other + 1] for one, other in ARROW.edges]  # counted from 1
        return [
            {"id": self._category(name), "name": name, "keypoints": ARROW.names, "skeleton": edges}
            for name in self.figures
        ]

    def _category(self, name: str) -> int:
        return _FIRST_CATEGORY + _CATEGORY_STEP * list(self.figures).index(name)

    def _annotation(self, image: int, place: int, drawn: Drawn) -> object:
        x1, y1, x2, y2 = drawn.box
        points = zip(drawn.keypoints[0::2], drawn.keypoints[1::2], strict=True)
        return {
            "id": image * _MOST + place,
            "image_id": image,
            "category_id": self._category(drawn.name),
            "bbox": _rounded((x1, y1, x2 - x1, y2 - y1)),
            "area": round(polygon_area(drawn.outline), 2),
            "iscrowd": 0,
            "segmentation": [_rounded(drawn.outline)],
            "keypoints": [value for x, y in points for value in (round(x, 2), round(y, 2), _VISIBLE)],
            "num_keypoints": len(ARROW.names),
        }


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(value, 2) for value in values]


def _json(members: Mapping[str, Sequence[object]]) -> str:
    """An item a line, so that people can read it and two files can be compared."""
    lists = [
        f'"{name}": [\n' + ",\n".join(json.dumps(item) for item in items) + "\n]" for name, items in members.items()
    ]
    return "{\n" + ",\n".join(lists) + "\n}\n"
