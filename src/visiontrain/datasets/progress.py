"""How far the reading of a dataset is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["IndexProgress"]


@dataclass(frozen=True)
class IndexProgress:
    """How far a phase is, in files.

    ``scan`` lists the folders (its `total` is 0: not known), ``probe`` decodes every image, and then every
    mask, where there are any, ``settle`` looks at the objects or the mask of each, ``write`` writes the index.
    """

    phase: Literal["scan", "probe", "settle", "write"]
    done: int
    total: int
