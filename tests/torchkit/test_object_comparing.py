import pytest
import torch

from visiontrain.torchkit.object_comparing import best_places, box_distances, largest, matched_rows, row_differences


def rows(count=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, generator=generator) * 100
    boxes = torch.cat([corners, corners + 10 + torch.rand(count, 2, generator=generator) * 50], dim=1)
    return {"boxes": boxes, "scores": torch.linspace(0.9, 0.5, count), "labels": torch.arange(count) % 3}


def test_the_same_outputs_do_not_differ():
    assert row_differences(rows(), rows()) == {"scores": 0, "boxes": pytest.approx(0, abs=1e-12)}


def test_rows_of_one_score_may_come_in_another_order():
    one = rows()
    one["scores"][1:3], one["labels"][:] = 0.7, 1
    other = {name: value[[0, 2, 1, 3, 4]] for name, value in one.items()}
    assert row_differences(one, other)["boxes"] == pytest.approx(0, abs=1e-12)
    moved = {name: value.clone() for name, value in other.items()}
    moved["boxes"][1] += 5
    assert row_differences(one, moved)["boxes"] > 0.05


def test_another_class_or_score_is_found_out():
    one, other = rows(), rows()
    other["scores"][2] += 0.01
    assert row_differences(one, other)["scores"] == pytest.approx(0.01, abs=1e-6)
    wrong = rows(3)
    wrong["labels"] = torch.tensor([2, 1, 0])
    wrong["boxes"] = wrong["boxes"].roll(1, 0)
    assert row_differences(rows(3), wrong)["boxes"] > 0.1


def test_what_is_no_number_is_found_out():
    other = rows()
    other["scores"][0] = float("nan")
    assert str(row_differences(rows(), other)["scores"]) == "nan"
    other = rows()
    other["boxes"][:, 0] = float("nan")
    assert str(row_differences(rows(), other)["boxes"]) == "nan"


def test_masks_differ_by_the_probability_of_a_pixel():
    one, other = rows(), rows()
    one["masks"] = torch.zeros(5, 4, 4)
    other["masks"] = torch.zeros(5, 4, 4)
    other["masks"][3, 1, 1] = 100
    assert row_differences(one, other)["masks"] == pytest.approx(0.5)


def test_a_pixel_on_the_edge_of_a_mask_excuses_its_score_and_its_box_and_nothing_more():
    one = rows()
    one["masks"] = torch.full((5, 4, 4), 3.0)
    one["masks"][3, :2] = -3.0
    one["masks"][3, :2, 2:] = -1e-6
    other = {name: value.clone() for name, value in one.items()}
    other["masks"][3, :2, 2:] = 1e-6
    other["scores"][3] += 5e-4
    other["boxes"][3, 2] += 5
    assert row_differences(one, other) == {
        "scores": 0,
        "boxes": pytest.approx(0, abs=1e-12),
        "masks": pytest.approx(0, abs=1e-6),
    }
    other["scores"][1] += 5e-4
    other["boxes"][2, 2] += 5
    found = row_differences(one, other)
    assert found["scores"] == pytest.approx(5e-4, rel=1e-3)
    assert found["boxes"] > 0.05


def test_of_objects_with_one_box_those_with_one_mask_belong_together():
    one = rows(2)
    one["scores"][:], one["labels"][:], one["boxes"][1] = 0.7, 1, one["boxes"][0]
    one["masks"] = torch.stack([torch.eye(4), torch.eye(4).flip(0)]) * 20 - 10
    other = {name: value.flip(0) for name, value in one.items()}
    assert row_differences(one, other)["masks"] == pytest.approx(0, abs=1e-6)


def test_the_last_rows_may_have_been_left_out_for_others():
    one, other = rows(14), rows(14)
    for each in (one, other):
        each["scores"] = torch.tensor([0.9] * 10 + [0.5, 0.4, 0.1, 0.1])
    other["boxes"][13] += 500
    found, partners = matched_rows(one, other, box_distances)
    assert len(found["scores"]) == len(partners["scores"]) == 12


def test_the_best_places_are_compared():
    scores = torch.tensor([[0.1, 0.0], [0.0, 0.9], [0.0, 0.0]]).repeat(200, 1)
    one = {"scores": scores, "boxes": torch.arange(600.0)[:, None].expand(-1, 4), "prototypes": torch.zeros(2, 3)}
    best, others = best_places(one, one, shared=("prototypes",))
    assert best["scores"].amax(1).tolist() == pytest.approx([0.9] * 200 + [0.1] * 100)
    assert torch.equal(best["boxes"], others["boxes"])
    assert best["prototypes"].shape == (2, 3)
    low = {"scores": torch.zeros(50, 2), "boxes": torch.zeros(50, 4)}
    assert len(best_places(low, low)[0]["scores"]) == 10


def test_boxes_differ_by_what_they_do_not_share():
    one = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10], [5, 5, 5, 5]])
    other = torch.tensor([[0.0, 0, 10, 5], [20, 20, 30, 30], [5, 5, 5.2, 5]])
    assert box_distances(one, other).tolist() == pytest.approx([0.5, 1, 0.18181818], abs=1e-6)
    assert largest(torch.empty(0)) == 0
