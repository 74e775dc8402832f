"""Which images are kept for the contact sheet, and where their objects lie on it."""

import pytest
import torch

from visiontrain.torchkit.contact_sheet import PANEL
from visiontrain_yolo.batches import ObjectBatch
from visiontrain_yolo.samples import Samples

NOTHING = {"cls": torch.zeros(0), "bboxes": torch.zeros(0, 4), "conf": torch.zeros(0)}


def batch(name="a.png", *, shape=(50, 100), ratio=(2.0, 2.0), pad=(12, 28), sides=(160, 224)):
    values = {
        "img": torch.zeros(1, 3, *sides, dtype=torch.uint8), "im_file": (name,), "ori_shape": (shape,),
        "ratio_pad": ((ratio, pad),),
    }  # fmt: skip
    return ObjectBatch(values)


def offered(found, truth=NOTHING, passed_over=NOTHING, **changes):
    samples = Samples(("cat", "Größe", "dog"))
    samples.offer(batch(**changes), 0, truth=truth, passed_over=passed_over, found=found)
    (sample,) = samples.taken()
    return sample


def boxes(*rows):
    """Class, score, box."""
    return {
        "cls": torch.tensor([row[0] for row in rows]), "conf": torch.tensor([row[1] for row in rows]),
        "bboxes": torch.tensor([row[2] for row in rows], dtype=torch.float32),
    }  # fmt: skip


def test_boxes_lie_where_they_do_in_the_image_whatever_its_border():
    whole = boxes((0, 0.9, (12, 28, 212, 128)), (1, 0.5, (12, 28, 62, 53)), (2, 0.2, (12, 28, 20, 40)))
    labelled = {name: values for name, values in whole.items() if name != "conf"}
    sample = offered(whole, truth=labelled, passed_over=labelled)
    assert sample.image.size == (PANEL, PANEL // 2)
    assert [figure.text for figure in sample.found] == ["#1 0.50", "cat 0.90"]  # the best one over the others
    assert sample.found[1].box == pytest.approx((0, 0, PANEL, PANEL / 2))
    assert sample.found[0].box == pytest.approx((0, 0, PANEL / 4, PANEL / 8))
    assert [figure.text for figure in sample.truth[:3]] == ["", "", ""]  # what is not counted
    assert len({figure.colour for figure in sample.truth[:3]}) == 1
    assert [figure.text for figure in sample.truth[3:]] == ["cat", "#1", "dog"]


def test_images_that_are_stretched_are_shown_as_they_are():
    sample = offered(
        boxes((0, 0.9, (0, 0, 64, 32))), ratio=(128 / 50, 128 / 100), pad=(0, 0), sides=(128, 128)
    )  # fmt: skip
    assert sample.image.size == (PANEL, PANEL // 2)
    assert sample.found[0].box == pytest.approx((0, 0, PANEL / 2, PANEL / 8))


def test_turned_boxes_have_four_corners():
    found = {**boxes((0, 0.9, (112, 78, 20, 10, torch.pi / 2)))}
    sample = offered(found)
    xs, ys = sample.found[0].quad[0::2], sample.found[0].quad[1::2]
    assert sorted(xs) == pytest.approx([PANEL / 2 - 10] * 2 + [PANEL / 2 + 10] * 2, abs=0.01)
    assert sorted(ys) == pytest.approx([PANEL / 4 - 20] * 2 + [PANEL / 4 + 20] * 2, abs=0.01)
    assert sample.found[0].box == pytest.approx((min(xs), min(ys), max(xs), max(ys)))


def test_masks_and_keypoints_lie_in_their_boxes():
    masks = torch.zeros(1, 40, 56)  # a quarter of the batch's sides
    masks[0, 7:32, 3:28] = 1  # the left half of the image
    points = torch.tensor([[[112.0, 78.0, 0.9], [12.0, 28.0, 0.8], [50.0, 50.0, 0.1]]])
    sample = offered({**boxes((0, 0.9, (12, 28, 112, 128))), "masks": masks, "keypoints": points})
    (figure,) = sample.found
    assert figure.mask.size == sample.image.size
    assert figure.mask.getbbox() == pytest.approx((0, 0, PANEL // 2, PANEL // 2), abs=3)
    assert figure.mask.getextrema() == (0, 255)
    assert figure.keypoints[0] == pytest.approx((PANEL / 2, PANEL / 4))
    assert figure.keypoints[1] == pytest.approx((0, 0))
    assert figure.keypoints[2] is None


def test_images_with_objects_are_kept_first_and_always_the_same_ones():
    truth, orders = boxes((0, 0.9, (12, 28, 112, 128))), []
    for names in (range(40), reversed(range(40))):
        samples = Samples(("cat",))
        for number in names:
            counted = truth if number % 4 == 0 else NOTHING
            samples.offer(batch(f"{number}.png"), 0, truth=counted, passed_over=NOTHING, found=NOTHING)
        orders.append([sample.name for sample in samples.taken()])
    assert orders[0] == orders[1]
    assert len(orders[0]) == 8
    assert all(int(name.removesuffix(".png")) % 4 == 0 for name in orders[0])
    few = Samples(("cat",))
    for number in range(3):
        few.offer(batch(f"{number}.png"), 0, truth=NOTHING, passed_over=NOTHING, found=NOTHING)
    assert len(few.taken()) == 3
