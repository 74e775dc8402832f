"""A model out of what a checkpoint says of it; nothing is fetched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn
from transformers import AutoConfig

from visiontrain_hf.custom_code import CustomCode, load_code
from visiontrain_hf.kinds import HfModel, Kind
from visiontrain_hf.lora import add_lora

__all__ = ["plain_config", "rebuild"]

#: What only describes where a configuration came from.
_ORIGIN = ("_name_or_path", "transformers_version", "architectures", "dtype")


def plain_config(config: Any) -> dict[str, Any]:
    """A configuration of transformers as plain values."""
    found: dict[str, Any] = config.to_dict()
    return {name: value for name, value in found.items() if name not in _ORIGIN}


def rebuild(kind: Kind, metadata: Mapping[str, Any], custom_code: str | None) -> HfModel:
    """The model with random weights still, LoRA's additions apart.

    Args:
        kind: What it is for.
        metadata: Of a checkpoint: ``config``, ``own``, ``lora`` and ``code``.
        custom_code: The place whose code may be run, if any.

    Raises:
        SpecError: it needs code that may not be run.
        WeightsError: that code is not there any more, or another one.
        KeyError, TypeError, ValueError: transformers in this environment can't build it.
    """
    told: dict[str, Any] = dict(metadata["config"])
    if metadata["code"] is None:
        config = AutoConfig.for_model(told.pop("model_type"), **told)
        found = kind.find(config)
    else:
        code = load_code(CustomCode.from_plain(metadata["code"], allowed=custom_code))
        config, found = code.config.from_dict(told), code.network
    if found is None:
        raise ValueError(f"transformers can't {kind.doing} with a {config.model_type}")
    network: nn.Module = found(config)
    model = kind.wrap(network, config, metadata["own"])
    if metadata["lora"] is not None:
        lora = metadata["lora"]
        add_lora(network, tuple(lora["targets"]), rank=int(lora["rank"]), alpha=int(lora["alpha"]))
    return model
