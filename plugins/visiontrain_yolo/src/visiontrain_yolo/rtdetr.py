"""RT-DETR as Ultralytics builds it: queries that become boxes, of which none need to be suppressed."""

from __future__ import annotations

from typing import Any

from visiontrain_yolo.sealed import import_sealed  # isort: skip - before ultralytics

import torch
from ultralytics.nn.modules.head import RTDETRDecoder
from ultralytics.nn.tasks import RTDETRDetectionModel
from ultralytics.utils import ROOT, YAML

from visiontrain.torchkit.float32 import in_float32

__all__ = ["RtDetr", "build_rtdetr"]

# Its loss and its noised queries, which ultralytics imports with the rest of what it trains when they are first needed.
import_sealed("ultralytics.models.utils.loss")


class Decoder(RTDETRDecoder):
    """Ultralytics' own, computed in float32: bfloat16 has eight bits, and boxes are refined from layer to layer."""

    def forward(self, x: list[torch.Tensor], batch: dict[str, Any] | None = None) -> Any:
        """What its parent says."""
        if self.training and self.anchors.is_inference():
            self.shapes = []  # what a validation computed can't be learnt with: compute it anew
        with torch.autocast(x[0].device.type, enabled=False):
            found: Any = super().forward(in_float32(x), batch)
        return found


class RtDetr(RTDETRDetectionModel):
    """Ultralytics' own, which says its boxes as the other end-to-end detectors do."""

    def predict(  # type: ignore[override]  # its parent's own
        self,
        x: torch.Tensor,
        profile: bool = False,
        batch: dict[str, Any] | None = None,
        augment: bool = False,
        embed: Any = None,
    ) -> Any:
        """In training what its parent says; else corners in pixels, score and class: (images, boxes, 6), best first.

        Beside them is what the loss is made of, unless the model is being exported.
        """
        run: Any = super().predict
        found = run(x, profile=profile, batch=batch, augment=augment, embed=embed)
        if self.training or embed:
            return found
        return _in_pixels(found, x) if isinstance(found, torch.Tensor) else (_in_pixels(found[0], x), found[1])


def _in_pixels(found: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Centres and sides as shares of the image to corners in pixels."""
    height, width = images.shape[2:]
    x, y, across, down, rest = torch.split(found, [1, 1, 1, 1, 2], dim=-1)
    corners = (
        (x - across / 2) * width, (y - down / 2) * height, (x + across / 2) * width, (y + down / 2) * height,
    )  # fmt: skip
    return torch.cat((*corners, rest), dim=-1)


def layout_of(name: str) -> dict[str, Any]:
    """The model's layers, as Ultralytics has them."""
    read: Any = YAML.load
    found: dict[str, Any] = read(ROOT / "cfg" / "models" / "rt-detr" / f"{name}.yaml")
    return found


def build_rtdetr(name: str, classes: int) -> RtDetr:
    """A model with random weights, on the CPU.

    Args:
        name: Such as ``rtdetr-l``.
        classes: How many it tells apart.
    """
    layout = layout_of(name)
    layout |= {"scale": next(iter(layout["scales"])), "yaml_file": f"{name}.yaml"}
    make: Any = RtDetr
    model: RtDetr = make(layout, ch=3, nc=classes, verbose=False)
    built: Any = model
    built.model[-1].__class__ = Decoder  # the layout names its parent
    return model
