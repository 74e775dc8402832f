"""Images and labels come from the index alone, and the data's folder stays as it is."""

import hashlib
import random

import numpy as np
import pytest
import torch
from PIL import Image

from visiontrain.datasets.index import DatasetIndex
from visiontrain.datasets.objects import Object
from visiontrain.protocol.tasks import Task
from visiontrain_yolo.dataset import IndexedObjects, ObjectBatches, resize, shape_for
from visiontrain_yolo.options import YoloOptions
from visiontrain_yolo.settings import settings_of
from visiontrain_yolo.shapes import ShapeSampler

RED, LEFT_OF_EXIF = (250, 10, 10), 6


def split_of(index, split, settings=None):
    return IndexedObjects(index, split, Task.detect, image_size=64, stride=32, settings=settings)


def settings(**options):
    return settings_of(YoloOptions(**options), task="detect", epochs=20, image_size=64)


def facts_of(folder):
    return {
        path: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns, path.stat().st_mode)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_validation_image_keeps_its_form_and_its_boxes(writer):
    Image.new("RGB", (80, 40), RED).save(writer.folder / "a.png")
    writer.add("val", "a.png", (80, 40), [Object(1, (20, 10, 60, 30)), Object(0, (0, 0, 8, 4), difficult=True)])
    index = DatasetIndex(writer.close())
    batch = ObjectBatches(split_of(index, "val"))[[(0, 0)]]
    pixels = batch.values["img"]
    assert (pixels.dtype, tuple(pixels.shape)) == (torch.uint8, (1, 3, 64, 96))
    assert tuple(pixels[0, :, 32, 48].tolist()) == RED
    assert tuple(pixels[0, :, 2, 2].tolist()) == (114, 114, 114)
    # 64 x 32 pixels in the middle of 96 x 64
    wanted = torch.tensor([[(16 + 32) / 96, (16 + 16) / 64, 32 / 96, 16 / 64]])
    assert torch.allclose(batch.values["bboxes"][:1], wanted, atol=1e-3)
    assert batch.values["cls"].view(-1).tolist() == [1, 2]  # what is passed over is counted from the classes on
    assert batch.values["ori_shape"] == ((40, 80),)


def test_an_image_is_upright(writer):
    image = Image.new("RGB", (40, 80), RED)
    exif = image.getexif()
    exif[0x0112] = LEFT_OF_EXIF
    image.save(writer.folder / "a.jpg", exif=exif, quality=95)
    writer.add("val", "a.jpg", (80, 40), [])
    index = DatasetIndex(writer.close())
    batch = ObjectBatches(split_of(index, "val"))[[(0, 0)]]
    assert tuple(batch.values["img"].shape[2:]) == (64, 96)
    assert batch.values["cls"].shape == (0, 1)


def test_crowds_are_not_trained_on(writer):
    Image.new("RGB", (64, 64)).save(writer.folder / "a.png")
    writer.add("train", "a.png", (64, 64), [Object(0, (1, 1, 60, 60), crowd=True), Object(1, (8, 8, 40, 40))])
    index = DatasetIndex(writer.close())
    images = split_of(index, "train", settings(mosaic=0))
    assert ObjectBatches(images)[[(0, 0)]].values["cls"].view(-1).tolist() == [1]


def test_the_folder_stays_as_it_is_and_what_lies_in_it_is_not_read(data, tmp_path, make_index):
    index = DatasetIndex(make_index(tmp_path / "data", train=6, val=3))
    before = ObjectBatches(split_of(index, "train", settings()))
    keys = [(0, position) for position in range(6)]
    wanted = before[keys].values["img"]
    folder = tmp_path / "data"
    np.save(folder / "train0.npy", np.zeros((64, 64, 3), dtype=np.uint8))
    (folder / "train1.npy").write_bytes(b"no array at all")
    np.save(folder / "train2.npy", np.zeros((9, 9), dtype=np.uint16))
    (folder / "train3.txt").write_text("0 0.5 0.5 1 1\n")
    facts = facts_of(folder)
    for split in ("train", "val"):
        given = settings() if split == "train" else None
        batches = ObjectBatches(split_of(index, split, given))
        for _ in range(2):
            found = batches[keys if split == "train" else keys[1:3]]
        if split == "train":
            assert torch.equal(found.values["img"], wanted)
    assert facts_of(folder) == facts


