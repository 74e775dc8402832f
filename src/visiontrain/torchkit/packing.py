"""Tensors side by side in memory: one operation reaches all of them, and a file has one record of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch

__all__ = ["Piece", "pack"]

#: Bytes of a processor's cache line: each tensor begins where torch's allocator would let it begin.
_LINE = 64


@dataclass(frozen=True)
class Piece:
    """Memory that holds tensors.

    Args:
        values: All of it, flat; what lies between two tensors is zero. A tensor that was left where it is: itself.
        members: Numbers of the tensors that lie in it.
    """

    values: torch.Tensor
    members: tuple[int, ...]

    def view(self, tensor: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """What lies in `values`, which are like this piece's, where `tensor` lies in this piece."""
        if tensor is self.values:
            return values
        return values.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())


@torch.no_grad()
def pack(tensors: Sequence[torch.Tensor]) -> list[Piece]:
    """Move the values of tensors into one piece of memory a type and device.

    The tensors stay what they are: same objects, shapes, order of dimensions in memory and values. Who holds a view of
    one holds what it was before, so do this before anything is computed.

    Args:
        tensors: Those that share their memory with others, or leave gaps in it, are left where they are.
    """
    users = Counter(tensor.untyped_storage().data_ptr() for tensor in tensors)
    groups: dict[tuple[torch.dtype, torch.device], list[int]] = {}
    left: list[Piece] = []
    for number, tensor in enumerate(tensors):
        if users[tensor.untyped_storage().data_ptr()] == 1 and _is_dense(tensor):
            groups.setdefault((tensor.dtype, tensor.device), []).append(number)
        else:
            left.append(Piece(tensor, (number,)))
    return [
        *(Piece(_laid([tensors[number] for number in group]), tuple(group)) for group in groups.values()),
        *left,
    ]


def _is_dense(tensor: torch.Tensor) -> bool:
    """Whether its values fill its memory, in whatever order of dimensions."""
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size > 1 and stride != expected:
            return False
        expected *= size
    return tensor.numel() > 0 and tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()


def _laid(group: Sequence[torch.Tensor]) -> torch.Tensor:
    step = max(1, _LINE // group[0].element_size())
    places, end = [], 0
    for tensor in group:
        places.append(end)
        end += -(-tensor.numel() // step) * step
    piece = torch.zeros(end, dtype=group[0].dtype, device=group[0].device)
    for tensor, place in zip(group, places, strict=True):
        view = piece.as_strided(tensor.shape, tensor.stride(), place)
        tensor.data = view.copy_(tensor)
    return piece
