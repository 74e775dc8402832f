"""A detector of transformers as it is exported: normalised images to a row an object."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from visiontrain_hf.detector import HfDetector

__all__ = ["ExportedDetector", "rows_of"]


class ExportedDetector(nn.Module):
    """A detector with outputs as `visiontrain.torchkit.object_export.ObjectExport` wants them.

    Args:
        model: In float32 on the CPU, set to evaluation.
    """

    def __init__(self, model: HfDetector) -> None:
        super().__init__()
        self.model = model
        self.eval()

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """float32 (batch, 3, height, width) to boxes in pixels of the input, scores and labels, the best first."""
        with _exportable(self.model.network):
            out = self.model(images)
        scores, labels, boxes = rows_of(out.logits, out.pred_boxes, classes=self.model.config.num_labels)
        height, width = images.shape[2:]
        centres, halves = boxes[..., :2], boxes[..., 2:] / 2
        corners = torch.cat([centres - halves, centres + halves], dim=-1)
        return corners * torch.tensor([width, height, width, height]), scores, labels


def rows_of(
    logits: torch.Tensor, boxes: torch.Tensor, *, classes: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What queries say as a row an object, the best first; as many rows as queries.

    Where a query has one score more than there are classes, it says that there is nothing (DETR): scores are a softmax,
    and each query is one row. Else each class of each query has a sigmoid of its own (Deformable DETR and RT-DETR).

    Args:
        logits: (batch, queries, scores).
        boxes: (batch, queries, 4).
        classes: How many there are.

    Returns:
        Scores from 0 to 1 and class indices, (batch, queries), and boxes (batch, queries, 4), in float32.
    """
    queries = logits.shape[1]
    logits, boxes = logits.float(), boxes.float()
    if logits.shape[2] == classes + 1:
        scores, labels = logits.softmax(-1)[..., :-1].max(-1)
        scores, index = scores.topk(queries, dim=1)
        labels = labels.gather(1, index)
    else:
        scores, places = logits.sigmoid().flatten(1).topk(queries, dim=1)
        labels = places % classes
        index = torch.div(places, classes, rounding_mode="floor")
    return scores, labels, boxes.gather(1, index[..., None].expand(-1, -1, 4))


def _length(value: Any) -> Any:
    return value.shape[0] if isinstance(value, torch.Tensor) else builtins.len(value)


def _unchecked(*_given: Any, **_named: Any) -> None:
    """Takes the place of a check."""


#: What in transformers' code keeps a network from being exported, by the name that the code has for it. A tensor's
#: ``len`` is a number, and so fixes the batch; its shape's first entry is the same, and stays open. What the checks
#: compare are sizes that do not depend on the images, and there is no ONNX for it.
_IN_THE_WAY: dict[str, Any] = {"len": _length, "torch_compilable_check": _unchecked}


@contextmanager
def _exportable(network: nn.Module) -> Iterator[None]:
    """Let a network be exported with a batch of any size; its module's code is as it was afterwards."""
    code = vars(sys.modules[type(network).__module__])
    if not torch.compiler.is_exporting():
        yield
        return
    before = {name: code[name] for name in _IN_THE_WAY if name in code}
    code.update(_IN_THE_WAY)
    try:
        yield
    finally:
        for name in _IN_THE_WAY:
            del code[name]
        code.update(before)
