"""Squares on grey with their outlines, a Mask2Former with Swin as small as they get, and what trains it."""

from __future__ import annotations

import json
import random

import pytest
from PIL import Image, ImageDraw
from transformers import AutoConfig

from visiontrain.datasets.objects import COLUMNS, Object, row_of
from visiontrain_hf.mask2former import mask2former_class

LABELS = ("green", "red")
COLOURS = ((40, 200, 60), (220, 40, 40))
SIDE = 64

#: As the published ones are laid out; the preset has a ResNet.
NETWORK = {
    "backbone_config": {
        "model_type": "swin", "embed_dim": 32, "depths": [1, 1, 2, 1], "num_heads": [1, 2, 4, 8], "patch_size": 4,
        "window_size": 2, "drop_path_rate": 0.0, "out_features": ["stage1", "stage2", "stage3", "stage4"],
    },
    "feature_size": 64, "mask_feature_size": 64, "hidden_dim": 64, "num_queries": 20, "encoder_layers": 1,
    "decoder_layers": 4, "num_attention_heads": 4, "encoder_feedforward_dim": 128, "dim_feedforward": 256,
    "train_num_points": 1024,
}  # fmt: skip


def draw(image, rng):
    """A square, and the object that it is."""
    x, y, side, label = rng.randrange(40), rng.randrange(40), rng.randrange(14, 24), rng.randrange(2)
    ImageDraw.Draw(image).rectangle((x, y, x + side, y + side), fill=COLOURS[label])
    corners = (x, y, x + side + 1, y, x + side + 1, y + side + 1, x, y + side + 1)
    return Object(label, (x, y, x + side + 1, y + side + 1), polygons=(tuple(map(float, corners)),))


@pytest.fixture(scope="session")
def outlines(tmp_path_factory, index_of):
    """22 training images: two batches of 8 and one of 6; 10 for validation: two batches. Every fifth has no square."""
    folder, splits = tmp_path_factory.mktemp("outlines"), {"train": 22, "val": 10}
    with index_of(folder, task="segment", classes=LABELS, splits=splits, has_objects=True) as database:
        for split, count in splits.items():
            rng = random.Random(split)
            for position in range(count):
                image = Image.new("RGB", (SIDE, SIDE + position % 3), (rng.randrange(60, 160),) * 3)
                name = f"{split}{position}.png"
                row = (split, position, json.dumps(name), *image.size, None, b"")
                database.execute("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?)", row)
                for _ in range(0 if position % 5 == 4 else 1 + position % 3):
                    found = draw(image, rng)
                    database.execute(
                        f"INSERT INTO objects (split, position, label, {COLUMNS}) "
                        f"VALUES ({', '.join('?' * (3 + len(COLUMNS.split(','))))})",
                        (split, position, found.label, *row_of(found)),
                    )
                image.save(folder / name)
    return folder / "segment.sqlite"


@pytest.fixture
def harness(make_harness, outlines):
    return make_harness(outlines, task="segment", model="mask2former-tiny", image_size=SIDE)


@pytest.fixture
def describe(tmp_path, save_untrained):
    """A model's folder."""

    def write(*, labels=LABELS, **changes):
        config = AutoConfig.for_model("mask2former", **{**NETWORK, **changes})
        return save_untrained(mask2former_class(config), config, tmp_path / "mask2former", labels=labels)

    return write
