"""Detectors and instance segmenters as they are exported: normalised images to a row an object."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from visiontrain.errors import ExportError
from visiontrain.torchkit.exported import INPUT, Tensors, preprocessing
from visiontrain.torchkit.images import read_rgb
from visiontrain.torchkit.loading import SavedModel
from visiontrain.torchkit.object_comparing import row_differences
from visiontrain.torchkit.object_views import Canvas
from visiontrain.torchkit.transforms import Normalize

__all__ = ["ObjectExport"]

_CPU = torch.device("cpu")

_MEANINGS = {
    "boxes": "left, top, right, bottom in pixels of the input",
    "scores": "from 0 to 1, the best first",
    "labels": "class index",
    "masks": "a grid over the input; above 0 where the object is",
}


class ObjectExport:
    """A detector of any framework that suppresses nothing, for `visiontrain.torchkit.exporting.export`.

    Args:
        saved: What the checkpoint says.
        reference: Its model in float32 on the CPU, set to evaluation. From normalised images, float32 (batch, 3,
            height, width), to ``boxes`` (batch, rows, 4) of left, top, right, bottom in pixels of the input, ``scores``
            and ``labels`` (batch, rows), these as int64, the best first; and, of the task segment, ``masks`` (batch,
            rows, height, width).
        exportable: Gives the same model as exporters want it; may be the same object.
        masks: Whether it gives masks.

    Raises:
        ExportError: its images have a border, and an exported model is not told where it begins.
    """

    def __init__(
        self, saved: SavedModel, reference: nn.Module, exportable: Callable[[], nn.Module], *, masks: bool = False
    ) -> None:
        if saved.image.crop_mode != "squash":
            raise ExportError(
                f"{saved.path} was trained on images with a border, and an exported model is not told where it begins",
                instruction="Train it on images whose both sides are resized, --set resize=squash, and export that.",
            )
        self.saved, self.reference, self._exportable = saved, reference, exportable
        self.outputs: tuple[str, ...] = ("boxes", "scores", "labels", *(("masks",) if masks else ()))
        self._canvas = Canvas(saved.image)
        self._normalize = Normalize(saved.image, _CPU, channels_last=False)
        with torch.inference_mode():
            self._shapes = [list(each.shape[1:]) for each in reference(torch.zeros(1, 3, *saved.image.size))]

    def exportable(self) -> nn.Module:
        """As exporters want it."""
        return self._exportable()

    def read(self, paths: Sequence[str]) -> torch.Tensor:
        """As validation sees them."""
        pixels = [torch.from_numpy(self._canvas(read_rgb(path))) for path in paths]
        return self._normalize(torch.stack(pixels))

    def differences(self, wanted: Tensors, found: Tensors) -> list[dict[str, float]]:
        """Of scores, boxes, and masks where there are some."""
        pairs = zip(zip(*wanted, strict=True), zip(*found, strict=True), strict=True)
        return [row_differences(self._by_name(one), self._by_name(other)) for one, other in pairs]

    def _by_name(self, outputs: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
        return dict(zip(self.outputs, outputs, strict=True))

    def describe(self) -> dict[str, Any]:
        """All that a program needs to make objects of the outputs."""
        return {
            "preprocessing": {
                **preprocessing(),
                "range": "0 to 1 before mean and std",
                "resize": "both sides",
                **self.saved.image.to_plain(),
            },
            "input": {"name": INPUT, "type": "float32", "shape": ["batch", 3, *self.saved.image.size]},
            "outputs": [
                {
                    "name": name,
                    "type": "int64" if name == "labels" else "float32",
                    "shape": ["batch", *shape],
                    "meaning": _MEANINGS[name],
                }
                for name, shape in zip(self.outputs, self._shapes, strict=True)
            ],
            "suppression": None,
        }
