"""What lies beside an exported model: all that a program without visiontrain needs to use it rightly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from visiontrain.torchkit.loading import SavedModel
from visiontrain.torchkit.predicting import probabilities

__all__ = ["INPUT", "OUTPUT", "Description", "ProbabilityModel"]

#: Says how model.json is laid out; another number where a reader of this one would go wrong.
FORMAT_VERSION = 1

INPUT = "images"
OUTPUT = "probabilities"


class ProbabilityModel(nn.Module):
    """A classifier as it is exported: normalised images to probabilities.

    Args:
        model: Gives a row of class scores an image.
        multi_label: Whether an image may have any number of classes.
    """

    def __init__(self, model: nn.Module, *, multi_label: bool) -> None:
        super().__init__()
        self.model, self.multi_label = model, multi_label
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """float32 (batch, 3, height, width) to float32 (batch, classes)."""
        return probabilities(self.model(images), multi_label=self.multi_label)


@dataclass(frozen=True)
class Description:
    """A model that is exported, as model.json and the file's own metadata tell of it.

    Args:
        saved: What it is made from.
        format: onnx or torchscript.
        file: Name of the exported file.
        versions: Version by distribution.
        check: What the comparison with the model itself gave; empty while there is none.
    """

    saved: SavedModel
    format: str
    file: str
    versions: Mapping[str, str]
    check: Mapping[str, Any] = field(default_factory=dict)

    def to_plain(self) -> dict[str, Any]:
        """As JSON has it."""
        saved, image = self.saved, self.saved.image
        height, width = image.size
        plain: dict[str, Any] = {
            "format_version": FORMAT_VERSION,
            "format": self.format,
            "file": self.file,
            "task": saved.task,
            "framework": saved.framework,
            "model": saved.model,
            "epoch": saved.epoch,
            "versions": dict(self.versions),
            "classes": list(saved.classes),
            "multi_label": saved.multi_label,
            "preprocessing": {
                "orientation": "EXIF applied",
                "transparency": "over white",
                "channels": "RGB",
                "range": "0 to 1 before mean and std",
                **image.to_plain(),
            },
            "input": {"name": INPUT, "type": "float32", "shape": ["batch", 3, height, width]},
            "output": {
                "name": OUTPUT,
                "type": "float32",
                "shape": ["batch", len(saved.classes)],
                "activation": "sigmoid" if saved.multi_label else "softmax",
            },
        }
        return {**plain, "check": dict(self.check)} if self.check else plain

    def to_properties(self) -> dict[str, str]:
        """The same for files that keep a text by name: texts as they are, everything else as JSON."""
        return {k: v if isinstance(v, str) else _json(v) for k, v in self.to_plain().items()}

    def write(self, path: Path) -> None:
        """Write model.json."""
        path.write_text(_json(self.to_plain(), indent=2) + "\n", encoding="utf-8")


def _json(value: object, indent: int | None = None) -> str:
    return json.dumps(value, indent=indent, allow_nan=False, ensure_ascii=False)
