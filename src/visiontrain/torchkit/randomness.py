"""Random choices that can be made again: by sample, by epoch, and from a checkpoint's state."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

__all__ = ["capture_rng", "derive_seed", "kept_rng", "restore_rng", "seed_everything", "seed_sample"]


def derive_seed(*parts: int) -> int:
    """A seed of 63 bits out of whole numbers, such as (seed, epoch, index): the same on every machine and version."""
    digest = hashlib.blake2b(repr(parts).encode("ascii"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def seed_everything(seed: int) -> None:
    """Seed torch (all devices), Python's `random` and NumPy's global state."""
    torch.manual_seed(derive_seed(seed))
    random.seed(derive_seed(seed))
    np.random.seed(derive_seed(seed) % 2**32)  # noqa: NPY002 - libraries draw from the global state


@contextmanager
def kept_rng() -> Iterator[None]:
    """Put the state of every global random generator of the CPU back afterwards."""
    torch_state = torch.default_generator.get_state()
    python_state = random.getstate()
    numpy_state = np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        torch.default_generator.set_state(torch_state)
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002


def seed_sample(seed: int, epoch: int, index: int) -> None:
    """Make every global random generator of the CPU a function of (seed, epoch, index); call it within `kept_rng`.

    So any library's augmentation gives the same with no, two or more loader processes, and in a resumed run.
    """
    own = derive_seed(seed, epoch, index)
    torch.default_generator.manual_seed(own)
    random.seed(own)
    np.random.seed(own % 2**32)  # noqa: NPY002


def capture_rng(device: torch.device) -> dict[str, Any]:
    """The state of all random generators, as tensors and plain values."""
    version, words, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)  # noqa: NPY002
    state: dict[str, Any] = {
        "torch": torch.default_generator.get_state(),
        "python": [version, list(words), gauss],
        "numpy": [str(name), np.asarray(keys).tolist(), int(position), int(has_gauss), float(cached)],
    }
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state_all()
    elif device.type == "mps":
        state["mps"] = torch.mps.get_rng_state()
    return state


def restore_rng(state: Mapping[str, Any], device: torch.device) -> None:
    """Undo `capture_rng`. A GPU's state is left out where the checkpoint was written on another kind of device."""
    torch.default_generator.set_state(state["torch"])
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), position, has_gauss, cached))  # noqa: NPY002
    if device.type == "cuda" and len(state.get("cuda", ())) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
    elif device.type == "mps" and "mps" in state:
        torch.mps.set_rng_state(state["mps"])
