"""Masks that a model found as COCO's runs. `visiontrain.datasets.masks` has these, too, without NumPy, slower."""

from __future__ import annotations

from typing import Any

import numpy as np

from visiontrain.protocol.inference import MaskRuns

__all__ = ["mask_runs"]

Numbers = np.ndarray[Any, np.dtype[np.int64]]

_FIRST, _BITS, _SIGN, _MORE = 48, 0x1F, 0x10, 0x20

#: From this number on a mask's runs are told as differences to the last but one.
_DIFFERENCES = 3


def mask_runs(inside: np.ndarray[Any, np.dtype[np.bool_]], *, left: int, top: int, width: int, height: int) -> MaskRuns:
    """The runs of an object's pixels.

    Args:
        inside: Which pixels of a part of the image are the object's, (rows, columns); all others are not.
        left: Where the part lies in the image, in pixels.
        top: Likewise.
        width: Of the image.
        height: Likewise.
    """
    # Down each column: where it changes from outside to inside, and back.
    edged = np.zeros((inside.shape[1], inside.shape[0] + 2), dtype=np.int8)
    edged[:, 1:-1] = inside.T
    steps = np.diff(edged, axis=1)
    columns, rows = np.nonzero(steps == 1)
    begins = (left + columns) * height + top + rows
    columns, rows = np.nonzero(steps == -1)
    ends = (left + columns) * height + top + rows
    # A run that reaches the bottom goes on where the next column begins.
    apart = ends[:-1] != begins[1:]
    begins, ends = begins[np.append(True, apart)[: len(begins)]], ends[np.append(apart, True)[: len(ends)]]
    bounds = np.empty(2 * len(begins) + 2, dtype=np.int64)
    bounds[0], bounds[-1] = 0, height * width
    bounds[1:-1:2], bounds[2:-1:2] = begins, ends
    counts = np.diff(bounds)
    return MaskRuns(height, width, _compressed(counts[:-1] if len(counts) > 1 and counts[-1] == 0 else counts))


def _compressed(counts: Numbers) -> str:
    """Numbers in groups of five bits, the least first, in ASCII letters."""
    values = counts.copy()
    values[_DIFFERENCES:] -= counts[1:-2]
    groups, rest = [values & _BITS], values >> 5
    going = [rest != np.where(groups[0] & _SIGN, -1, 0)]
    while going[-1].any():
        groups.append(rest & _BITS)
        rest = rest >> 5
        going.append(going[-1] & (rest != np.where(groups[-1] & _SIGN, -1, 0)))
    letters = np.stack([group + more * _MORE + _FIRST for group, more in zip(groups, going, strict=True)], axis=1)
    told = np.stack([np.ones(len(values), dtype=bool), *going[:-1]], axis=1)
    data: bytes = letters[told].astype(np.uint8).tobytes()
    return data.decode("ascii")
