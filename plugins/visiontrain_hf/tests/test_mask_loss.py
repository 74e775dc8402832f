"""Mask2Former's loss: transformers' own numbers, the same where a batch is split, and no effect on random choices."""

import pytest
import torch
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, SwinConfig

from visiontrain.torchkit.randomness import capture_rng
from visiontrain_hf.mask2former import HfMask2Former
from visiontrain_hf.mask_loss import MaskLoss, MaskTargets, total

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model():
    backbone = SwinConfig(
        image_size=32, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=2, drop_path_rate=0.0,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = Mask2FormerConfig(
        backbone_config=backbone, feature_size=64, mask_feature_size=32, hidden_dim=32, encoder_layers=1,
        decoder_layers=3, num_attention_heads=2, dim_feedforward=32, encoder_feedforward_dim=32, num_queries=5,
        train_num_points=64, num_labels=3,
    )  # fmt: skip
    torch.manual_seed(0)
    return HfMask2Former(Mask2FormerForUniversalSegmentation(config)).eval()


@pytest.fixture
def images():
    return torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def targets(*counts):
    """So many of each image."""
    generator = torch.Generator().manual_seed(sum(counts))
    masks = [torch.zeros(count, 32, 32, dtype=torch.bool) for count in counts]
    for each in masks:
        for number in range(len(each)):
            x, y = torch.randint(0, 20, (2,), generator=generator).tolist()
            each[number, y : y + 12, x : x + 12] = True
    labels = [torch.randint(0, 3, (count,), generator=generator) for count in counts]
    return MaskTargets(tuple(labels), tuple(masks))


@pytest.fixture
def same_points(monkeypatch):
    """Masks are compared at the same points, whatever they are."""
    table = torch.rand(256, 2, generator=torch.Generator().manual_seed(5))
    monkeypatch.setattr(torch, "rand", lambda masks, points, two, device: table[:points].repeat(masks, 1, 1))


def test_the_parts_are_transformers_loss(model, images):
    wanted = targets(2, 0, 3, 1)
    torch.manual_seed(7)
    loss = model.network(
        pixel_values=images, mask_labels=[masks.float() for masks in wanted.masks], class_labels=list(wanted.labels)
    ).loss
    torch.manual_seed(7)
    parts = MaskLoss(model.network)(model(images), wanted)
    assert list(parts) == ["class_loss", "mask_loss", "dice_loss"]
    assert total(parts).item() == pytest.approx(loss.item(), rel=1e-6)


@pytest.mark.usefixtures("same_points")
def test_without_auxiliary_losses_the_last_layer_counts_alone(model, images, monkeypatch):
    wanted, loss = targets(2, 0, 3, 1), MaskLoss(model.network)
    layers = model(images)
    each = [loss([layer], wanted)["mask_loss"].item() for layer in layers]
    assert loss(layers, wanted)["mask_loss"].item() == pytest.approx(sum(each), rel=1e-5)
    monkeypatch.setattr(model.network.config, "use_auxiliary_loss", False)
    assert len(each) == 3
    assert loss(model(images), wanted)["mask_loss"].item() == pytest.approx(each[-1], rel=1e-5)


@pytest.mark.usefixtures("same_points")
@pytest.mark.parametrize("counts", [(2, 0, 3, 1), (9, 1, 1, 1), (0, 0, 0, 0), (0, 0, 4, 0)])
@pytest.mark.parametrize("parts", [(2, 4), (1, 2, 3, 4), (3, 4)])
def test_parts_of_a_batch_have_its_loss_and_gradient(model, images, counts, parts):
    loss, wanted = MaskLoss(model.network), targets(*counts)
    told = loss(model(images), wanted)
    total(told).backward()
    whole = gradients(model)
    summed = dict.fromkeys(told, 0.0)
    for start, stop in zip((0, *parts), parts, strict=False):
        part = slice(start, stop)
        mine = loss.of_part(model(images[part]), wanted.part(part), counts=counts, part=part)
        total(mine).backward()
        summed = {name: summed[name] + mine[name].item() for name in summed}
    assert summed == pytest.approx({name: value.item() for name, value in told.items()}, rel=1e-4)
    largest = max(float(gradient.abs().max()) for gradient in whole.values())
    for name, gradient in gradients(model).items():
        assert torch.allclose(gradient, whole[name], rtol=1e-2, atol=1e-3 * largest), name


def gradients(model):
    """Taken off."""
    found = {name: each.grad.clone() for name, each in model.named_parameters() if each.grad is not None}
    model.zero_grad()
    return found


def test_images_without_objects_teach_that_there_is_nothing(model, images):
    parts = MaskLoss(model.network)(model(images), targets(0, 0, 0, 0))
    assert parts["class_loss"].item() > 0
    assert parts["mask_loss"].item() == 0
    assert parts["dice_loss"].item() == 0
    total(parts).backward()
    assert model.network.class_predictor.weight.grad.abs().sum() > 0
    model.zero_grad()


def test_a_loss_of_an_evaluation_is_the_same_each_time_and_in_each_batch(model, images):
    loss, wanted = MaskLoss(model.network), targets(2, 0, 3, 1)
    with torch.no_grad():
        layers = model(images)
        together = loss.by_image(layers, wanted)
        torch.rand(5)
        assert loss.by_image(layers, wanted) == together
        alone = [loss.by_image([each.of(number) for each in layers], wanted.of(number)) for number in range(4)]
    for name, value in together.items():
        assert value.item() == pytest.approx(sum(each[name].item() for each in alone) / 4, rel=1e-6)


def test_an_evaluation_draws_nothing_from_the_global_generators(model, images):
    before = capture_rng(CPU)
    with torch.no_grad():
        MaskLoss(model.network).by_image(model(images), targets(2, 0, 3, 1))
    after = capture_rng(CPU)
    assert torch.equal(before.pop("torch"), after.pop("torch"))
    assert before == after


@pytest.mark.parametrize("what", ["class_predictor", "model.transformer_module.decoder.mask_predictor"])
def test_what_is_no_number_stays_so(model, images, what):
    weight = next(model.network.get_submodule(what).parameters())
    kept = weight.detach().clone()
    with torch.no_grad():
        weight.view(-1)[0] = float("nan")
        parts = MaskLoss(model.network)(model(images), targets(2, 0, 3, 1))
        weight.copy_(kept)
    assert total(parts).isnan()


def test_the_loss_is_computed_in_float32_under_autocast(model, images):
    loss, wanted = MaskLoss(model.network), targets(2, 0, 3, 1)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        layers = model(images)
        assert layers[-1].classes.dtype == torch.bfloat16
        torch.manual_seed(7)
        under = loss(layers, wanted)
    torch.manual_seed(7)
    with torch.no_grad():
        assert loss([each.float() for each in layers], wanted) == under
    assert total(under).dtype == torch.float32
