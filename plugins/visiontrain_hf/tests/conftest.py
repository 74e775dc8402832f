"""Small generated data and a trainer without a host: these tests run inside the environment."""

from __future__ import annotations

import importlib.util
import json
import random
import sqlite3
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw

import visiontrain.torchkit.loop
from visiontrain.datasets.index import FORMAT_VERSION, SCHEMA
from visiontrain.datasets.objects import Object, row_of
from visiontrain.testing.worker.inprocess import InProcess
from visiontrain_hf.trainer import HfTrainer

COLOURS = {"blue": (40, 40, 230), "green": (30, 200, 40), "red": (230, 30, 30)}

#: As small as they get.
NETWORKS = {
    "vit": {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32},
    "deit": {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32},
    "beit": {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32},
    "dinov2": {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "mlp_ratio": 2},
    "swin": {"embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4, "patch_size": 4},
    "convnext": {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1], "patch_size": 2},
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


def make_objects(folder, *, train, val, side=64, classes=tuple(COLOURS)):
    """Up to three boxes of one colour each on grey; every fourth image is empty, and they are of several shapes."""
    folder.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(folder / "objects.sqlite")
    database.executescript(SCHEMA)
    database.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
    splits = {"train": train, "val": val}
    for split, count in splits.items():
        rng = random.Random(split)
        for position in range(count):
            width, height = side + 8 * (position % 3), side
            image = Image.new("RGB", (width, height), (rng.randrange(60, 160),) * 3)
            drawn = []
            for _ in range(position % 4):
                across, down = rng.randrange(14, 30), rng.randrange(14, 30)
                x, y, label = rng.randrange(width - across), rng.randrange(height - down), rng.randrange(len(classes))
                ImageDraw.Draw(image).rectangle(
                    (x, y, x + across - 1, y + down - 1), fill=list(COLOURS.values())[label]
                )
                drawn.append(Object(label, (float(x), float(y), float(x + across), float(y + down))))
            image.save(folder / f"{split}{position}.png")
            row = (split, position, json.dumps(f"{split}{position}.png"), width, height, None, b"")
            database.execute("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            database.executemany(
                "INSERT INTO objects VALUES (NULL,?,?,?,?,?,?,?,?,?,?,?,?)",
                [(split, position, each.label, *row_of(each)) for each in drawn],
            )
    meta = {"fingerprint": f"{train}-{val}-{classes}", "task": "detect", "format": "test", "has_objects": "true"}
    meta |= {"root": json.dumps(str(folder)), "classes": json.dumps(classes), "splits": json.dumps(splits)}
    database.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
    database.commit()
    database.close()
    return folder / "objects.sqlite"


def make_index(folder, *, train, val, side=36, classes=tuple(COLOURS)):
    """Discs of one colour on grey each."""
    folder.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(folder / "index.sqlite")
    database.executescript(SCHEMA)
    database.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
    splits = {"train": train, "val": val}
    for split, count in splits.items():
        rng = random.Random(split)
        for position in range(count):
            image = Image.new("RGB", (side, side + position % 3), (rng.randrange(60, 160),) * 3)
            x, y = rng.randrange(side // 2), rng.randrange(side // 2)
            label = position % len(classes)
            ImageDraw.Draw(image).ellipse((x, y, x + 15, y + 15), fill=list(COLOURS.values())[label % 3])
            image.save(folder / f"{split}{position}.png")
            row = (split, position, json.dumps(f"{split}{position}.png"), *image.size, label, b"")
            database.execute("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    meta = {"fingerprint": f"{train}-{val}-{classes}", "task": "classify", "format": "test"}
    meta |= {"root": json.dumps(str(folder)), "classes": json.dumps(classes), "splits": json.dumps(splits)}
    database.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
    database.commit()
    database.close()
    return folder / "index.sqlite"


@pytest.fixture(name="make_index")
def make_index_fixture():
    """For tests that want data of their own: test modules can't import this one."""
    return make_index


@pytest.fixture(scope="session")
def index(tmp_path_factory):
    """30 training images: three batches of 8 and one of 6; 12 for validation: two batches."""
    return make_index(tmp_path_factory.mktemp("discs"), train=30, val=12)


@pytest.fixture(scope="session")
def objects(tmp_path_factory):
    """22 training images: two batches of 8 and one of 6; 9 for validation: two batches."""
    return make_objects(tmp_path_factory.mktemp("boxes"), train=22, val=9)


@pytest.fixture
def describe(tmp_path):
    """Writes a folder as transformers keeps a model in: its configuration, and weights that were never trained."""

    def write(kind, *, labels=("a", "b"), seed=0, name=None, **changes):
        from transformers import AutoConfig

        from visiontrain_hf.classifier import classifier_class
        from visiontrain_hf.detector import DETECTORS as KIND

        if kind in DETECTORS:
            config, find = AutoConfig.for_model(kind, **{**DETECTORS[kind], **changes}), KIND.find
        else:
            config = AutoConfig.for_model(kind, **{"image_size": 32, "patch_size": 8, **NETWORKS[kind], **changes})
            find = classifier_class
        config.id2label, config.label2id = dict(enumerate(labels)), {text: place for place, text in enumerate(labels)}
        config.num_labels = len(labels)
        torch.manual_seed(seed)
        network = find(config)(config)
        folder = tmp_path / (name or kind)
        network.save_pretrained(folder)
        return folder, network

    return write


@pytest.fixture
def harness(index, tmp_path, monkeypatch):
    monkeypatch.setattr(visiontrain.torchkit.loop, "LOOK_SECONDS", 0)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    (tmp_path / "runs").mkdir()
    yield InProcess(HfTrainer, index, tmp_path / "runs", model="vit-tiny")
    torch.set_num_threads(before)


@pytest.fixture
def detecting(harness, objects, tmp_path):
    """Trains detectors."""
    (tmp_path / "detectors").mkdir()
    return InProcess(
        HfTrainer,
        objects,
        tmp_path / "detectors",
        model="rtdetr-tiny",
        task="detect",
        image_size=64,
        learning_rate=1e-3,
    )


def beside(name):
    """A module beside this one: test modules can't import it."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def semantic_data():
    """The module `semantic_data`."""
    return beside("semantic_data")


@pytest.fixture(scope="session")
def masks(tmp_path_factory, semantic_data):
    """22 training images: two batches of 8 and one of 6; 10 for validation: two batches."""
    return semantic_data.make_masks(tmp_path_factory.mktemp("masks"), train=22, val=10)


@pytest.fixture(scope="session")
def outlines(tmp_path_factory):
    """22 training images: two batches of 8 and one of 6; 10 for validation: two batches."""
    return beside("outline_data").make_outlines(tmp_path_factory.mktemp("outlines"), train=22, val=10)
