"""From what a detector gives to objects of the image: where they are, to the pixel."""

import math

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from visiontrain.datasets.masks import Mask
from visiontrain.protocol.tasks import Task
from visiontrain.torchkit.mask_runs import mask_runs
from visiontrain_yolo.dataset import IndexedObjects
from visiontrain_yolo.evaluation import select
from visiontrain_yolo.finding import objects_of
from visiontrain_yolo.letterbox import Letterbox

SIZES = [(64, 64), (100, 37), (41, 203), (640, 480), (33, 31), (1, 90), (64, 20)]


@pytest.mark.parametrize("stretch", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_pixels_are_those_of_validation(writer, size, stretch):
    rng = np.random.default_rng(1)
    image = Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8))
    image.save(writer.folder / "a.png")
    writer.add("val", "a.png", size, [])
    from visiontrain.datasets.index import DatasetIndex

    images = IndexedObjects(DatasetIndex(writer.close()), "val", Task.detect, image_size=64, stride=32, stretch=stretch)
    sample = images.sample(0, single=True)
    box = Letterbox(64, 32, stretch=stretch)
    assert np.array_equal(box(image), sample["img"].permute(1, 2, 0).numpy())
    place = box.placement(*size)
    (down, across), (left, top) = sample["ratio_pad"]
    assert place.scale == pytest.approx((across, down))
    assert place.first == (left, top)


@pytest.mark.parametrize("size", SIZES)
def test_what_is_exported_sees_a_square(size):
    box = Letterbox(96, 32, stretch=False, square=True)
    white = box(Image.new("RGB", size, "white"))
    assert white.shape == (96, 96, 3)
    place = box.placement(*size)
    rows, columns = np.nonzero((white == 255).all(2))
    assert (columns.min(), rows.min()) == place.first
    assert (columns.max() + 1 - columns.min(), rows.max() + 1 - rows.min()) == place.inner
    assert set(np.unique(white)) <= {114, 255}


def rows_of(place, boxes, *, label=0, score=0.9, more=()):
    """As a detector would give boxes of the image."""
    first, scale = np.array(place.first * 2), np.array(place.scale * 2)
    return torch.tensor([[*(np.array(box) * scale + first), score, label, *more] for box in boxes]).float()


@pytest.mark.parametrize("size", SIZES)
def test_boxes_are_where_they_were_and_end_at_the_edge(size):
    width, height = size
    place = Letterbox(64, 32, stretch=False).placement(width, height)
    inside = (0.2 * width, 0.3 * height, 0.7 * width, 0.9 * height)
    across = (-5, 0.5 * height, 2 * width, height + 3)
    outside = (-9, 0, -3, height)
    rows = rows_of(place, [inside, across, outside])
    found = objects_of(Task.detect, rows, place, prototypes=None, ratio=1)
    assert len(found) == 2
    assert found[0].box == pytest.approx(inside, abs=1e-3 * max(size))
    assert found[1].box == pytest.approx((0, 0.5 * height, width, height), abs=1e-3 * max(size))
    assert (found[0].label, found[0].mask, found[0].keypoints, found[0].quad) == (0, None, (), None)
    assert found[0].score == pytest.approx(0.9)


@pytest.mark.parametrize("every_class", [False, True])
def test_a_place_that_may_be_two_classes_is_told_once_and_counted_twice(every_class):
    found = torch.tensor([32.0, 32.0, 20.0, 20.0, 0.7, 0.6]).view(1, 6, 1)
    (rows,) = select(
        found, classes=2, confidence=0.25, iou=0.7, max_det=300, rotated=False, end_to_end=False,
        every_class=every_class,
    )  # fmt: skip
    assert rows[:, 5].tolist() == ([0, 1] if every_class else [0])


def test_keypoints_have_scores_and_end_at_the_edge():
    place = Letterbox(64, 32, stretch=False).placement(200, 100)
    points = [(20, 30, 0.5), (250, -4, 0.25)]
    more = [value for x, y, s in points for value in (*place_of(place, x, y), s)]
    (found,) = objects_of(Task.pose, rows_of(place, [(10, 10, 90, 60)], more=more), place, prototypes=None, ratio=1)
    assert [(p.x, p.y, p.score) for p in found.keypoints] == [
        (pytest.approx(20, abs=1e-3), pytest.approx(30, abs=1e-3), 0.5),
        (200, 0, 0.25),
    ]


def place_of(place, x, y):
    return x * place.scale[0] + place.first[0], y * place.scale[1] + place.first[1]


