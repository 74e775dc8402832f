"""A split of the index as Ultralytics' dataset: its augmentation, our images and labels."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from copy import copy
from typing import Any

import visiontrain_yolo.sealed  # isort: skip  # noqa: F401 - before ultralytics

import cv2
import numpy as np
from torch.utils.data import Dataset
from ultralytics.data.dataset import YOLODataset

from visiontrain.datasets.index import DatasetIndex, Image
from visiontrain.errors import DatasetError
from visiontrain.protocol.tasks import Task
from visiontrain.torchkit.data import SampleKey
from visiontrain.torchkit.images import read_rgb
from visiontrain.torchkit.randomness import kept_rng, seed_sample
from visiontrain_yolo.batches import ObjectBatch
from visiontrain_yolo.labels import label_of
from visiontrain_yolo.settings import default_settings

__all__ = ["IndexedObjects", "ObjectBatches", "resize", "shape_for"]

Pixels = np.ndarray[Any, np.dtype[Any]]

#: Bytes of decoded images that each loading process keeps, with what the index says of them: for mosaics an image is
#: asked for four times an epoch.
_KEPT_BYTES = 256 * 2**20

#: What validation adds to an image's sides before they are rounded up, in strides. Ultralytics' own.
_PAD = 0.5


def shape_for(width: int, height: int, image_size: int, stride: int, *, stretch: bool = False) -> tuple[int, int]:
    """The (height, width) that an image is validated at: its longer side is `image_size`, and a border is added.

    Args:
        width: In pixels, as `height`.
        height: Of the image as it is.
        image_size: The model's.
        stride: The model's largest.
        stretch: Both sides are `image_size`.
    """
    if stretch:
        return image_size, image_size
    longest = max(width, height)
    sides = (height, width)
    found = [int(np.ceil(side / longest * image_size / stride + _PAD)) * stride for side in sides]
    return found[0], found[1]


class IndexedObjects(YOLODataset):
    """A split of the index.

    Nothing is read but the index and the images, through torchkit's reader, and nothing is written: Ultralytics' own
    dataset looks for labels, caches and ``.npy`` files beside the images, and its constructor is therefore not called.

    Args:
        index: The data.
        split: train, val or test.
        task: What is needed of its objects.
        image_size: Of the longer side, in pixels; a multiple of `stride`.
        stride: The model's largest.
        settings: Ultralytics' hyperparameters; None for images as they are, each at its own shape.
        stretch: Make both sides of an image as long as the longer one would be, as RT-DETR sees them.
    """

    def __init__(
        self,
        index: DatasetIndex,
        split: str,
        task: Task,
        *,
        image_size: int,
        stride: int,
        settings: Any = None,
        stretch: bool = False,
    ) -> None:
        self.index, self.split, self.task = index, split, task
        self.imgsz = self.image_size = image_size
        self.stride, self.augment, self.stretch = stride, settings is not None, stretch
        self.keypoints = 0 if index.skeleton is None else len(index.skeleton.names)
        self.data = {
            "names": dict(enumerate(index.classes)),
            "kpt_shape": [self.keypoints, 3],
            "flip_idx": [] if index.skeleton is None else list(index.skeleton.flip),
        }
        self.use_segments, self.use_keypoints = task is Task.segment, task is Task.pose
        self.use_obb, self.rect = task is Task.obb, False
        self.cache = "ram"  # tells Mosaic to choose among all images, not those that this process happened to load
        self.prefix = ""
        self._kept: OrderedDict[int, tuple[Image, Pixels]] = OrderedDict()
        self._kept_bytes = 0
        given = default_settings() if settings is None else settings
        self.transforms = self.build_transforms(copy(given))
        single = copy(given)
        single.mosaic = single.mixup = single.cutmix = single.copy_paste = 0.0
        self._single = self.build_transforms(single)

    def __len__(self) -> int:
        return self.index.splits[self.split]

    def sample(self, position: int, *, single: bool) -> dict[str, Any]:
        """What the model gets of an image, its random choices drawn from the global generators.

        Args:
            position: In the split.
            single: Make it of no other images.
        """
        transforms = self._single if single else self.transforms
        found: dict[str, Any] = transforms(self.get_image_and_label(position))
        return found

    def get_image_and_label(self, index: int) -> dict[str, Any]:
        """The image at a position with its objects, before augmentation."""
        image, pixels = self._read(index)
        label = label_of(
            image, self.task, classes=len(self.index.classes), keypoints=self.keypoints, train=self.augment
        )
        height, width = pixels.shape[:2]
        label["img"], label["ori_shape"], label["resized_shape"] = pixels, (image.height, image.width), (height, width)
        label["ratio_pad"] = (height / image.height, width / image.width)
        if not self.augment:
            label["rect_shape"] = shape_for(
                image.width, image.height, self.image_size, self.stride, stretch=self.stretch
            )
        found: dict[str, Any] = self.update_labels_info(label)
        return found

    def load_image(self, *_args: Any, **_options: Any) -> Any:
        """Ultralytics' own would read, write and delete files beside the image."""
        raise RuntimeError("images come from the index")

    def _read(self, position: int) -> tuple[Image, Pixels]:
        """What the index says of an image, and BGR, (height, width, 3), its sides as it is trained on.

        The pixels are the caller's to change.
        """
        if position in self._kept:
            self._kept.move_to_end(position)
        else:
            image = self.index.image(self.split, position)
            pixels = resize(np.asarray(read_rgb(image.path)), self.image_size, stretch=self.stretch)
            if not self.augment:
                return image, pixels
            self._keep(position, image, pixels)
        image, pixels = self._kept[position]
        return image, pixels.copy()

    def _keep(self, position: int, image: Image, pixels: Pixels) -> None:
        self._kept[position] = image, pixels
        self._kept_bytes += pixels.nbytes
        while self._kept_bytes > _KEPT_BYTES and len(self._kept) > 1:
            _, (_, oldest) = self._kept.popitem(last=False)
            self._kept_bytes -= oldest.nbytes

    def __getstate__(self) -> dict[str, Any]:
        """For loader processes that are spawned: each keeps images of its own."""
        return {**self.__dict__, "_kept": OrderedDict(), "_kept_bytes": 0}


