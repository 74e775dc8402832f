"""What the model sees is what timm's own evaluation would show it."""

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_model_data_config

from visiontrain.protocol.messages import Weights
from visiontrain.torchkit.transforms import EvalTransform, ImageConfig, Normalize
from visiontrain_timm.build import build_model
from visiontrain_timm.options import TimmOptions

CONFIGS = [
    ("resnet18", None, {}),
    ("resnet18", 128, {}),
    ("vit_tiny_patch16_224", 96, {}),
    ("convnext_atto", None, {}),
    ("resnet18", None, {"crop_mode": "squash"}),
    ("resnet18", None, {"crop_mode": "border", "crop_pct": 1.0}),
    ("resnet18", None, {"interpolation": "bilinear", "crop_pct": 0.8}),
]


@pytest.mark.parametrize(("name", "size", "changes"), CONFIGS)
@pytest.mark.parametrize("shape", [(301, 200), (97, 143), (64, 64)])
def test_evaluation_is_timms(name, size, changes, shape):
    built = build_model(
        name, classes=("a", "b"), image_size=size, weights=Weights("scratch"), options=TimmOptions(), log=print
    )
    config = ImageConfig(**{**vars(built.image), **changes})
    theirs = {**resolve_model_data_config(built.model), **changes, "input_size": (3, *config.size)}
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8))
    wanted = create_transform(**theirs, is_training=False)(image)
    pixels = torch.from_numpy(EvalTransform(config)(image).copy())[None]
    found = Normalize(config, torch.device("cpu"))(pixels)[0]
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)


def test_the_models_own_size_is_the_default():
    for name in ("resnet18", "inception_v3"):
        built = build_model(
            name, classes=("a", "b"), image_size=None, weights=Weights("scratch"), options=TimmOptions(), log=print
        )
        assert built.image.size == timm.get_pretrained_cfg(name).input_size[1:]
