"""What lies beside an exported model: all that a program without visiontrain needs to use it rightly."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from visiontrain.torchkit.loading import SavedModel

__all__ = ["INPUT", "Description", "ExportTask", "Tensors", "preprocessing", "tensors_of"]

#: Says how model.json is laid out; another number where a reader of this one would go wrong.
FORMAT_VERSION = 1

INPUT = "images"

Tensors = tuple[torch.Tensor, ...]


def tensors_of(given: torch.Tensor | Tensors) -> Tensors:
    """Outputs as a tuple: a model with one gives it by itself."""
    return (given,) if isinstance(given, torch.Tensor) else tuple(given)


class ExportTask(Protocol):
    """What of an export depends on what the model is for."""

    #: What the checkpoint says.
    saved: SavedModel

    #: Names of the outputs, in their order.
    outputs: tuple[str, ...]

    @property
    def reference(self) -> nn.Module:
        """The model in float32 on the CPU, set to evaluation: what the exported one is compared with.

        From images, float32 (batch, 3, height, width), to a tensor, or a tuple of tensors where `outputs` are several;
        the batch comes first in each.
        """
        ...

    def exportable(self) -> nn.Module:
        """The same model as exporters want it; may be the same object. Its argument is called ``images``."""
        ...

    def read(self, paths: Sequence[str]) -> torch.Tensor:
        """Images as the model wants them, float32 (batch, 3, height, width).

        Raises:
            DatasetError: one can't be read.
        """
        ...

    def differences(self, wanted: Tensors, found: Tensors) -> list[dict[str, float]]:
        """How far two outputs for the same images are apart: for each image, by what differs, from 0 to 1 or NaN."""
        ...

    def describe(self) -> dict[str, Any]:
        """Its part of model.json: ``preprocessing``, ``input``, ``output`` or ``outputs``, and what else there is."""
        ...


def preprocessing() -> dict[str, str]:
    """What is done to every image first, for model.json."""
    return {"orientation": "EXIF applied", "transparency": "over white", "channels": "RGB"}


@dataclass(frozen=True)
class Description:
    """A model that is exported, as model.json and the file's own metadata tell of it.

    Args:
        task: The model's.
        format: onnx, torchscript...
        file: Name of the exported file.
        versions: Version by distribution.
        check: What the comparison with the model itself gave; empty while there is none.
    """

    task: ExportTask
    format: str
    file: str
    versions: Mapping[str, str]
    check: Mapping[str, Any] = field(default_factory=dict)

    def to_plain(self) -> dict[str, Any]:
        """As JSON has it."""
        saved = self.task.saved
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
            **self.task.describe(),
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
