"""Small models, and a trainer without a host: these tests run inside the environment."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

import visiontrain.torchkit.loop
from visiontrain.protocol.messages import Weights
from visiontrain.testing.worker.inprocess import InProcess, Interrupt
from visiontrain_hf.trainer import HfTrainer

#: As small as they get.
NETWORKS = {
    "vit": {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32},
    "deit": {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32},
    "beit": {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32},
    "dinov2": {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "mlp_ratio": 2},
    "swin": {"embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4, "patch_size": 4},
    "convnext": {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1], "patch_size": 2},
    "swiftformer": {"depths": [1, 1, 1, 1], "embed_dims": [8, 8, 16, 16]},
    "pvt": {
        "depths": [1, 2, 1, 1],
        "hidden_sizes": [8, 8, 16, 16],
        "num_attention_heads": [1, 1, 2, 2],
        "image_size": 64,
        "patch_sizes": [4, 2, 2, 2],
    },
    "poolformer": {"depths": [1, 1, 2, 1], "hidden_sizes": [8, 8, 16, 16], "patch_sizes": [7, 3, 3, 3]},
    "resnet": {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"},
}


_CONVOLUTIONS = {
    "model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1],
    "layer_type": "basic", "out_features": ["stage4"],
}  # fmt: skip

_PYRAMID = {**_CONVOLUTIONS, "model_type": "rt_detr_resnet", "out_features": ["stage2", "stage3", "stage4"]}

_REAL_TIME = {
    "backbone_config": _PYRAMID, "freeze_backbone_batch_norms": False, "encoder_in_channels": [8, 16, 16],
    "encoder_hidden_dim": 16, "encoder_ffn_dim": 16, "encoder_attention_heads": 2, "hidden_expansion": 0.5,
    "d_model": 16, "decoder_in_channels": [16, 16, 16], "decoder_ffn_dim": 16, "decoder_layers": 2,
    "decoder_attention_heads": 2, "num_queries": 12, "num_denoising": 8,
}  # fmt: skip

_DETR = {
    "backbone_config": _CONVOLUTIONS, "d_model": 16, "encoder_layers": 1, "decoder_layers": 2, "encoder_ffn_dim": 16,
    "decoder_ffn_dim": 16, "encoder_attention_heads": 2, "decoder_attention_heads": 2, "num_queries": 12,
    "auxiliary_loss": True, "dropout": 0.0,
}  # fmt: skip

#: Likewise.
DETECTORS = {
    "rt_detr": _REAL_TIME,
    "rt_detr_v2": _REAL_TIME,
    "d_fine": _REAL_TIME,
    "detr": _DETR,
    "conditional_detr": _DETR,
    "deformable_detr": {
        **_DETR,
        "backbone_config": {**_CONVOLUTIONS, "out_features": ["stage2", "stage3", "stage4"]},
        "num_feature_levels": 3,
        "d_model": 32,
    },
    "dab-detr": _DETR,
    "table-transformer": _DETR,
    "yolos": {**NETWORKS["vit"], "image_size": [64, 64], "patch_size": 16, "num_detection_tokens": 12},
}


class Harness(InProcess):
    """Trains in this process, looks into checkpoints, and compares runs that were stopped with those that were not."""

    def state(self, name="run", file="last.pt"):
        """The weights of a run's checkpoint."""
        return torch.load(self.path(name, file), weights_only=True)["model"]

    def given(self, folder, **changes):
        """A request that begins with a folder's weights."""
        return {"model": str(folder), "weights": Weights("pretrained"), **changes}

    def whole(self, name):
        """All tensors that a run goes on with: weights, their average, and what the optimizer keeps."""
        last = torch.load(self.path(name, "last.pt"), weights_only=True)
        averages = last["updates"]["average"] or {}
        values = {**last["model"], **{f"average {key}": value for key, value in averages.items()}}
        for number, kept in last["optimizer"]["state"].items():
            values |= {f"optimizer {number} {key}": value for key, value in kept.items()}
        return values

    def assert_same(self, one, other):
        """Two runs are the same to the last bit."""
        left, right = self.whole(one), self.whole(other)
        assert left.keys() == right.keys()
        assert not [name for name in left if not torch.equal(left[name], right[name])]

    def assert_stops_leave_no_trace(self, moments: Sequence[Interrupt], **given: Any):
        """A run that is stopped at each of these moments, and goes on, is the same as one that is not."""
        _, straight = self.train("straight", **given)
        rows = []
        for attempt, moment in enumerate([*moments, None]):
            result, told = self.train("stopped", resume=attempt > 0, interrupt=moment, **given)
            rows += told.rows
            assert all(event["exact"] for event in told.of("resumed"))
        assert result.status == "completed"
        assert rows == straight.rows
        self.assert_same("straight", "stopped")


