"""A classifier out of what a checkpoint says of it; nothing is fetched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn
from transformers import AutoConfig

from visiontrain_hf.classifier import HfClassifier, classifier_class
from visiontrain_hf.lora import add_lora

__all__ = ["plain_config", "rebuild"]

#: What only describes where a configuration came from.
_ORIGIN = ("_name_or_path", "transformers_version", "architectures", "dtype")


def plain_config(config: Any) -> dict[str, Any]:
    """A configuration of transformers as plain values."""
    found: dict[str, Any] = config.to_dict()
    return {name: value for name, value in found.items() if name not in _ORIGIN}


def rebuild(metadata: Mapping[str, Any]) -> HfClassifier:
    """The model with random weights still, LoRA's additions apart.

    Args:
        metadata: Of a checkpoint: ``config``, ``interpolate`` and ``lora``.

    Raises:
        KeyError, TypeError, ValueError: transformers in this environment can't build it.
    """
    told: dict[str, Any] = dict(metadata["config"])
    config = AutoConfig.for_model(told.pop("model_type"), **told)
    kind = classifier_class(config)
    if kind is None:
        raise ValueError(f"transformers can't classify with a {config.model_type}")
    network: nn.Module = kind(config)
    if metadata["lora"] is not None:
        lora = metadata["lora"]
        add_lora(network, tuple(lora["targets"]), rank=int(lora["rank"]), alpha=int(lora["alpha"]))
    return HfClassifier(network, interpolate=bool(metadata["interpolate"]))
