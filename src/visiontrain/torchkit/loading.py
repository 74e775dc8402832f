"""What a checkpoint of ours holds for those who use the model: its weights, and what it was trained to tell apart."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from visiontrain.errors import WeightsError
from visiontrain.torchkit.checkpoint import Payload, read_checkpoint
from visiontrain.torchkit.transforms import ImageConfig

__all__ = ["Kept", "SavedModel", "load_strictly", "read_model", "stamp_of", "validated_weights"]

T = TypeVar("T")


@dataclass(frozen=True)
class SavedModel:
    """A model as it lies in a file.

    Args:
        path: The file.
        framework: Whose plugin wrote it.
        task: What it was trained for.
        model: Name of the architecture, as the framework has it.
        classes: Class names by class index.
        multi_label: Whether an image may have any number of classes.
        image: How it wants its images.
        metadata: All that the checkpoint says for later use: what a trainer adds of its own is in it.
        epoch: Of the run, counted from 1, whose weights these are; that under way, where they are from its midst.
        weights: By name, on the CPU.
    """

    path: Path
    framework: str
    task: str
    model: str
    classes: tuple[str, ...]
    multi_label: bool
    image: ImageConfig
    metadata: Mapping[str, Any]
    epoch: int
    weights: dict[str, torch.Tensor]


def read_model(path: Path, *, framework: str, task: str) -> SavedModel:
    """Read best.pt, last.pt or previous.pt of a run.

    Where the run keeps a moving average of its weights, that is what it validates, and what comes out of each of them.

    Args:
        path: The file.
        framework: That it must be of.
        task: Likewise.

    Raises:
        WeightsError: it can't be read, or is of something else.
    """
    try:
        payload = read_checkpoint(path)
    except ValueError as e:
        raise WeightsError(str(e), instruction="Use another checkpoint of the run, or train again.") from e
    try:
        saved = _interpret(path, payload)
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise WeightsError(
            f"{path} does not say how its model is built ({type(e).__name__}: {e})",
            instruction="It was written by another version of visiontrain; use that one, or train again.",
        ) from e
    if (saved.framework, saved.task) != (framework, task):
        raise WeightsError(
            f"{path} is of {saved.framework} for the task {saved.task}, not of {framework} for {task}",
            instruction=f"Use it with --framework {saved.framework}." if saved.framework != framework else None,
        )
    return saved


def validated_weights(payload: Payload) -> dict[str, torch.Tensor]:
    """The weights of a checkpoint that its run validates: the moving average, where it keeps one.

    Raises:
        KeyError: it is none that a training of this version wrote.
    """
    weights: dict[str, torch.Tensor] = dict(payload["model"])
    if payload["kind"] != "best":  # which has them as they are validated
        weights.update(payload["updates"]["average"] or {})
    return weights


def _interpret(path: Path, payload: Payload) -> SavedModel:
    metadata = payload["metadata"]
    if payload["kind"] == "best":
        epoch = int(payload["epoch"])
    else:
        position = payload["position"]
        epoch = int(position["epoch"]) + (position["batch"] > 0)
    return SavedModel(
        path=path,
        framework=str(metadata["framework"]),
        task=str(metadata["task"]),
        model=str(metadata["model"]),
        classes=tuple(metadata["classes"]),
        multi_label=bool(metadata["multi_label"]),
        image=ImageConfig.from_plain(metadata["image"]),
        metadata=metadata,
        epoch=epoch,
        weights=validated_weights(payload),
    )


def load_strictly(model: nn.Module, saved: SavedModel) -> None:
    """Load the weights, every one of which must be there and fit; the model is then set to evaluation.

    Raises:
        WeightsError: they do not fit.
    """
    try:
        model.load_state_dict(saved.weights, strict=True)
    except RuntimeError as e:
        raise WeightsError(
            f"{saved.path} does not fit {saved.model} as this environment builds it: {e}",
            instruction="Use the environment's generation that the run was trained with.",
        ) from e
    model.eval()


def stamp_of(checkpoint: str) -> tuple[str, int, int]:
    """What tells a checkpoint from what was in its place before.

    Raises:
        WeightsError: the file can't be read.
    """
    try:
        status = Path(checkpoint).stat()
    except OSError as e:
        raise WeightsError(f"the checkpoint {checkpoint} can't be read: {e}") from e
    return checkpoint, status.st_mtime_ns, status.st_size


class Kept(Generic[T]):
    """One loaded thing, kept for as long as the same is asked for."""

    def __init__(self) -> None:
        self._key: Hashable = None
        self._value: T | None = None

    def get(self, key: Hashable, load: Callable[[], T]) -> T:
        """What `load` gave for this key; another key's is let go of first, so that only one is in memory."""
        if self._value is None or key != self._key:
            self._value = None
            self._value, self._key = load(), key
        return self._value
