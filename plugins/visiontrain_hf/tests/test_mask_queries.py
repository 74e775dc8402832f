"""What Mask2Former's queries mean as objects: the authors' scores, whatever fits into memory at once."""

from types import SimpleNamespace

import pytest
import torch
from transformers import Mask2FormerImageProcessor

from visiontrain.torchkit.object_found import Frame, place_found
from visiontrain_hf import mask_queries
from visiontrain_hf.mask_queries import Queries, found_objects

#: What transformers computes masks at.
SIDE = 384


def blobs(*, images=1, queries=7, classes=3, side=24, seed=0):
    """Queries with smooth masks."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(images, queries, 5, 5, generator=generator) * 4
    masks = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic")
    return Queries(torch.randn(images, queries, classes + 1, generator=generator) * 2, masks)


def test_scores_and_classes_are_those_of_transformers():
    queries = blobs(queries=40)  # it takes as many pairs of query and class as there are queries
    found = next(found_objects(Queries(queries.classes, queries.masks), [(SIDE, SIDE)], (SIDE, SIDE)))
    out = SimpleNamespace(class_queries_logits=queries.classes, masks_queries_logits=queries.masks)
    theirs = Mask2FormerImageProcessor().post_process_instance_segmentation(out, threshold=0.0)[0]["segments_info"]
    wanted = sorted(((row["score"], row["label_id"]) for row in theirs), reverse=True)
    mine = sorted(zip(found.scores.tolist(), found.labels.tolist(), strict=True), reverse=True)
    place = {}
    for score, label in mine:
        place.setdefault(label, []).append(score)
    assert len(wanted) == 40
    for score, label in wanted:
        assert min(abs(score - each) for each in place[label]) < 2e-6


def test_each_object_has_the_mask_of_its_query():
    queries = blobs()
    found = next(found_objects(queries, [(96, 96)], (96, 96)))
    assert found.boxes is None
    assert len(found.scores) == 7 * 3
    shares = queries.classes[0].softmax(-1)
    best = int(found.scores.argmax())
    query = next(row for row in range(7) if torch.equal(queries.masks[0, row], found.masks[best]))
    assert found.scores[best] <= shares[query, found.labels[best]]


def test_an_image_has_a_hundred_objects_at_the_most_or_as_many_as_queries():
    assert len(next(found_objects(blobs(queries=60, side=4), [(16, 16)], (16, 16))).scores) == 100
    assert len(next(found_objects(blobs(queries=120, side=4), [(16, 16)], (16, 16))).scores) == 120


def test_the_border_has_no_share_in_a_score():
    masks = torch.full((1, 1, 8, 8), 9.0)
    masks[..., 4:] = 0.1  # in the border the mask is unsure
    queries = Queries(torch.tensor([[[9.0, -9.0]]]), masks)
    with_border = next(found_objects(queries, [(32, 32)], (32, 32)))
    without = next(found_objects(queries, [(32, 14)], (32, 32)))
    assert without.scores.item() == pytest.approx(torch.tensor(9.0).sigmoid().item(), abs=1e-3)
    assert with_border.scores.item() < 0.9


def test_chunks_of_masks_change_nothing(monkeypatch):
    queries = blobs(images=2)
    whole = list(found_objects(queries, [(96, 80), (96, 96)], (96, 96)))
    monkeypatch.setattr(mask_queries, "_AT_ONCE", 1)
    for one, other in zip(whole, found_objects(queries, [(96, 80), (96, 96)], (96, 96)), strict=True):
        assert torch.equal(one.scores, other.scores)
        assert torch.equal(one.masks, other.masks)


def test_images_are_taken_one_after_the_other():
    found = found_objects(blobs(images=2), [(96, 96)] * 2, (96, 96))
    first = next(found)
    alone = next(found_objects(blobs(images=2).of(1), [(96, 96)], (96, 96)))
    assert torch.equal(next(found).scores, alone.scores)
    assert not torch.equal(first.scores, alone.scores)


def test_what_is_no_number_is_no_object():
    queries = Queries(torch.full((1, 3, 3), float("nan")), torch.full((1, 3, 8, 8), float("nan")))
    found = next(found_objects(queries, [(32, 32)], (32, 32)))
    assert len(place_found(found, Frame(32, 32), limit=10)) == 0


def test_a_mask_without_pixels_is_no_object():
    queries = Queries(torch.tensor([[[9.0, -9.0]]]), torch.full((1, 1, 8, 8), -3.0))
    found = next(found_objects(queries, [(32, 32)], (32, 32)))
    assert found.scores.item() == 0
    assert len(place_found(found, Frame(32, 32), limit=10)) == 0
