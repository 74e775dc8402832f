import random

import pytest
import torch
from torch.nn import functional

from visiontrain.torchkit.mixing import Mixer, soft_cross_entropy, soft_targets


def batch(images, classes=4):
    labels = torch.arange(images) % classes
    pixels = torch.arange(1, images + 1).float().view(-1, 1, 1, 1).expand(-1, 3, 16, 16).contiguous()
    return pixels, soft_targets(labels, classes, 0.0)


@pytest.mark.parametrize("kinds", [{"mixup": 1.0, "cutmix": 0}, {"mixup": 0, "cutmix": 1.0}, {"mixup": 1, "cutmix": 1}])
@pytest.mark.parametrize("images", [1, 2, 5, 8])
def test_labels_say_what_share_of_each_image_there_is(kinds, images):
    random.seed(images)
    pixels, targets = batch(images)
    mixed, shares = Mixer(**kinds)(pixels, targets)
    assert mixed.shape == pixels.shape
    torch.testing.assert_close(shares.sum(1), torch.ones(images))
    own = targets.argmax(1)
    neighbour = own.roll(1)
    for number in range(images):
        mine = shares[number, own[number]].item()
        wanted = mine * (number + 1) + (1 - mine) * pixels.roll(1, 0)[number, 0, 0, 0].item()
        if own[number] != neighbour[number]:
            assert mixed[number].mean().item() == pytest.approx(wanted, rel=1e-4)
    assert torch.equal(pixels, batch(images)[0])


def test_mixup_blends_and_cutmix_cuts():
    pixels, targets = batch(2)
    random.seed(0)
    blended, _ = Mixer(mixup=1.0, cutmix=0)(pixels, targets)
    assert len(blended[0].unique()) == 1
    random.seed(0)
    cut, _ = Mixer(mixup=0, cutmix=1.0)(pixels, targets)
    assert cut[0].unique().tolist() == [1, 2]


def test_the_share_of_batches_that_are_mixed():
    pixels, targets = batch(2)
    random.seed(0)
    mixer = Mixer(mixup=1.0, cutmix=1.0, probability=0.25)
    mixed = sum(mixer(pixels, targets)[0] is not pixels for _ in range(400))
    assert 70 < mixed < 130
    never = Mixer(mixup=1.0, cutmix=1.0, probability=0.0)
    assert never(pixels, targets)[0] is pixels


def test_the_same_random_state_mixes_the_same():
    pixels, targets = batch(5)
    state = random.getstate()
    first = Mixer(mixup=0.4, cutmix=1.0)(pixels, targets)
    random.setstate(state)
    second = Mixer(mixup=0.4, cutmix=1.0)(pixels, targets)
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weight", [None, torch.tensor([1.0, 2.0, 0.5])])
def test_soft_labels_of_one_class_give_the_usual_loss(smoothing, weight):
    logits, labels = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 1, 1, 0])
    found = soft_cross_entropy(logits, soft_targets(labels, 3, smoothing), weight)
    if weight is None or smoothing == 0:
        torch.testing.assert_close(found, functional.cross_entropy(logits, labels, weight, label_smoothing=smoothing))
    else:
        targets = soft_targets(labels, 3, smoothing) * weight
        wanted = -(targets * logits.log_softmax(1)).sum() / targets.sum()
        torch.testing.assert_close(found, wanted)