def resize(rgb: Pixels, longest: int, *, stretch: bool = False) -> Pixels:
    """RGB to BGR, its longer side `longest` pixels; or both sides, where it is stretched."""
    height, width = rgb.shape[:2]
    bgr = np.ascontiguousarray(rgb[:, :, ::-1])
    ratio = longest / max(height, width)
    size = [longest if stretch else min(int(np.ceil(side * ratio)), longest) for side in (width, height)]
    if size == [width, height]:
        return bgr
    found: Any = cv2.resize(bgr, size, interpolation=cv2.INTER_LINEAR)
    return found  # type: ignore[no-any-return]


class ObjectBatches(Dataset[ObjectBatch]):
    """Batches of a split; what a loader process holds.

    Args:
        images: The split.
        seed: The run's; a sample's random choices come from it, the epoch and the position alone.
        closed_from: The epoch, counted from 0, from which on training images are made of no other ones.
    """

    def __init__(self, images: IndexedObjects, *, seed: int = 0, closed_from: int = 0) -> None:
        self._images, self._seed, self._closed_from = images, seed, closed_from

    def __getitem__(self, keys: Sequence[SampleKey]) -> ObjectBatch:
        """The batch of these samples."""
        samples: list[dict[str, Any]] = []
        try:
            with kept_rng():
                for epoch, position in keys:
                    seed_sample(self._seed, epoch, position)
                    samples.append(self._images.sample(position, single=epoch >= self._closed_from))
        except DatasetError as e:
            # As text: torch would wrap an exception in a traceback of the loader's process.
            return ObjectBatch(error=str(e))
        epoch, first = keys[0]
        return ObjectBatch(self._images.collate_fn(samples), epoch, first)
