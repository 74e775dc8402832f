"""Low-rank additions to the weights of linear layers (LoRA, arXiv:2106.09685), with peft."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from visiontrain.errors import SpecError
from visiontrain_hf.options import HfOptions

__all__ = ["add_lora", "leave_all_but_lora", "merge_lora", "targets_of", "train_lora_alone"]


def targets_of(network: nn.Module, heads: tuple[str, ...], text: str | None) -> tuple[str, ...]:
    """Names of the linear layers that get additions.

    Args:
        network: Whose they are.
        heads: Names of the modules that make class scores; they are trained whole.
        text: Names, or the ends of names, with commas between them. None: every linear layer.

    Raises:
        SpecError: there is no such linear layer.
    """
    places = Counter(id(module) for _, module in network.named_modules(remove_duplicate=False))
    linear = [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear)
        and places[id(module)] == 1  # an addition would be in one of its places alone
        and not any(name == head or name.startswith(f"{head}.") for head in heads)
    ]
    if not linear:
        raise SpecError(
            "lora_rank", "needs linear layers, and this network's backbone has none",
            instruction="Leave it out; freeze=backbone trains the classifier alone.",
        )  # fmt: skip
    if text is None:
        return tuple(linear)
    found: list[str] = []
    for part in (part.strip() for part in text.split(",")):
        matches = [name for name in linear if name == part or name.endswith(f".{part}")]
        if not matches:
            ends = sorted({name.rpartition(".")[2] for name in linear})
            raise SpecError(
                "lora_targets", f"no linear layer is called {part!r}", instruction=f"There is {', '.join(ends)}."
            )
        found += [name for name in matches if name not in found]
    return tuple(found)


def add_lora(network: nn.Module, targets: tuple[str, ...], *, rank: int, alpha: int) -> None:
    """Give layers their additions, which change nothing yet.

    Args:
        network: Changed in place.
        targets: From `targets_of`.
        rank: Of the additions.
        alpha: What they count, divided by the rank.
    """
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=list(targets), lora_dropout=0.0, bias="none")
    inject_adapter_in_model(config, network)


def train_lora_alone(
    network: nn.Module, heads: tuple[str, ...], options: HfOptions, log: Callable[[str], None]
) -> dict[str, object]:
    """Add what the options ask for, and leave all else but the classifier as it is.

    Returns:
        What a checkpoint says of it, for `add_lora`.

    Raises:
        SpecError: a target is no linear layer of the network.
    """
    targets = targets_of(network, heads, options.lora_targets)
    alpha = 2 * options.lora_rank if options.lora_alpha is None else options.lora_alpha
    add_lora(network, targets, rank=options.lora_rank, alpha=alpha)
    leave_all_but_lora(network, heads)
    trained = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    log(f"LoRA of rank {options.lora_rank} on {len(targets)} layers: {trained:,} parameters are trained.")
    return {"targets": list(targets), "rank": options.lora_rank, "alpha": alpha}


def leave_all_but_lora(network: nn.Module, heads: tuple[str, ...]) -> None:
    """Let training change the additions and the classifier alone.

    Args:
        network: Changed in place.
        heads: Names of the modules that make class scores.
    """
    for name, parameter in network.named_parameters():
        parameter.requires_grad = ".lora_" in name or any(name.startswith(f"{head}.") for head in heads)


def merge_lora(network: nn.Module) -> None:
    """Add the additions to the weights themselves, and take them off: the network is as transformers makes it.

    Args:
        network: Changed in place.
    """
    for name, module in list(network.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            parent, _, own = name.rpartition(".")
            setattr(network.get_submodule(parent), own, module.get_base_layer())
