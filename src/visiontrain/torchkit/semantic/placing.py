"""From maps of class scores, in whatever resolution a model gives them, to the class of each pixel of an image."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.nn import functional

from visiontrain.torchkit.object_found import Frame

__all__ = ["class_pixels", "class_rows"]

#: Scores in memory at once, at the most: a photo of 20 megapixels has 3 billion of them with 150 classes.
_AT_ONCE = 1 << 25


def class_rows(maps: torch.Tensor, frame: Frame, *, at_once: int = _AT_ONCE) -> Iterator[tuple[slice, torch.Tensor]]:
    """The class with the highest score at each pixel, some rows after the others.

    Scores are interpolated linearly between the middles of the maps' cells, as `torch.nn.functional.interpolate` does
    with ``align_corners=False``; then the highest is taken. So a large image costs time, not memory.

    Args:
        maps: A score for each class and cell of a grid over the whole canvas, (classes, rows, columns).
        frame: The pixels that are asked for: those of the image itself, or those of the canvas.
        at_once: Scores in memory at the most, about.

    Returns:
        Rows of the frame, and the class indices of their pixels, int64, (rows, width), on the maps' device.
    """
    device = maps.device
    scores = maps.detach().float()[None]
    across = _places(frame.width, frame.shares[0], device)
    down = _places(frame.height, frame.shares[1], device)
    step = max(1, at_once // (maps.shape[0] * frame.width))
    for start in range(0, frame.height, step):
        rows = down[start : start + step]
        grid = torch.stack(torch.meshgrid(across, rows, indexing="xy"), dim=-1)[None]
        seen = functional.grid_sample(scores, grid, mode="bilinear", padding_mode="border", align_corners=False)
        yield slice(start, start + len(rows)), seen[0].argmax(0)


def class_pixels(maps: torch.Tensor, frame: Frame) -> torch.Tensor:
    """The class of each pixel of a frame, int64, (height, width), on the CPU: all that `class_rows` gives."""
    found = torch.empty(frame.height, frame.width, dtype=torch.int64)
    for rows, labels in class_rows(maps, frame):
        found[rows] = labels.cpu()
    return found


def _places(count: int, share: float, device: torch.device) -> torch.Tensor:
    """Where the middles of pixels lie on the canvas, as `grid_sample` wants it: -1 is its one side, 1 the other."""
    middles = (torch.arange(count, dtype=torch.float64) + 0.5) / count * share
    return (2 * middles - 1).float().to(device)
