"""Which batch size suits a device: found by trial steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from visiontrain.errors import RunFailedError
from visiontrain.torchkit.memory import in_gib
from visiontrain.torchkit.shortage import ADVICE

__all__ = ["Found", "Trial", "by_memory", "by_speed", "largest_batch", "rounded_down"]

#: Share of the memory that can be had which a batch shall take at the most; the rest is for what varies.
_SHARE = 0.85
#: The most images that are ever taken: beyond, common learning rates stop to scale.
_MOST = 1024
#: An epoch shall have this many steps: fewer learn less, however fast they are.
_STEPS = 16
#: From this batch size on, sizes are multiples of it; below, powers of two.
_EVEN = 8
#: Twice the images at once must be that much faster to be worth it.
_GAIN = 1.05
#: Seconds that a trial, which is two steps, may take.
_PATIENCE = 20.0

_NO_ROOM = "the device's memory has no room for a training step with a single image"


@dataclass(frozen=True)
class Trial:
    """What a step cost.

    Args:
        images: In its batch.
        peak: Bytes of the device that the process had at the most.
        seconds: For one step.
    """

    images: int
    peak: int
    seconds: float

    @property
    def speed(self) -> float:
        """Images a second."""
        return self.images / max(self.seconds, 1e-9)


@dataclass(frozen=True)
class Found:
    """A batch size, and why it is this one."""

    images: int
    why: str


def rounded_down(images: int) -> int:
    """The largest multiple of 8 that is not more; below 8 the largest power of two."""
    return images // _EVEN * _EVEN if images >= _EVEN else 1 << max(0, images.bit_length() - 1)


def largest_batch(images: int, usual: int) -> int:
    """The largest batch size that is sensible for so many training images: 16 steps an epoch, 1,024 images.

    Args:
        images: Of the training split; at least 1.
        usual: The framework's default, which is sensible whatever the data, if there are as many images.
    """
    return rounded_down(max(min(usual, images), min(_MOST, images // _STEPS)))


def by_memory(try_out: Callable[[int], Trial | None], *, room: int, limit: int, images: int) -> Found:
    """The most images that a GPU has memory for, with some to spare.

    Args:
        try_out: Tries a batch size; None where memory ran out.
        room: Bytes that the process can have in all.
        limit: The most that is sensible.
        images: Of the training split, to say why.

    Raises:
        RunFailedError: there is no room for a single image.
    """
    budget = int(_SHARE * room)
    trials: list[Trial] = []
    ceiling = limit + 1  # known, or foreseen, to be too much

    def fits(size: int) -> bool:
        nonlocal ceiling
        trial = try_out(size)
        if trial is None or trial.peak > budget:
            ceiling = min(ceiling, size)
            return False
        trials.append(trial)
        return True

    size = min(_EVEN, limit)
    while not fits(size):
        if size == 1:
            raise RunFailedError(_NO_ROOM, instruction=ADVICE)
        size = rounded_down(size // 2)
    while (size := rounded_down(min(2 * size, ceiling - 1, _foreseen(trials, budget)))) > trials[-1].images:
        if not fits(size):
            break
    while (size := rounded_down(min(ceiling - 1, _foreseen(trials, budget)))) > trials[-1].images and not fits(size):
        ceiling = min(ceiling, round(0.95 * size))  # what was foreseen was too much: less, until it fits
    best = trials[-1]
    why = f"a step takes {in_gib(best.peak)} of the {in_gib(room)} that can be had"
    if best.images == limit:
        why += f", and {_enough(limit, images)}"
    return Found(best.images, why)


def _enough(limit: int, images: int) -> str:
    if limit == _MOST:
        return "more is not sensible"
    return f"more would leave an epoch of {images:,} images too few steps"


def _foreseen(trials: list[Trial], budget: int) -> int:
    """How many images the budget will hold, by the last two trials; many, where there is only one."""
    if len(trials) == 1:
        return _MOST
    before, last = trials[-2:]
    each = (last.peak - before.peak) / (last.images - before.images)
    return _MOST if each <= 0 else max(1, rounded_down(last.images + int((budget - last.peak) / each)))


def by_speed(try_out: Callable[[int], Trial | None], *, room: int, limit: int, usual: int, images: int) -> Found:
    """The batch size beyond which a CPU is not faster, as far as its memory goes.

    Never more than memory has room for by the trials before: there, a process that takes too much is killed.

    Args:
        try_out: Tries a batch size; None where memory ran out.
        room: Bytes that the process can have in all.
        limit: The most that is sensible.
        usual: The framework's default: less than it is not taken for speed alone.
        images: Of the training split, to say why.

    Raises:
        RunFailedError: there is no room for a single image.
    """
    budget = int(_SHARE * room)
    best = try_out(min(4, limit)) or try_out(1)
    if best is None:
        raise RunFailedError(_NO_ROOM, instruction=ADVICE)
    why = _enough(limit, images)
    each = best.peak / best.images  # until two trials tell: far too much, as the model itself is in it
    while best.images < limit:
        size = rounded_down(min(2 * best.images, limit))
        if size == best.images:
            break
        if best.peak + each * (size - best.images) > budget and best.images >= _EVEN:
            why = f"{size} would take more than {_SHARE:.0%} of the {in_gib(room)} of memory that can be had"
            break
        if 2 * best.seconds * size / best.images > _PATIENCE:
            why = f"a step of {size} would take more than {_PATIENCE / 2:.0f} s"
            break
        trial = try_out(size)
        if trial is None:
            why = f"memory has no room for {size}"
            break
        if trial.images > usual and trial.speed < _GAIN * best.speed:
            why = f"{size} at once would bring {trial.speed:,.1f}"
            break
        each = max(0.0, (trial.peak - best.peak) / (trial.images - best.images))
        best = trial
    return Found(best.images, f"{best.speed:,.1f} images/s; {why}")
