"""Mask2Former's instances as they are exported: normalised images to a row an object."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from visiontrain_hf.mask2former import as_exporters_want
from visiontrain_hf.mask_queries import Queries, best_pairs, mask_sureness

__all__ = ["ExportedInstances"]


class ExportedInstances(nn.Module):
    """Mask2Former with outputs as `visiontrain.torchkit.object_export.ObjectExport` wants them.

    Args:
        model: A `visiontrain_hf.mask2former.HfMask2Former` in float32 on the CPU, set to evaluation. Changed in place:
            attention is computed in steps that exporters know.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = as_exporters_want(model)
        self.eval()

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """float32 (batch, 3, height, width) to boxes in pixels of the input, scores, labels and grids of masks.

        Boxes lie around the pixels of the masks; of a mask without a pixel all four numbers are 0.
        """
        queries: Queries = self.model(images)[-1]
        size = images.shape[2:]
        shares, labels, rows = best_pairs(queries)
        large = functional.interpolate(queries.masks, size=(size[0], size[1]), mode="bilinear", align_corners=False)
        scores = shares * mask_sureness(large.flatten(2)).gather(1, rows)
        scores, order = scores.topk(scores.shape[1], dim=1)
        rows, labels = rows.gather(1, order), labels.gather(1, order)
        boxes = _around(large > 0).gather(1, rows[..., None].expand(-1, -1, 4))
        grid = queries.masks.shape[2:]
        masks = queries.masks.gather(1, rows[..., None, None].expand(-1, -1, grid[0], grid[1]))
        return boxes, scores, labels, masks


def _around(masks: torch.Tensor) -> torch.Tensor:
    """Left, top, right and bottom of masks, bool (batch, queries, height, width), in pixels: (batch, queries, 4)."""
    sides = []
    for used in (masks.any(2), masks.any(3)):
        count = used.shape[2]
        places = torch.arange(count, device=masks.device)
        first = torch.where(used, places, count).amin(2)
        last = torch.where(used, places + 1, 0).amax(2)
        sides.append((torch.where(last > 0, first, 0), last))
    (left, right), (top, bottom) = sides
    return torch.stack([left, top, right, bottom], dim=2).float()
