"""Discs before grey, and for each pixel what it is of; and networks as small as they get."""

from __future__ import annotations

import json
import random
import sqlite3

from PIL import Image, ImageDraw

from visiontrain.datasets.index import FORMAT_VERSION, SCHEMA

CLASSES = ("background", "red", "green")
COLOURS = ((230, 30, 30), (30, 200, 40))

_CONVNEXT = {
    "model_type": "convnext", "hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1],
    "out_features": ["stage1", "stage2", "stage3", "stage4"],
}  # fmt: skip
_VIT = {
    "hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 32, "image_size": 32,
    "patch_size": 8,
}  # fmt: skip

#: Each family that transformers segments with.
NETWORKS = {
    "segformer": {
        "depths": [1, 1, 1, 1], "hidden_sizes": [8, 8, 16, 16], "num_attention_heads": [1, 1, 2, 2],
        "decoder_hidden_size": 16,
    },
    "upernet": {
        "backbone_config": _CONVNEXT, "hidden_size": 16, "auxiliary_in_channels": 16, "auxiliary_channels": 8,
    },
    "beit": {**_VIT, "out_indices": [1, 2, 3, 4], "use_relative_position_bias": True},
    "data2vec-vision": {**_VIT, "out_indices": [0, 1, 2, 3]},
    "dpt": {
        **_VIT, "backbone_out_indices": [0, 1, 2, 3], "neck_hidden_sizes": [8, 8, 16, 16], "fusion_hidden_size": 16,
        "is_hybrid": False,
    },
    "mobilevit": {
        "image_size": 64, "hidden_sizes": [16, 16, 24], "neck_hidden_sizes": [8, 8, 8, 16, 16, 16, 32],
        "num_attention_heads": 2, "aspp_out_channels": 16,
    },
    "mobilenet_v2": {"image_size": 64, "depth_multiplier": 0.35},
}  # fmt: skip


def make_masks(folder, *, train, val, side=48):
    """Images with a disc each, and their index for the task semantic."""
    folder.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(folder / "index.sqlite")
    database.executescript(SCHEMA)
    database.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
    splits = {"train": train, "val": val}
    pixels = {split: [0] * len(CLASSES) for split in splits}
    for split, count in splits.items():
        rng = random.Random(split)
        for position in range(count):
            size = (side, side + position % 3)
            image, mask = Image.new("RGB", size, (rng.randrange(60, 160),) * 3), Image.new("L", size)
            x, y, label = rng.randrange(side // 2), rng.randrange(side // 2), 1 + position % 2
            around = (x, y, x + side // 2, y + side // 2)
            ImageDraw.Draw(image).ellipse(around, fill=COLOURS[label - 1])
            ImageDraw.Draw(mask).ellipse(around, fill=label, outline=255)
            image.save(folder / f"{split}{position}.png")
            mask.save(folder / f"{split}{position}_mask.png")
            row = (split, position, json.dumps(f"{split}{position}.png"), *size, None, b"")
            database.execute("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            name = json.dumps(f"{split}{position}_mask.png")
            database.execute("INSERT INTO masks VALUES (?, ?, ?, ?)", (split, position, name, b""))
            for value, found in enumerate(mask.histogram()[: len(CLASSES)]):
                pixels[split][value] += found
    meta = {"fingerprint": f"{train}-{val}", "task": "semantic", "format": "test", "has_masks": "true"}
    meta |= {"root": json.dumps(str(folder)), "classes": json.dumps(CLASSES), "splits": json.dumps(splits)}
    meta |= {"mask_values": json.dumps([0, 1, 2]), "ignored_values": "[255]", "class_pixels": json.dumps(pixels)}
    database.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
    database.commit()
    database.close()
    return folder / "index.sqlite"
