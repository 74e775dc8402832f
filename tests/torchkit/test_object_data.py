import multiprocessing

import numpy as np
import pytest
import torch
from PIL import Image

from visiontrain.datasets.objects import Object
from visiontrain.errors import DatasetError
from visiontrain.torchkit.data import EpochLoader, EpochSampler
from visiontrain.torchkit.evaluating import SplitsInTurn
from visiontrain.torchkit.loading import SavedModel
from visiontrain.torchkit.object_batches import ObjectBatch
from visiontrain.torchkit.object_data import IndexedObjects, ObjectClasses
from visiontrain.torchkit.object_transforms import object_augmentation
from visiontrain.torchkit.transforms import ImageConfig

CPU = torch.device("cpu")


def config(mode="squash"):
    return ImageConfig((32, 48), (0.5,) * 3, (0.5,) * 3, crop_pct=1.0, crop_mode=mode)


@pytest.fixture
def data(tmp_path, make_object_index):
    images = []
    for number in range(5):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", (40, 20 + 20 * (number % 2)), (number, 0, 0)).save(path)
        objects = [Object(number % 3, (10.0 * each, 5.0, 10.0 * each + 8, 15.0)) for each in range(number % 4)]
        images.append((path, objects))
    images[4] = (
        images[4][0],
        [
            Object(0, (0.0, 0.0, 20.0, 20.0)),
            Object(1, (0.0, 0.0, 40.0, 20.0), crowd=True),
            Object(2, (20.0, 0.0, 40.0, 10.0), difficult=True),
        ],
    )
    return make_object_index({"train": images, "val": images})


def dataset(data, split="val", *, mode="squash", name="none", train=False):
    return IndexedObjects(data, split, object_augmentation(name, config(mode)), 0, masks=False, train=train)


def test_boxes_are_shares_of_the_image(data):
    batch = dataset(data)[[(0, 2), (0, 3), (0, 0)]]
    assert len(batch) == 3
    assert batch.pixels.shape == (3, 32, 48, 3)
    assert batch.pixels[:, 0, 0, 0].tolist() == [2, 3, 0]
    assert batch.objects.counts == (2, 3, 0)
    assert batch.objects.labels.tolist() == [2, 2, 0, 0, 0]
    assert batch.objects.boxes[1].tolist() == pytest.approx([14 / 40, 10 / 20, 8 / 40, 10 / 20])
    assert batch.objects.boxes[4].tolist() == pytest.approx([24 / 40, 10 / 40, 8 / 40, 10 / 40])
    assert batch.objects.masks is None
    assert batch.extents.tolist() == [[32, 48]] * 3
    assert batch.pixel_mask.all()
    assert [source.width for source in batch.sources] == [40] * 3


def test_images_that_keep_their_shape_have_a_border(data):
    batch = dataset(data, mode="border")[[(0, 2), (0, 3)]]
    assert batch.extents.tolist() == [[24, 48], [32, 32]]
    mask = batch.pixel_mask
    assert mask.sum((1, 2)).tolist() == [24 * 48, 32 * 32]
    assert mask[0, :24].all()
    assert (batch.pixels[~mask] == 128).all()
    assert (batch.pixels[mask][:, 0] < 4).all()
    assert batch.objects.boxes[0].tolist() == pytest.approx([4 / 40, 10 / 20, 8 / 40, 10 / 20])  # not of the canvas


def test_crowds_and_difficult_objects_are_apart(data):
    batch = dataset(data)[[(0, 4)]]
    assert batch.objects.labels.tolist() == [0]
    assert batch.passed_over.labels.tolist() == [1, 2]
    assert batch.passed_over.boxes[0].tolist() == [0.5, 0.5, 1, 1]
    training = dataset(data, "train", train=True)[[(0, 4)]]
    assert training.objects.labels.tolist() == [0]
    assert len(training.passed_over) == 0


def test_objects_below_a_pixel_are_not_trained_on(tmp_path, make_object_index):
    Image.new("RGB", (480, 320)).save(tmp_path / "a.png")
    objects = [Object(0, (0.0, 0.0, 9.0, 100.0)), Object(1, (0.0, 0.0, 11.0, 100.0))]  # ten pixels become one
    data = make_object_index({"train": [(tmp_path / "a.png", objects)]})
    assert dataset(data, "train", train=True)[[(0, 0)]].objects.labels.tolist() == [1]
    assert dataset(data, "train")[[(0, 0)]].objects.labels.tolist() == [0, 1]


