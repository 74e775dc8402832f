import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from visiontrain.datasets.masks import Mask
from visiontrain.datasets.objects import Object
from visiontrain.torchkit.object_data import IndexedObjects
from visiontrain.torchkit.object_masks import masks_in
from visiontrain.torchkit.object_transforms import object_augmentation
from visiontrain.torchkit.object_views import View
from visiontrain.torchkit.transforms import ImageConfig

RECTANGLE = (10.0, 10.0, 30.0, 10.0, 30.0, 20.0, 10.0, 20.0)


def mask_of(pixels):
    counts, last = [0], 0
    for value in pixels.T.reshape(-1).tolist():
        if value != last:
            counts.append(0)
            last = value
        counts[-1] += 1
    return Mask.from_counts(*pixels.shape, counts)


def test_an_outline_has_the_pixels_inside():
    (mask,) = masks_in([Object(0, (10, 10, 30, 20), (RECTANGLE,))], View(0, 0, 60, 40, (40, 60)), (40, 60))
    wanted = torch.zeros(40, 60, dtype=torch.bool)
    wanted[10:20, 10:30] = True
    assert torch.equal(mask, wanted)


def test_parts_of_an_object_are_put_together():
    far = (40.0, 0.0, 60.0, 0.0, 60.0, 5.0, 40.0, 5.0)
    (mask,) = masks_in([Object(0, (10, 0, 60, 20), (RECTANGLE, far))], View(0, 0, 60, 40, (40, 60)), (40, 60))
    assert mask.sum() == 200 + 100


def test_an_object_without_outline_has_its_boxs_pixels():
    (mask,) = masks_in([Object(0, (10, 10, 30, 20))], View(0, 0, 60, 40, (20, 30)), (32, 32))
    assert mask.sum() == 50
    assert mask[5:10, 5:15].all()


@pytest.mark.parametrize(
    "view",
    [
        View(0, 0, 60, 40, (40, 60)),
        View(0, 0, 60, 40, (40, 60), mirrored=True),
        View(20, 5, 30, 20, (40, 60), mirrored=True),
        View(-30, -20, 120, 80, (40, 60)),
        View(-10, 0, 40, 20, (20, 40), mirrored=True),
        View(50, 30, 20, 20, (20, 20)),
    ],
)
def test_outlines_and_runs_give_the_same_pixels(view):
    pixels = np.zeros((40, 60), dtype=bool)
    pixels[10:20, 10:30] = True
    outlined = Object(0, (10, 10, 30, 20), (RECTANGLE,))
    in_runs = Object(0, (10, 10, 30, 20), mask=mask_of(pixels))
    one, other = masks_in([outlined, in_runs], view, (48, 64))
    assert torch.equal(one, other)


@pytest.mark.parametrize("kind", ["outline", "runs"])
@pytest.mark.parametrize("mode", ["squash", "border"])
@pytest.mark.parametrize("name", ["none", "light", "standard", "strong"])
def test_masks_lie_where_their_pixels_are(tmp_path, make_object_index, name, mode, kind):
    outline = (20.0, 10.0, 70.0, 30.0, 50.0, 70.0, 15.0, 50.0)
    image = Image.new("RGB", (100, 80), (0, 0, 0))
    ImageDraw.Draw(image).polygon([*zip(outline[::2], outline[1::2], strict=True)], fill=(255, 255, 255))
    image.save(tmp_path / "a.png")
    pixels = np.asarray(image)[..., 0] > 0
    box = (15.0, 10.0, 71.0, 71.0)
    found = Object(1, box, (outline,)) if kind == "outline" else Object(1, box, mask=mask_of(pixels))
    data = make_object_index({"train": [(tmp_path / "a.png", [found])]}, task="segment")
    config = ImageConfig((96, 112), (0.0,) * 3, (0.5,) * 3, interpolation="nearest", crop_pct=1.0, crop_mode=mode)
    transform = object_augmentation(name, config)
    if name != "none":
        transform._colours = None  # the object is told by its colour
    dataset = IndexedObjects(data, "train", transform, 0, masks=True, train=True)
    checked = 0
    for epoch in range(25):
        batch = dataset[[(epoch, 0)]]
        seen = batch.pixels[0, ..., 0] > 127
        assert len(batch.objects) == 1 or name != "none"
        if len(batch.objects) == 0:
            continue
        checked += 1
        mask = batch.objects.masks[0]
        assert mask.shape == (96, 112)
        shared, either = (mask & seen).sum(), (mask | seen).sum()
        # Pillow's polygon is half a pixel larger than the outline; a smaller one has more edge.
        assert shared / either > (0.8 if kind == "outline" else 0.85)
        tall, wide = batch.extents[0].tolist()
        rows, columns = mask.nonzero(as_tuple=True)
        centre_x, centre_y, width, height = batch.objects.boxes[0].tolist()
        assert (centre_x - width / 2) * wide == pytest.approx(int(columns.min()), abs=1e-3)
        assert (centre_x + width / 2) * wide == pytest.approx(int(columns.max()) + 1, abs=1e-3)
        assert (centre_y - height / 2) * tall == pytest.approx(int(rows.min()), abs=1e-3)
        assert (centre_y + height / 2) * tall == pytest.approx(int(rows.max()) + 1, abs=1e-3)
    assert checked > 10


def test_validation_has_the_masks_of_what_is_passed_over_and_boxes_as_they_are(tmp_path, make_object_index):
    Image.new("RGB", (60, 40)).save(tmp_path / "a.png")
    objects = [
        Object(0, (8.0, 10.0, 30.0, 20.0), (RECTANGLE,)),
        Object(1, (10.0, 10.0, 30.0, 20.0), (RECTANGLE,), crowd=True),
    ]
    data = make_object_index({"val": [(tmp_path / "a.png", objects)]}, task="segment")
    config = ImageConfig((40, 60), (0.0,) * 3, (0.5,) * 3, crop_pct=1.0, crop_mode="squash")
    batch = IndexedObjects(data, "val", object_augmentation("none", config), 0, masks=True, train=False)[
        [(0, 0), (0, 0)]
    ]
    assert batch.objects.masks.shape == batch.passed_over.masks.shape == (2, 40, 60)
    assert batch.passed_over.masks.sum() == 400
    assert (batch.objects.boxes[0, 0] - batch.objects.boxes[0, 2] / 2) * 60 == pytest.approx(8)


def test_objects_whose_mask_is_not_seen_are_not_trained_on(tmp_path, make_object_index):
    Image.new("RGB", (600, 400)).save(tmp_path / "a.png")
    line = (10.0, 10.0, 300.0, 300.0, 300.0, 300.2)
    objects = [Object(0, (10.0, 10.0, 300.0, 300.2), (line,))]
    data = make_object_index({"train": [(tmp_path / "a.png", objects)]}, task="segment")
    config = ImageConfig((4, 6), (0.0,) * 3, (0.5,) * 3, crop_pct=1.0, crop_mode="squash")
    batch = IndexedObjects(data, "train", object_augmentation("none", config), 0, masks=True, train=True)[[(0, 0)]]
    assert len(batch.objects) == 0
    assert batch.objects.masks.shape == (0, 4, 6)
