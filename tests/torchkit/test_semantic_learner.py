import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from visiontrain.torchkit.object_batches import SourceImage
from visiontrain.torchkit.semantic.batches import SemanticBatch
from visiontrain.torchkit.semantic.learner import SemanticLearner
from visiontrain.torchkit.transforms import ImageConfig, Normalize

CPU = torch.device("cpu")
CLASSES = ("a", "b", "c")
CONFIG = ImageConfig((8, 8), (0.5,) * 3, (0.5,) * 3, crop_pct=1.0, crop_mode="squash")


def learner(model=None, **given):
    torch.manual_seed(0)
    network = nn.Conv2d(3, 3, 4, stride=4) if model is None else model
    return SemanticLearner(network, CLASSES, Normalize(CONFIG, CPU), CPU, **given)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(3, (4, 8, 8), generator=generator).to(torch.uint8)
    labels[0, :5], labels[1, :2] = 255, 255
    pixels = torch.randint(256, (4, 8, 8, 3), generator=generator, dtype=torch.uint8)
    sources = tuple(SourceImage(f"{number}.png", 8, 8) for number in range(4))
    return SemanticBatch(pixels, torch.tensor([[8, 8]] * 4), sources, labels, 255, labels.flatten())


def usual(one, batch, weight=None):
    """What SegFormer of transformers does."""
    maps = one.model(Normalize(CONFIG, CPU)(batch.pixels))
    pixels = functional.interpolate(maps, size=(8, 8), mode="bilinear", align_corners=False)
    weights = None if weight is None else torch.tensor(weight)
    return functional.cross_entropy(pixels, batch.labels.long(), weights, ignore_index=255)


@pytest.mark.parametrize("weights", [None, (1.0, 5.0, 0.5)])
def test_the_loss_is_the_usual_one(batch, weights):
    one = learner(weights=weights)
    (loss,) = one.losses(batch, [slice(0, 4)])
    assert loss.item() == pytest.approx(usual(one, batch, weights).item(), rel=1e-5)


def test_parts_add_up_to_the_loss_and_its_gradient(batch):
    one = learner(weights=(1.0, 5.0, 0.5))
    (loss,) = one.losses(batch, [slice(0, 4)])
    loss.backward()
    wanted = one.model.weight.grad.clone()
    one.model.zero_grad()
    parts = []
    for part in one.losses(batch, [slice(0, 1), slice(1, 4)]):
        part.backward()
        parts.append(part.item())
    assert sum(parts) == pytest.approx(loss.item(), rel=1e-5)
    assert torch.allclose(one.model.weight.grad, wanted, atol=1e-6)


def test_where_all_pixels_are_ignored_there_is_nothing_to_learn(batch):
    nothing = batch.with_labels(lambda labels: torch.full_like(labels, 255), 255)
    one = learner()
    (loss,) = one.losses(nothing, [slice(0, 4)])
    loss.backward()
    assert loss.item() == 0
    assert one.model.weight.grad.abs().max() == 0
    evaluation = one.evaluation()
    with torch.no_grad():
        evaluation.update(nothing)
    assert evaluation.compute() == {"val_loss": 0, "miou": 0, "pixel_accuracy": 0, "mean_accuracy": 0}


def test_what_is_no_number_is_shown(batch):
    one = learner()
    nn.init.constant_(one.model.weight, math.nan)
    (loss,) = one.losses(batch, [slice(0, 4)])
    assert loss.isnan()
    evaluation = one.evaluation()
    with torch.no_grad():
        evaluation.update(batch)
    assert math.isnan(evaluation.compute()["val_loss"])


class WithAnother(nn.Module):
    """As UPerNet is: a second head that only helps to learn."""

    def __init__(self, own, other):
        super().__init__()
        self.own, self.other = own, other

    def forward(self, images):
        return self.own(images)

    def training_maps(self, images):
        return [(self.own(images), 1.0), (self.other(images), 0.4)]


def test_other_heads_help_to_learn_and_don_t_say(batch):
    one, other = learner(), learner(nn.Conv2d(3, 3, 2, stride=2))
    both = learner(WithAnother(one.model, other.model))
    (loss,), (first,), (second,) = (each.losses(batch, [slice(0, 4)]) for each in (both, one, other))
    assert loss.item() == pytest.approx(first.item() + 0.4 * second.item(), rel=1e-5)
    assert torch.equal(both.score(batch).maps, one.score(batch).maps)


def test_validation_counts_pixels_whatever_the_batches(batch):
    one = learner(weights=(1.0, 5.0, 0.5))
    found = []
    for parts in ([slice(0, 4)], [slice(0, 1), slice(1, 4)]):
        evaluation = one.evaluation()
        with torch.no_grad():
            for part in parts:
                evaluation.update(batch.part(part))
        found.append(evaluation.compute())
    assert found[0] == pytest.approx(found[1], rel=1e-6)
    with torch.no_grad():
        assert found[0]["val_loss"] == pytest.approx(usual(one, batch).item(), rel=1e-5)
