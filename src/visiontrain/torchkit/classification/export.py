"""Classifiers as they are exported: normalised images to probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from visiontrain.torchkit.exported import INPUT, Tensors, preprocessing
from visiontrain.torchkit.images import read_rgb
from visiontrain.torchkit.loading import SavedModel
from visiontrain.torchkit.predicting import probabilities
from visiontrain.torchkit.transforms import EvalTransform, Normalize

__all__ = ["ClassifierExport"]

_OUTPUT = "probabilities"

_CPU = torch.device("cpu")


class ProbabilityModel(nn.Module):
    """A classifier with its last step.

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


class ClassifierExport:
    """A classifier of any framework, for `visiontrain.torchkit.exporting.export`.

    Args:
        saved: What the checkpoint says.
        reference: Its model in float32 on the CPU, set to evaluation; gives a row of class scores an image.
        exportable: Gives the same model as exporters want it; may be the same object.
    """

    outputs: tuple[str, ...] = (_OUTPUT,)

    def __init__(self, saved: SavedModel, reference: nn.Module, exportable: Callable[[], nn.Module]) -> None:
        self.saved, self._exportable = saved, exportable
        self._reference = ProbabilityModel(reference, multi_label=saved.multi_label)
        self._transform = EvalTransform(saved.image)
        self._normalize = Normalize(saved.image, _CPU, channels_last=False)

    @property
    def reference(self) -> nn.Module:
        """With its last step."""
        return self._reference

    def exportable(self) -> nn.Module:
        """Likewise."""
        return ProbabilityModel(self._exportable(), multi_label=self.saved.multi_label)

    def read(self, paths: Sequence[str]) -> torch.Tensor:
        """As validation sees them."""
        pixels = [torch.from_numpy(self._transform(read_rgb(path)).copy()) for path in paths]
        return self._normalize(torch.stack(pixels))

    def differences(self, wanted: Tensors, found: Tensors) -> list[dict[str, float]]:
        """The largest difference of a probability."""
        return [{_OUTPUT: value} for value in (found[0] - wanted[0]).abs().amax(1).tolist()]

    def describe(self) -> dict[str, Any]:
        """One output."""
        saved = self.saved
        return {
            "multi_label": saved.multi_label,
            "preprocessing": {
                **preprocessing(),
                "range": "0 to 1 before mean and std",
                **saved.image.to_plain(),
            },
            "input": {"name": INPUT, "type": "float32", "shape": ["batch", 3, *saved.image.size]},
            "output": {
                "name": _OUTPUT,
                "type": "float32",
                "shape": ["batch", len(saved.classes)],
                "activation": "sigmoid" if saved.multi_label else "softmax",
            },
        }
