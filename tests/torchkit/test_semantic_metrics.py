import math
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional

from visiontrain.torchkit.object_found import Frame
from visiontrain.torchkit.semantic.class_weights import absent_classes, pixel_weights
from visiontrain.torchkit.semantic.metrics import PixelCounts
from visiontrain.torchkit.semantic.placing import class_pixels, class_rows

CPU = torch.device("cpu")


def counted(truth, found, classes=("a", "b", "c", "d"), ignored=255):
    counts = PixelCounts(classes, CPU)
    counts.update(torch.tensor(truth), torch.tensor(found), ignored=ignored)
    return counts


def test_numbers_are_those_that_one_counts_by_hand():
    found = counted([0, 0, 0, 0, 1, 1, 255, 255], [0, 0, 0, 1, 1, 0, 2, 3]).compute()
    assert found["iou/a"] == pytest.approx(3 / 5)
    assert found["iou/b"] == pytest.approx(1 / 3)
    assert found["miou"] == pytest.approx((3 / 5 + 1 / 3) / 2)
    assert found["pixel_accuracy"] == pytest.approx(4 / 6)
    assert found["mean_accuracy"] == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert "iou/c" not in found
    assert "iou/d" not in found


def test_a_class_that_only_the_model_sees_counts_as_0():
    found = counted([0, 0, 1], [0, 2, 1]).compute()
    assert found["iou/c"] == 0
    assert found["miou"] == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert found["mean_accuracy"] == pytest.approx((1 / 2 + 1) / 2)


def test_parts_are_the_same_as_the_whole():
    generator = torch.Generator().manual_seed(0)
    truth, found = (torch.randint(5, (40, 60), generator=generator) for _ in range(2))
    truth[:3] = 9
    whole, parts = PixelCounts("abcde", CPU), PixelCounts("abcde", CPU)
    whole.update(truth, found, ignored=9)
    for start in range(0, 40, 7):
        parts.update(truth[start : start + 7], found[start : start + 7], ignored=9)
    assert torch.equal(whole.matrix(), parts.matrix())
    assert whole.matrix().sum() == 37 * 60
    assert whole.matrix()[2, 3] == ((truth == 2) & (found == 3)).sum()


def test_where_nothing_counts_all_is_0():
    found = counted([255, 255], [0, 1]).compute()
    assert found == {"miou": 0, "pixel_accuracy": 0, "mean_accuracy": 0}


def test_what_is_told_of_a_class():
    one, _, three, four = counted([0, 0, 0, 1], [0, 0, 2, 0]).by_class()
    assert (one.name, one.pixels, one.found) == ("a", 3, 3)
    assert (one.iou, one.accuracy, one.precision) == (pytest.approx(2 / 4), pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert (three.iou, three.accuracy, three.precision) == (0, None, 0)
    assert (four.iou, four.accuracy, four.precision) == (None, None, None)


@pytest.mark.parametrize("size", [(40, 60), (7, 5), (16, 24)])
def test_scores_are_interpolated_as_torch_does(size):
    maps = torch.randn(4, 16, 24, generator=torch.Generator().manual_seed(1))
    wanted = functional.interpolate(maps[None], size=size, mode="bilinear", align_corners=False)[0]
    best = wanted.topk(2, dim=0)
    sure = best.values[0] - best.values[1] > 1e-4
    found = class_pixels(maps, Frame(size[1], size[0]))
    assert found.shape == size
    assert sure.float().mean() > 0.95
    assert torch.equal(found[sure], best.indices[0][sure])


def test_a_large_image_is_computed_in_parts():
    maps = torch.randn(4, 16, 24, generator=torch.Generator().manual_seed(1))
    frame = Frame(30, 50, (0.5, 1.0))
    parts = list(class_rows(maps, frame, at_once=4 * 30 * 8))
    assert [rows.stop - rows.start for rows, _ in parts] == [8, 8, 8, 8, 8, 8, 2]
    assert torch.equal(torch.cat([labels for _, labels in parts]), class_pixels(maps, frame))


def test_a_border_is_left_out():
    maps = torch.zeros(3, 8, 8)
    maps[0, :, :4], maps[1, :, 4:6], maps[2, :, 6:] = 1, 1, 1
    found = class_pixels(maps, Frame(6, 4, (0.75, 1.0)))
    assert found.tolist() == [[0, 0, 0, 0, 1, 1]] * 4


DATA = SimpleNamespace(classes=("a", "b", "c"), class_pixels={"train": (60, 20, 0), "val": (0, 5, 0)})


def test_balanced_weights_are_inverse_to_the_pixels():
    weights = pixel_weights(DATA, "balanced", None)
    assert weights == (pytest.approx(80 / 120), pytest.approx(80 / 40), 1.0)
    assert math.isclose((weights[0] * 60 + weights[1] * 20) / 80, 1)
    assert pixel_weights(DATA, "none", None) is None
    assert pixel_weights(DATA, "b=3", {"b": 3.0}) == (1.0, 3.0, 1.0)


def test_classes_without_a_pixel_are_named():
    assert absent_classes(DATA, ["val"]) == ["a", "c"]
    assert absent_classes(DATA, ["train", "val"]) == ["c"]
