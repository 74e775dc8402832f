"""Which layer of a network a parameter belongs to: found by how the network is put together, whatever its kind."""

from __future__ import annotations

from torch import nn

__all__ = ["layers_of", "stages_of"]


def layers_of(network: nn.Module, heads: tuple[str, ...]) -> dict[str, int]:
    """The number of each parameter's layer, from 0 at the image to the classifier.

    A layer is an entry of the innermost list of modules. What comes before the first one is layer 0; what comes after
    the last one belongs to the classifier's layer.

    Args:
        network: Whose they are.
        heads: Names of the modules that make class scores.
    """
    return _numbered(network, heads, innermost=True)


def stages_of(network: nn.Module, heads: tuple[str, ...]) -> dict[str, int]:
    """Likewise by the outermost list: stages of a network that has some, else its layers."""
    return _numbered(network, heads, innermost=False)


def _numbered(network: nn.Module, heads: tuple[str, ...], *, innermost: bool) -> dict[str, int]:
    lists = [name for name, module in network.named_modules() if isinstance(module, nn.ModuleList) and len(module) > 1]
    numbers: dict[str, int] = {}
    found: dict[str, int] = {}
    for name, _ in network.named_parameters():
        within = [each for each in lists if name.startswith(f"{each}.")]
        if any(name.startswith(f"{head}.") for head in heads) or (not within and numbers):
            found[name] = -1  # after the last one
        elif not within:
            found[name] = 0
        else:
            chosen = max(within, key=len) if innermost else min(within, key=len)
            entry = f"{chosen}.{name[len(chosen) + 1 :].partition('.')[0]}"
            found[name] = numbers.setdefault(entry, len(numbers) + 1)
    last = len(numbers) + 1
    return {name: last if number < 0 else number for name, number in found.items()}