def test_turned_boxes_reach_out_of_the_image_and_their_boxes_do_not():
    place = Letterbox(64, 32, stretch=False).placement(128, 64)
    x, y = place_of(place, 20, 50)
    row = torch.tensor([[x, y, 40 * place.scale[0], 10 * place.scale[0], 0.8, 1, math.pi / 6]])
    (found,) = objects_of(Task.obb, row, place, prototypes=None, ratio=1)
    corners = np.array(found.quad).reshape(4, 2)
    assert corners.mean(0) == pytest.approx((20, 50), abs=1e-3)
    sides = np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1)
    assert sorted(sides) == pytest.approx([10, 10, 40, 40], abs=1e-3)
    long = corners[np.argmax(sides)] - corners[(np.argmax(sides) + 1) % 4]
    assert abs(long[1] / long[0]) == pytest.approx(math.tan(math.pi / 6), abs=1e-4)
    assert found.box == pytest.approx(
        (max(0, corners[:, 0].min()), corners[:, 1].min(), corners[:, 0].max(), min(64, corners[:, 1].max())), abs=1e-4
    )


@pytest.mark.parametrize("size", [(256, 256), (301, 177), (90, 211)])
def test_masks_are_the_object_s_pixels_within_its_box(size):
    width, height = size
    letterbox = Letterbox(256, 32, stretch=False)
    place = letterbox.placement(width, height)
    # A disc as a detector's prototype would have it: a fourth of what it sees, its middle level at the edge.
    centre, radius = (0.45 * width, 0.5 * height), 0.3 * min(size)
    seen = letterbox(Image.new("RGB", size)).shape[:2]
    y, x = (np.mgrid[0 : seen[0] // 4, 0 : seen[1] // 4] + 0.5) * 4
    across, down = (x - place.first[0]) / place.scale[0], (y - place.first[1]) / place.scale[1]
    prototype = torch.from_numpy(radius - np.hypot(across - centre[0], down - centre[1])).float()
    box = (centre[0] - radius, centre[1] - radius, centre[0] + 0.5 * radius, centre[1] + radius)
    (found,) = objects_of(Task.segment, rows_of(place, [box], more=(1.0,)), place, prototypes=prototype[None], ratio=4)
    mask = Mask.from_text(found.mask.height, found.mask.width, found.mask.data)
    pixels = np.frombuffer(mask.pixels(), dtype=np.uint8).reshape(height, width)
    y, x = np.mgrid[0:height, 0:width] + 0.5
    wanted = (np.hypot(x - centre[0], y - centre[1]) < radius) & (x < box[2])
    assert (pixels != wanted).sum() < 0.02 * wanted.sum()
    assert not pixels[:, math.ceil(box[2]) :].any()


def test_no_object_is_no_error():
    place = Letterbox(64, 32, stretch=False).placement(64, 64)
    for task, columns in ((Task.detect, 6), (Task.segment, 38), (Task.pose, 12), (Task.obb, 7)):
        prototypes = torch.zeros(32, 16, 16) if task is Task.segment else None
        assert objects_of(task, torch.zeros(0, columns), place, prototypes=prototypes, ratio=4) == ()


def drawn(width, height, draw):
    image = Image.new("1", (width, height))
    draw(ImageDraw.Draw(image))
    return np.asarray(image)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((5, 7), dtype=bool),
        np.ones((5, 7), dtype=bool),
        np.eye(6, dtype=bool),
        np.arange(35).reshape(5, 7) % 3 == 0,
        drawn(900, 700, lambda pen: pen.ellipse((100, 20, 880, 690), fill=1)),
        drawn(60, 50, lambda pen: pen.rectangle((10, 0, 20, 49), fill=1)),
        drawn(60, 50, lambda pen: pen.rectangle((0, 49, 59, 49), fill=1)),
        np.zeros((4, 0), dtype=bool),
    ],
)
def test_runs_are_those_of_the_index(pixels):
    for left, top, right, bottom in ((0, 0, 0, 0), (3, 2, 1, 4)):
        whole = np.pad(pixels, ((top, bottom), (left, right)))
        if not whole.size:
            continue
        flat = whole.T.reshape(-1)
        changes = np.flatnonzero(np.diff(flat)) + 1
        counts = np.diff([0, *changes, len(flat)]).tolist()
        wanted = Mask.from_counts(*whole.shape, [0, *counts] if flat[0] else counts)
        found = mask_runs(pixels, left=left, top=top, width=whole.shape[1], height=whole.shape[0])
        assert (found.height, found.width) == whole.shape
        assert found.data == wanted.data.decode()
