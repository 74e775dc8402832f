"""Parts of a timm model by name: the classifier, and stages."""

from __future__ import annotations

from collections.abc import Mapping

from timm.models import group_parameters
from torch import nn

__all__ = ["classifiers", "stages_of"]


def classifiers(model: nn.Module) -> tuple[str, ...]:
    """Names of the modules that make class scores."""
    configured = getattr(model, "pretrained_cfg", None) or {}
    found = configured.get("classifier")
    if found is None:
        return ()
    return (found,) if isinstance(found, str) else tuple(found)


def stages_of(model: nn.Module) -> Mapping[str, int] | None:
    """The number of each parameter's stage, from 0 at the image; None where the model does not say."""
    matcher = getattr(model, "group_matcher", None)
    if matcher is None:
        return None
    found: dict[str, int] = group_parameters(model, matcher(coarse=True), reverse=True)
    return found