def beside(name):
    """A module beside this one: test modules can't import it."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATED = beside("generated")


@pytest.fixture(scope="session")
def make_index():
    """Makes data with a label each."""
    return GENERATED.make_index


@pytest.fixture(scope="session")
def make_masks():
    """Makes data with masks of classes."""
    return GENERATED.make_masks


@pytest.fixture(scope="session")
def index(tmp_path_factory):
    """30 training images: three batches of 8 and one of 6; 12 for validation: two batches."""
    return GENERATED.make_index(tmp_path_factory.mktemp("discs"), train=30, val=12)


@pytest.fixture(scope="session")
def objects(tmp_path_factory):
    """22 training images: two batches of 8 and one of 6; 9 for validation: two batches."""
    return GENERATED.make_objects(tmp_path_factory.mktemp("boxes"), train=22, val=9)


@pytest.fixture(scope="session")
def outlines(tmp_path_factory):
    """22 training images: two batches of 8 and one of 6; 10 for validation: two batches."""
    return GENERATED.make_outlines(tmp_path_factory.mktemp("outlines"), train=22, val=10)


@pytest.fixture(scope="session")
def masks(tmp_path_factory):
    """22 training images: two batches of 8 and one of 6; 10 for validation: two batches."""
    return GENERATED.make_masks(tmp_path_factory.mktemp("masks"), train=22, val=10)


@pytest.fixture(scope="session")
def save_untrained():
    """Writes a folder as transformers keeps a model in: its configuration, and weights that were never trained."""

    def write(kind, config, folder, *, labels, seed=0):
        config.id2label, config.label2id = dict(enumerate(labels)), {text: place for place, text in enumerate(labels)}
        config.num_labels = len(labels)
        torch.manual_seed(seed)
        network = kind(config)
        network.save_pretrained(folder)
        return folder, network

    return write


@pytest.fixture
def describe(tmp_path, save_untrained):
    """A model's folder, by its family."""

    def write(kind, *, labels=("a", "b"), seed=0, name=None, **changes):
        from transformers import AutoConfig

        from visiontrain_hf.classifier import classifier_class
        from visiontrain_hf.detector import DETECTORS as KIND

        if kind in DETECTORS:
            config, find = AutoConfig.for_model(kind, **{**DETECTORS[kind], **changes}), KIND.find
        else:
            config = AutoConfig.for_model(kind, **{"image_size": 32, "patch_size": 8, **NETWORKS[kind], **changes})
            find = classifier_class
        return save_untrained(find(config), config, tmp_path / (name or kind), labels=labels, seed=seed)

    return write


@pytest.fixture
def make_harness(tmp_path, monkeypatch):
    """Makes harnesses, each with a folder of runs of its own, on one thread."""
    monkeypatch.setattr(visiontrain.torchkit.loop, "LOOK_SECONDS", 0)
    before = torch.get_num_threads()
    torch.set_num_threads(1)

    def make(index, **given):
        folder = tmp_path / f"runs of {given['model']}"
        folder.mkdir()
        return Harness(HfTrainer, index, folder, **given)

    yield make
    torch.set_num_threads(before)


@pytest.fixture
def harness(make_harness, index):
    return make_harness(index, model="vit-tiny")


@pytest.fixture
def detecting(make_harness, objects):
    """Trains detectors."""
    return make_harness(objects, model="rtdetr-tiny", task="detect", image_size=64, learning_rate=1e-3)
