"""How far the reading of a dataset is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["IndexProgress"]


@dataclass(frozen=True)
class IndexProgress:
    """How far a phase is, in files.

    ``scan`` lists the folders (its `total` is 0: not known), ``probe`` decodes every image, ``settle`` looks at the
    objects of each, where there are any, ``write`` writes the index.
    """

    phase: Literal["scan", "probe", "settle", "write"]
    done: int
    total: int
