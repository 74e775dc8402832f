import numpy as np
import pytest
import torch

from visiontrain.datasets.masks import Mask
from visiontrain.torchkit.object_batches import ObjectRows
from visiontrain.torchkit.object_found import FoundObjects, Frame, place_found, place_truth


def pixels(runs):
    mask = Mask(runs.height, runs.width, runs.data.encode())
    return np.frombuffer(mask.pixels(), dtype=np.uint8).reshape(runs.height, runs.width).astype(bool)


def test_boxes_come_in_pixels_the_best_first():
    boxes = torch.tensor([[0.5, 0.5, 0.2, 0.4], [0.25, 0.5, 0.5, 1.0]])
    placed = place_found(FoundObjects(torch.tensor([0.3, 0.9]), torch.tensor([4, 1]), boxes), Frame(200, 100), limit=10)
    assert placed.labels.tolist() == [1, 4]
    assert placed.scores.tolist() == pytest.approx([0.9, 0.3])
    assert placed.boxes.tolist() == [pytest.approx([0, 0, 100, 100]), pytest.approx([80, 30, 120, 70])]
    assert placed.masks is None


def test_what_lies_outside_is_cut_or_left_out_and_so_is_what_is_no_number():
    nan, inf = float("nan"), float("inf")
    boxes = torch.tensor(
        [[0.0, 0.0, 1.0, 1.0], [1.5, 0.5, 0.5, 0.5], [0.5, 0.5, 0.0, 0.5], [nan, 0.5, 0.1, 0.1], [0.5, 0.5, inf, 0.1]]
    )
    scores = torch.tensor([0.5, 0.6, 0.7, 0.8, 0.9])
    placed = place_found(FoundObjects(scores, torch.arange(5), boxes), Frame(10, 10), limit=10)
    assert placed.labels.tolist() in ([0], [4, 0])
    assert np.isfinite(placed.boxes).all()
    assert placed.boxes[-1].tolist() == [0, 0, 5, 5]
    bad = FoundObjects(torch.tensor([nan, 0.2]), torch.arange(2), torch.full((2, 4), 0.5))
    assert place_found(bad, Frame(10, 10), limit=10).labels.tolist() == [1]


def test_confidence_and_limit():
    found = FoundObjects(torch.tensor([0.1, 0.5, 0.3]), torch.arange(3), torch.full((3, 4), 0.5))
    assert place_found(found, Frame(9, 9), confidence=0.3, limit=9).labels.tolist() == [1, 2]
    assert place_found(found, Frame(9, 9), limit=1).labels.tolist() == [1]


def test_masks_have_the_frames_size_and_boxes_around_them():
    grid = torch.full((3, 8, 8), -1.0)
    grid[0, 2:4, 1:5] = 1.0
    grid[2, 0:8, 0:8] = 1.0
    found = FoundObjects(torch.tensor([0.9, 0.8, 0.7]), torch.tensor([0, 1, 2]), masks=grid)
    placed = place_found(found, Frame(16, 16), limit=10)
    assert placed.labels.tolist() == [0, 2]  # one has no pixel
    mask = pixels(placed.masks[0])
    assert mask.shape == (16, 16)
    assert mask[4:8, 2:10].all()
    assert mask.sum() == 32
    assert placed.boxes.tolist() == [[2, 4, 10, 8], [0, 0, 16, 16]]
    assert pixels(placed.masks[1]).all()


def test_masks_of_an_image_that_takes_a_part_of_the_canvas():
    grid = torch.full((1, 10, 10), -1.0)
    grid[0, 1:3, 2:10] = 1.0  # the image takes the upper half
    placed = place_found(
        FoundObjects(torch.ones(1), torch.zeros(1).long(), masks=grid), Frame(100, 50, (1, 0.5)), limit=1
    )
    assert placed.boxes.tolist() == [[20, 10, 100, 30]]
    seen = pixels(placed.masks[0])
    assert seen.shape == (50, 100)
    assert 20 * 80 - 30 <= seen.sum() <= 20 * 80  # its corners are round


def test_boxes_and_masks_of_a_model_with_both_stay_together():
    grid = torch.full((4, 4, 4), -1.0)
    grid[1, 0, 0] = grid[2, 1, 1] = grid[3, 3, 3] = 1.0
    boxes = torch.tensor([[0.5, 0.5, 1, 1], [0.1, 0.1, 0.2, 0.2], [0.5, 0.5, 0, 0], [0.9, 0.9, 0.2, 0.2]])
    placed = place_found(
        FoundObjects(torch.tensor([0.9, 0.8, 0.7, 0.6]), torch.arange(4), boxes, grid), Frame(4, 4), limit=9
    )
    assert placed.labels.tolist() == [1, 3]  # no mask, no box
    assert [pixels(mask).nonzero()[0].tolist() for mask in placed.masks] == [[0], [3]]
    chosen = placed.chosen(np.array([False, True]))
    assert chosen.labels.tolist() == [3]
    assert chosen.masks == placed.masks[1:]


def test_objects_may_share_masks():
    grid = torch.full((3, 4, 4), -1.0)
    grid[0, 0, 0] = grid[2, 3, 3] = 1.0
    scores, labels, mask_of = torch.tensor([0.6, 0.9, 0.8, 0.7]), torch.arange(4), torch.tensor([0, 2, 1, 2])
    shared = place_found(FoundObjects(scores, labels, masks=grid, mask_of=mask_of), Frame(4, 4), limit=9)
    own = place_found(FoundObjects(scores, labels, masks=grid[mask_of]), Frame(4, 4), limit=9)
    assert shared.labels.tolist() == own.labels.tolist() == [1, 3, 0]
    assert shared.masks == own.masks
    assert shared.boxes.tolist() == own.boxes.tolist()


def test_neither_boxes_nor_masks_are_no_objects():
    with pytest.raises(ValueError, match="neither"):
        FoundObjects(torch.ones(1), torch.ones(1))


def test_the_truth_is_placed_alike():
    masks = torch.zeros(1, 20, 20, dtype=torch.bool)
    masks[0, 2:6, 5:10] = True
    rows = ObjectRows((1,), torch.tensor([3]), torch.tensor([[0.5, 0.4, 0.5, 0.4]]), masks)
    placed = place_truth(rows, Frame(15, 10, (0.75, 0.5)))
    assert placed.boxes.tolist() == [pytest.approx([3.75, 2, 11.25, 6], abs=1e-5)]
    assert pixels(placed.masks[0]).shape == (10, 15)
    assert pixels(placed.masks[0]).sum() == 20
    assert placed.scores.tolist() == [1]
