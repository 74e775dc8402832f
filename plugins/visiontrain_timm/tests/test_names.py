"""The manifest's patterns against timm's own list."""

from fnmatch import fnmatchcase

import pytest
import timm

from visiontrain_timm.names import MODEL_PATTERNS
from visiontrain_timm.trainer import TimmTrainer


def answers(name):
    return any(fnmatchcase(name, pattern) for pattern in MODEL_PATTERNS)


def test_every_model_matches():
    assert [name for name in [*timm.list_models(), *timm.list_pretrained()] if not answers(name)] == []


def test_every_pattern_is_of_use():
    elsewhere = {"hf-hub:*", "local-dir:*"}
    names = timm.list_models()
    assert [p for p in MODEL_PATTERNS if p not in elsewhere and not any(fnmatchcase(n, p) for n in names)] == []


@pytest.mark.parametrize(
    "name",
    [
        "yolo26n", "yolo11n.pt", "yolov8n-seg", "rtdetr-l", "sam2.1_b", "sam2_b.pt", "fastsam-s", "clip", "mobilesam",
        "google/vit-base-patch16-224", "facebook/dinov2-base", "openai/clip-vit-base-patch32", "microsoft/resnet-50",
        "PekingU/rtdetr_r18vd", "ustc-community/dfine-small", "HuggingFaceTB/SmolVLM-256M-Instruct",
        "qwen3-vl", "gemma4", "deeplabv3_resnet50", "maskrcnn_resnet50_fpn", "detr_resnet50", "fasterrcnn_resnet50_fpn",
        "segformer", "levitate", "vit-base", "testing", "tiny", "batch", "my_resnet50",
    ],
)  # fmt: skip
def test_other_names_do_not_match(name):
    assert not answers(name)


def test_catalogue():
    catalogue = {model.name: model for model in TimmTrainer().models()}
    assert list(catalogue) == timm.list_models()
    assert catalogue["resnet18"].tasks == ("classify",)
    assert catalogue["resnet18"].pretrained[0] == "a1_in1k"
    assert set(catalogue["resnet18"].pretrained) == {
        name.partition(".")[2] for name in timm.list_pretrained("resnet18")
    }
    assert all(tag for model in catalogue.values() for tag in model.pretrained)


def test_description():
    found = TimmTrainer().describe()
    assert next(iter(found.versions)) == "timm"
    assert found.versions["timm"] == timm.__version__
    assert found.devices[-1].name == "cpu"
    assert found.cpu is not None