def test_a_part_of_a_batch_has_its_own_objects(data):
    whole = dataset(data)[[(0, position) for position in range(5)]]
    part = whole.part(slice(2, 5))
    assert part.objects.counts == (2, 3, 1)
    assert part.pixels[:, 0, 0, 0].tolist() == [2, 3, 4]
    assert part.sources == whole.sources[2:]
    assert torch.equal(part.objects.boxes, whole.objects.boxes[1:])
    assert part.passed_over.counts == (0, 0, 2)
    assert torch.equal(whole.objects.of(3).labels, torch.tensor([0, 0, 0]))
    assert len(whole.part(slice(0, 1)).objects) == 0
    moved = whole.to(torch.device("meta"))
    assert moved.objects.boxes.device.type == moved.extents.device.type == "meta"


@pytest.mark.parametrize("name", ["none", "standard", "strong"])
def test_samples_are_the_same_however_they_are_loaded(data, name):
    def epochs(workers):
        sampler = EpochSampler(5, 2, 3, train=True)
        source = EpochLoader(dataset(data, "train", name=name, train=True), sampler, workers=workers, device=CPU)
        found = [list(source.epoch(0)), list(source.epoch(1)), list(source.epoch(1, start=1))]
        source.close()
        return [batch for epoch in found for batch in epoch]

    alone, processes = epochs(0), epochs(2)
    assert multiprocessing.active_children() == []
    for one, other in zip(alone, processes, strict=True):
        assert torch.equal(one.pixels, other.pixels)
        assert torch.equal(one.objects.boxes, other.objects.boxes)
        assert one.sources == other.sources
    assert torch.equal(alone[3].pixels, alone[4].pixels)


def test_a_broken_file_is_named(tmp_path, make_object_index):
    (tmp_path / "broken.png").write_bytes(b"no image")
    data = make_object_index({"val": [(tmp_path / "broken.png", [])]})
    batches = SplitsInTurn(data, ["val"], lambda split: dataset(data, split), batch_size=2, workers=1, device=CPU)
    with pytest.raises(DatasetError, match=r"broken\.png") as caught:
        list(batches)
    assert "Traceback" not in str(caught.value)
    assert isinstance(ObjectBatch.failed("so"), ObjectBatch)
    assert len(ObjectBatch.failed("so")) == 0


def test_classes_become_those_of_the_model(data, tmp_path):
    model = SavedModel(tmp_path / "best.pt", "mine", "detect", "net", ("c", "x", "a", "b"), False, config(), {}, 1, {})
    batch = ObjectClasses(data, model)(dataset(data)[[(0, 4), (0, 2)]])
    assert batch.objects.labels.tolist() == [2, 0, 0]
    assert batch.passed_over.labels.tolist() == [3, 0]
    other = SavedModel(tmp_path / "best.pt", "mine", "detect", "net", ("a", "b"), False, config(), {}, 1, {})
    with pytest.raises(DatasetError, match=r"'c', which .* does not know"):
        ObjectClasses(data, other)


def test_turned_photos_are_upright(tmp_path, make_object_index):
    pixels = np.zeros((20, 40, 3), dtype=np.uint8)
    pixels[:10, :10] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned to the right: what is top left is shown top right
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    data = make_object_index({"val": [(tmp_path / "turned.png", [Object(0, (10.0, 0.0, 20.0, 10.0))])]})
    batch = dataset(data)[[(0, 0)]]
    assert (batch.pixels[0, 2:6, 28:44] > 250).all()
    assert batch.objects.boxes[0].tolist() == pytest.approx([0.75, 0.125, 0.5, 0.25])


def test_data_that_was_read_for_another_task_is_refused(data, tmp_path, make_index):
    transform = object_augmentation("none", config())
    with pytest.raises(DatasetError, match="objects with masks are wanted") as caught:
        IndexedObjects(data, "val", transform, 0, masks=True, train=False)
    assert "segment" in caught.value.instruction
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(DatasetError, match="for the task classify, and objects are wanted"):
        IndexedObjects(make_index({"val": [(tmp_path / "a.png", 0)]}), "val", transform, 0, masks=False, train=False)


@pytest.mark.parametrize("masks", [True, False])
def test_a_batch_can_be_made_up(masks):
    before = torch.random.get_rng_state()
    batch = ObjectBatch.made_up(3, (8, 12), objects=5, classes=2, masks=masks, seed=1)
    assert torch.equal(before, torch.random.get_rng_state())
    assert len(batch) == 3
    assert batch.pixels.shape == (3, 8, 12, 3)
    assert batch.objects.counts == (5, 5, 5)
    assert (None if batch.objects.masks is None else batch.objects.masks.shape) == ((15, 8, 12) if masks else None)
    centres, halves = batch.objects.boxes[:, :2], batch.objects.boxes[:, 2:] / 2
    assert (centres - halves).min() >= 0
    assert (centres + halves).max() <= 1
    assert batch.objects.labels.max() == 1
    part = batch.part(slice(1, 3))
    assert (len(part.objects), len(part.passed_over), part.passed_over.counts) == (10, 0, (0, 0))