def test_a_sample_depends_on_seed_epoch_and_position_alone(data):
    def batches(seed=3):
        images = IndexedObjects(
            data, "train", Task.detect, image_size=64, stride=32, settings=settings(mixup=1.0, degrees=30)
        )
        return ObjectBatches(images, seed=seed, closed_from=9)

    one, other = batches(), batches()
    random.seed(5)
    first = one[[(1, 4), (1, 2)]]
    other[[(1, 7), (2, 2), (1, 1)]]
    again = other[[(1, 2)]]
    assert torch.equal(first.values["img"][1], again.values["img"][0])
    assert not torch.equal(first.values["img"][1], one[[(2, 2)]].values["img"][0])
    assert not torch.equal(first.values["img"][1], batches(seed=4)[[(1, 2)]].values["img"][0])


def test_images_are_single_ones_from_an_epoch_on(data):
    images = split_of(data, "train", settings())
    batches = ObjectBatches(images, closed_from=3)
    counts = [len(data.image("train", position).objects) for position in range(8)]
    single = batches[[(3, position) for position in range(8)]]
    several = batches[[(2, position) for position in range(8)]]
    assert len(single.values["cls"]) <= sum(counts) < len(several.values["cls"])


def test_an_image_that_can_t_be_read_is_named(writer):
    (writer.folder / "a.png").write_bytes(b"no image")
    writer.add("val", "a.png", (64, 64), [])
    index = DatasetIndex(writer.close())
    batch = ObjectBatches(split_of(index, "val"))[[(0, 0)]]
    assert "a.png" in batch.error
    assert len(batch) == 0


def test_a_part_of_a_batch_has_its_own_objects(data):
    batch = ObjectBatches(split_of(data, "val"))[[(0, p) for p in (1, 2, 4, 5)]]
    parts = [batch.part(slice(0, 1)), batch.part(slice(1, 4))]
    assert [len(part) for part in parts] == [1, 3]
    for name in ("img", "cls", "bboxes"):
        assert torch.equal(torch.cat([part.values[name] for part in parts]), batch.values[name])
    assert parts[1].values["im_file"] == batch.values["im_file"][1:]
    numbers = torch.cat([parts[0].values["batch_idx"], parts[1].values["batch_idx"] + 1])
    assert torch.equal(numbers, batch.values["batch_idx"])


@pytest.mark.parametrize(("size", "shape"), [((64, 64), (96, 96)), ((640, 320), (64, 96)), ((1, 1000), (96, 32))])
def test_shapes(size, shape):
    assert shape_for(*size, 64, 32) == shape


def test_batches_of_one_shape_hold_every_image_once():
    shapes = [(64, 96) if number % 3 else (96, 64) for number in range(10)]
    sampler = ShapeSampler(shapes, 4)
    sampler.epoch = 2
    batches = list(sampler)
    assert len(sampler) == sampler.batches == len(batches) == 3
    assert sorted(position for batch in batches for _, position in batch) == list(range(10))
    assert all(len({shapes[position] for _, position in batch}) == 1 for batch in batches)
    assert {epoch for batch in batches for epoch, _ in batch} == {2}
    sampler.start = 2
    assert list(sampler) == batches[2:]


def test_resizing_keeps_colours_in_their_places():
    rgb = np.zeros((10, 20, 3), dtype=np.uint8)
    rgb[:, :10] = RED
    small = resize(rgb, 10)
    assert small.shape == (5, 10, 3)
    assert tuple(small[2, 1]) == RED[::-1]
    assert resize(rgb, 20).shape == rgb.shape
