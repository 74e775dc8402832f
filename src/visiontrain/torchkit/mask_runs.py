"""Masks as COCO's runs, and back. `visiontrain.datasets.masks` has both, too, without NumPy, slower."""

from __future__ import annotations

from typing import Any

import numpy as np

from visiontrain.protocol.inference import MaskRuns

__all__ = ["Bools", "mask_pixels", "mask_runs"]

Bools = np.ndarray[Any, np.dtype[np.bool_]]
Numbers = np.ndarray[Any, np.dtype[np.int64]]

_FIRST, _BITS, _SIGN, _MORE = 48, 0x1F, 0x10, 0x20

#: From this number on a mask's runs are told as differences to the last but one.
_DIFFERENCES = 3


def mask_runs(inside: Bools, *, left: int, top: int, width: int, height: int) -> MaskRuns:
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


def mask_pixels(height: int, width: int, data: bytes) -> Bools:
    """Which pixels are the object's, (height, width).

    Args:
        height: Of the image, in pixels.
        width: Likewise.
        data: The runs in COCO's letters; they must add up to the image.
    """
    counts = _expanded(data)
    inside: Bools = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(width, height).T
    return inside


def _expanded(data: bytes) -> Numbers:
    """What `_compressed` was given."""
    groups = np.frombuffer(data, dtype=np.uint8).astype(np.int64) - _FIRST
    ends = np.flatnonzero(groups & _MORE == 0) + 1
    starts = np.concatenate([[0], ends[:-1]])
    lengths = ends - starts
    places = np.arange(len(groups)) - np.repeat(starts, lengths)
    values: Numbers = np.add.reduceat((groups & _BITS) << 5 * places, starts)
    values -= np.where(groups[ends - 1] & _SIGN, np.left_shift(1, 5 * lengths), 0)
    # From the fourth on they are told as differences to the last but one.
    values[1::2] = values[1::2].cumsum()
    values[2::2] = values[2::2].cumsum()
    return values
