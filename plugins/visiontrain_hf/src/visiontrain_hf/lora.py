"""Low-rank additions to the weights of linear layers (LoRA, arXiv:2106.09685), with peft."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from torch.utils.hooks import RemovableHandle

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
    names = [f"network.{name}" for name in targets]
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=names, lora_dropout=0.0, bias="none")
    # A plain module around it: of a model of transformers that shares weights peft asks for embeddings of words.
    around = nn.Module()
    around.add_module("network", network)
    inject_adapter_in_model(config, around)


def train_lora_alone(
    network: nn.Module,
    heads: tuple[str, ...],
    options: HfOptions,
    compute: Callable[[], None],
    log: Callable[[str], None],
) -> dict[str, object]:
    """Add what the options ask for, and leave all else but the classifier as it is.

    Args:
        network: Changed in place.
        heads: Names of the modules that make class scores; they are trained whole.
        options: The request's.
        compute: A forward pass of the network.
        log: Takes a sentence for the person.

    Returns:
        What a checkpoint says of it, for `add_lora`.

    Raises:
        SpecError: a target is no linear layer of the network, or one whose addition the network would not use.
    """
    targets = targets_of(network, heads, options.lora_targets)
    alpha = 2 * options.lora_rank if options.lora_alpha is None else options.lora_alpha
    add_lora(network, targets, rank=options.lora_rank, alpha=alpha)
    unused = _unused(network, targets, compute)
    if unused and options.lora_targets is not None:
        raise SpecError(
            "lora_targets", f"an addition to {', '.join(unused)} would have no effect: the network takes its weights "
            "alone", instruction="Leave it out.",
        )  # fmt: skip
    for name in unused:
        _take_off(network, name)
    targets = tuple(name for name in targets if name not in unused)
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
            _take_off(network, name)


def _unused(network: nn.Module, targets: tuple[str, ...], compute: Callable[[], None]) -> tuple[str, ...]:
    """Those whose addition is never computed.

    torch's own attention takes the weights of its linear layers alone, and some modules of transformers keep a list of
    their layers as they first were.
    """
    called: set[str] = set()

    def watch(name: str) -> RemovableHandle:
        return network.get_submodule(name).register_forward_pre_hook(lambda *_: called.add(name))

    handles = [watch(name) for name in targets]
    try:
        compute()
    finally:
        for handle in handles:
            handle.remove()
    return tuple(name for name in targets if name not in called)


def _take_off(network: nn.Module, name: str) -> None:
    """Put a layer without its addition in its place."""
    layer: Any = network.get_submodule(name)
    parent, _, own = name.rpartition(".")
    setattr(network.get_submodule(parent), own, layer.get_base_layer())
