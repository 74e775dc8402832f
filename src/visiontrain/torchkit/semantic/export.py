"""Models that say of each pixel what class it is of, as they are exported: normalised images to maps of scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from visiontrain.errors import ExportError
from visiontrain.torchkit.exported import INPUT, Tensors, preprocessing
from visiontrain.torchkit.images import read_rgb
from visiontrain.torchkit.loading import SavedModel
from visiontrain.torchkit.object_views import Canvas
from visiontrain.torchkit.transforms import Normalize

__all__ = ["SemanticExport"]

_CPU = torch.device("cpu")

_OUTPUT = "scores"

#: Pixels whose two best classes are nearer to each other than this may be taken for either.
_SAME_SHARE = 1e-3


class SemanticExport:
    """A model of any framework, for `visiontrain.torchkit.exporting.export`.

    Args:
        saved: What the checkpoint says.
        reference: Its model in float32 on the CPU, set to evaluation; from normalised images, float32 (batch, 3,
            height, width), to maps of class scores over them, (batch, classes, rows, columns).
        exportable: Gives the same model as exporters want it; may be the same object.
        logits: Whether a softmax makes probabilities of the scores; else they are compared as shares of their sum.

    Raises:
        ExportError: its images have a border, and an exported model is not told where it begins.
    """

    outputs: tuple[str, ...] = (_OUTPUT,)

    def __init__(
        self, saved: SavedModel, reference: nn.Module, exportable: Callable[[], nn.Module], *, logits: bool = True
    ) -> None:
        if saved.image.crop_mode != "squash":
            raise ExportError(
                f"{saved.path} was trained on images with a border, and an exported model is not told where it begins",
                instruction="Train it on images that are resized to the model's size, and export that.",
            )
        self.saved, self.reference, self._exportable, self._logits = saved, reference, exportable, logits
        self._canvas = Canvas(saved.image)
        self._normalize = Normalize(saved.image, _CPU, channels_last=False)
        with torch.inference_mode():
            self._shape = list(reference(torch.zeros(1, 3, *saved.image.size)).shape[1:])

    def exportable(self) -> nn.Module:
        """As exporters want it."""
        return self._exportable()

    def read(self, paths: Sequence[str]) -> torch.Tensor:
        """As validation sees them."""
        pixels = [torch.from_numpy(self._canvas(read_rgb(path))) for path in paths]
        return self._normalize(torch.stack(pixels))

    def differences(self, wanted: Tensors, found: Tensors) -> list[dict[str, float]]:
        """Of each image: the largest difference of a probability, and the share of pixels of another class.

        Pixels are those of the model's input. One is of another class where the model itself gives that class a
        probability which is lower than the highest by more than 0.001: nearer ones may come out either way.
        """
        return [self._difference(one, other) for one, other in zip(wanted[0], found[0], strict=True)]

    def _difference(self, wanted: torch.Tensor, found: torch.Tensor) -> dict[str, float]:
        one, other = self._shares(wanted), self._shares(found)
        largest = (one - other).abs().max()
        given_up = one.amax(0) - one.gather(0, other.argmax(0, keepdim=True))[0]
        apart = (given_up > _SAME_SHARE).float().mean()
        return {"probabilities": float(largest), "class maps": float(torch.where(largest.isnan(), largest, apart))}

    def _shares(self, scores: torch.Tensor) -> torch.Tensor:
        """Probabilities of the classes at each pixel of the input, (classes, height, width)."""
        size = self.saved.image.size
        pixels = functional.interpolate(scores[None].float(), size=size, mode="bilinear", align_corners=False)[0]
        if self._logits:
            return pixels.softmax(0)
        return pixels / pixels.sum(0, keepdim=True).clamp(min=1e-6)

    def describe(self) -> dict[str, Any]:
        """All that a program needs to make a class map of the output."""
        return {
            "preprocessing": {
                **preprocessing(),
                "range": "0 to 1 before mean and std",
                "resize": "both sides",
                **self.saved.image.to_plain(),
            },
            "input": {"name": INPUT, "type": "float32", "shape": ["batch", 3, *self.saved.image.size]},
            "output": {
                "name": _OUTPUT,
                "type": "float32",
                "shape": ["batch", *self._shape],
                "meaning": "a score for each class at each cell of a grid over the input",
                "activation": "none: a softmax over the classes makes probabilities" if self._logits else "none",
            },
            "class_map": "interpolate the scores to the image's size (bilinear, half-pixel centres), then take the "
            "class of the highest at each pixel",
        }
