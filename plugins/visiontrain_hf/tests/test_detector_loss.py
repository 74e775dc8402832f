"""What a detector learns from and says is transformers' own."""

from types import SimpleNamespace

import pytest
import torch
from transformers import AutoConfig
from transformers.models.detr.image_processing_detr import DetrImageProcessor
from transformers.models.rt_detr.image_processing_rt_detr import RTDetrImageProcessor

from visiontrain.torchkit.data import EpochSampler
from visiontrain.torchkit.object_data import IndexedObjects
from visiontrain.torchkit.object_transforms import WholeImages
from visiontrain.torchkit.object_views import Canvas
from visiontrain.torchkit.transforms import Normalize
from visiontrain_hf.detection import DetectorLearner
from visiontrain_hf.detector import DETECTORS, HfDetector
from visiontrain_hf.detector_images import default_detector_images
from visiontrain_hf.exported_detector import rows_of

CPU, IMAGES = torch.device("cpu"), default_detector_images(64)


@pytest.fixture
def batch(objects):
    from visiontrain.datasets.index import DatasetIndex

    data = IndexedObjects(DatasetIndex(objects), "train", WholeImages(Canvas(IMAGES)), 0, masks=False, train=True)
    keys = next(iter(EpochSampler(22, 8, 0, train=False)))
    return data[keys]


@pytest.fixture
def learner(describe):
    def make(kind):
        _, network = describe(kind, labels=("blue", "green", "red"))
        return DetectorLearner(
            HfDetector(network, network.config), ("blue", "green", "red"), Normalize(IMAGES, CPU), CPU
        )

    return make


@pytest.mark.parametrize("kind", ["rt_detr", "rt_detr_v2", "d_fine", "detr", "deformable_detr"])
def test_the_loss_is_what_transformers_computes_of_the_same_boxes(learner, describe, batch, kind):
    made = learner(kind)
    made.model.eval()
    _, network = describe(kind, labels=("blue", "green", "red"))
    network.load_state_dict(made.model.network.state_dict())
    labels, start = [], 0
    for count in batch.objects.counts:
        rows = slice(start, start + count)
        labels.append({"class_labels": batch.objects.labels[rows], "boxes": batch.objects.boxes[rows]})
        start += count
    wanted = network.eval()(pixel_values=Normalize(IMAGES, CPU)(batch.pixels), labels=labels).loss
    loss, parts = made.loss(batch)
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)
    assert sum(parts.values()).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_parts_of_a_batch_have_the_gradient_of_the_whole(learner, batch):
    """Where no noise is drawn: RT-DETR's loss is a mean over objects."""
    made = learner("rt_detr")
    made.model.eval()
    gradients = []
    for parts in ([slice(0, 8)], [slice(0, 3), slice(3, 8)]):
        made.model.zero_grad()
        total = 0.0
        for loss in made.losses(batch, parts):
            loss.backward()
            total += loss.item()
        gradients.append(torch.cat([p.grad.flatten() for p in made.model.parameters() if p.grad is not None]))
        assert total == pytest.approx(sum(made.loss_parts().values()).item(), rel=1e-5)
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-5)


def test_under_bfloat16_the_loss_and_the_boxes_are_float32(learner, batch):
    made = learner("detr")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = made._compute(batch)
    assert (out.loss.dtype, out.pred_boxes.dtype) == (torch.float32, torch.float32)


@pytest.mark.parametrize(("processor", "scores"), [(RTDetrImageProcessor(), 5), (DetrImageProcessor(), 6)])
def test_what_is_said_is_what_transformers_says_of_it(processor, scores):
    torch.manual_seed(0)
    logits, boxes = torch.randn(2, 7, scores), torch.rand(2, 7, 4) / 2 + 0.1
    out = SimpleNamespace(logits=logits, pred_boxes=boxes)
    wanted = processor.post_process_object_detection(out, threshold=0.0, target_sizes=torch.tensor([[1, 1], [1, 1]]))
    for number, (sure, labels, found) in enumerate(zip(*rows_of(logits, boxes, classes=5), strict=True)):
        order = wanted[number]["scores"].argsort(descending=True)
        assert torch.allclose(sure, wanted[number]["scores"][order])
        assert torch.equal(labels, wanted[number]["labels"][order])
        corners = torch.cat([found[:, :2] - found[:, 2:] / 2, found[:, :2] + found[:, 2:] / 2], dim=1)
        assert torch.allclose(corners, wanted[number]["boxes"][order], atol=1e-6)


def test_a_loss_of_boxes_that_are_no_numbers_is_shown(learner, batch):
    made = learner("detr")
    with torch.no_grad():
        made.model.network.bbox_predictor.layers[-1].bias.fill_(float("nan"))
    loss, parts = made.loss(batch)
    assert loss.isnan()
    assert loss.requires_grad
    assert not parts


def test_batch_norm_begins_at_one(describe):
    _, network = describe("rt_detr")
    DETECTORS.begin(network)
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert norms
    assert all(bool((norm.weight == 1).all()) for norm in norms)


def test_a_size_that_only_validation_would_have_is_left_out():
    config = AutoConfig.for_model("rt_detr", anchor_image_size=[640, 640])
    config.eval_size = 640
    DETECTORS.prepare(config)
    assert (config.eval_size, config.anchor_image_size) == (None, None)
