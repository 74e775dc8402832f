"""Which layer of a network a parameter belongs to: found by how the network is put together, whatever its kind."""

from __future__ import annotations

from torch import nn

__all__ = ["layers_of", "stages_of"]


def layers_of(network: nn.Module, heads: tuple[str, ...]) -> dict[str, int]:
    """The number of each parameter's layer, from 0 at the image to the classifier.

    A layer is an entry of the innermost list of modules. What comes before the first one is layer 0; what comes after
    the last one belongs to the classifier's layer. Where a network has its stages in several lists of one length, side
    by side (PVT and PoolFormer: embeddings in one, blocks in another), their entries of one number go together.

    Args:
        network: Whose they are.
        heads: Names of the modules that make class scores.
    """
    return _numbered(network, heads, innermost=True)


def stages_of(network: nn.Module, heads: tuple[str, ...]) -> dict[str, int]:
    """Likewise by the outermost list: stages of a network that has some, else its layers."""
    return _numbered(network, heads, innermost=False)


def _numbered(network: nn.Module, heads: tuple[str, ...], *, innermost: bool) -> dict[str, int]:
    lengths = {name: len(part) for name, part in network.named_modules() if isinstance(part, nn.ModuleList)}
    lists = [name for name, length in lengths.items() if length > 1]
    outermost = [name for name in lists if not any(name.startswith(f"{other}.") for other in lists)]
    beside = {name: _first_beside(name, outermost, lengths) for name in outermost}
    numbers: dict[str, int] = {}
    found: dict[str, int] = {}
    for name in _in_order([name for name, _ in network.named_parameters()], beside):
        within = [each for each in lists if name.startswith(f"{each}.")]
        if any(name.startswith(f"{head}.") for head in heads) or (not within and numbers):
            found[name] = -1  # after the last one
        elif not within:
            found[name] = 0
        else:
            chosen = max(within, key=len) if innermost else min(within, key=len)
            entry = f"{chosen if innermost else beside[chosen]}.{_entry(name, chosen)}"
            found[name] = numbers.setdefault(entry, len(numbers) + 1)
    last = len(numbers) + 1
    return {name: last if number < 0 else number for name, number in found.items()}


def _entry(name: str, of: str) -> str:
    """The number of a list's entry that a parameter is in."""
    return name[len(of) + 1 :].partition(".")[0]


def _first_beside(name: str, lists: list[str], lengths: dict[str, int]) -> str:
    """The first list of the same module that is as long."""
    parent = name.rpartition(".")[0]
    return next(other for other in lists if other.rpartition(".")[0] == parent and lengths[other] == lengths[name])


def _in_order(names: list[str], beside: dict[str, str]) -> list[str]:
    """Parameters as the network has them, but for lists side by side: all of one number before those of the next."""
    places: dict[str, int] = {}
    keys = {}
    for place, name in enumerate(names):
        own = next((each for each in beside if name.startswith(f"{each}.")), None)
        first = place if own is None else places.setdefault(beside[own], place)
        keys[name] = (first, 0 if own is None else int(_entry(name, own)), place)
    return sorted(names, key=keys.__getitem__)
