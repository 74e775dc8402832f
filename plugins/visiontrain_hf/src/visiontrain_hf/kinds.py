"""What models of transformers for one task have in common: how one is found, wrapped and tried out, and its parts."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from visiontrain.errors import SpecError
from visiontrain.protocol.tasks import Task
from visiontrain.torchkit.transforms import ImageConfig

__all__ = ["HfModel", "Kind", "checkpoint_activations_of", "class_modules"]


class HfModel(nn.Module, ABC):
    """A network of transformers as torchkit wants it. Its parameters' names are the network's with ``network.`` before.

    Attributes:
        begun_trained: Whether training begins with trained weights.

    Args:
        network: Of transformers.
        heads: Names of the network's modules whose weights are for its classes, and are begun anew for others.
        backbone: Names of those that the option ``freeze=backbone`` means. None: all but `heads`.
        above: Names of those that are trained whole beside LoRA's additions, and that a file with weights may lack
            altogether. None: `heads`.
    """

    def __init__(
        self,
        network: nn.Module,
        heads: tuple[str, ...],
        backbone: tuple[str, ...] | None = None,
        above: tuple[str, ...] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.heads, self._backbone = heads, backbone
        self.begun_trained = False
        self.above = heads if above is None else above

    @abstractmethod
    def try_out(self, images: torch.Tensor) -> None:
        """Compute images, and look at what comes.

        Args:
            images: (1, 3, height, width).

        Raises:
            SpecError: it is not what the task needs.
            RuntimeError, ValueError, AssertionError, IndexError, ZeroDivisionError: the images have no fitting size.
        """

    def checkpoint_activations(self) -> None:
        """Compute parts of the forward pass again for the backward pass, rather than keep them.

        Raises:
            SpecError: the network can't.
        """
        checkpoint_activations_of(self.network)

    @property
    def has_backbone(self) -> bool:
        """Whether a part of the network is told apart as its backbone."""
        return self._backbone is not None

    def leave_out_what_only_training_needs(self) -> None:
        """Called when weights are there and are only used from now on. Most networks have nothing of the kind."""

    def in_heads(self, name: str) -> bool:
        """Whether a parameter of the network is for its classes."""
        return _within(name, self.heads)

    def in_backbone(self, name: str) -> bool:
        """Whether a parameter of the network belongs to the backbone."""
        return not self.in_heads(name) if self._backbone is None else _within(name, self._backbone)


@dataclass(frozen=True)
class Kind:
    """Models for one task.

    Args:
        task: That they are for.
        doing: What they do, after "can't": ``classify images``.
        find: From a configuration of transformers to its class for the task; None where it has none.
        own: What else than its configuration a checkpoint says of a model, as plain values: of the network's class, its
            configuration, and how it wants its images.
        wrap: From the network, its configuration and what `own` gave to the model.
        image_size: From a configuration to the size in pixels, both sides, that the model is usually used at.
        default_images: From a size in pixels to how a model is shown images that nothing says that of.
        read_images: From a ``preprocessor_config.json`` and the usual size to how a model wants its images. Raises
            WeightsError where the file can't be read.
        prepare: Changes a configuration before a network is made of it.
        begin: Changes a network's random weights before it is trained from scratch.
    """

    task: Task
    doing: str
    find: Callable[[Any], type[Any] | None]
    own: Callable[[type[Any], Any, ImageConfig], dict[str, Any]]
    wrap: Callable[[nn.Module, Any, Mapping[str, Any]], HfModel]
    image_size: Callable[[Any], int]
    default_images: Callable[[int], ImageConfig]
    read_images: Callable[[Path, int], ImageConfig]
    prepare: Callable[[Any], None] = lambda _config: None
    begin: Callable[[nn.Module], None] = lambda _network: None


def checkpoint_activations_of(part: Any) -> None:
    """Compute the layers of a network of transformers, or of a part of one, again rather than keep what they gave.

    Raises:
        SpecError: it can't.
    """
    if not part.supports_gradient_checkpointing:
        raise SpecError(
            "activation_checkpointing", f"can't be had with {type(part).__name__}", instruction="Leave it out."
        )
    part.activation_checkpointing_enable()


def class_modules(kind: type[Any], config: Any) -> tuple[str, ...]:
    """Names of the modules whose weights have another shape where there is one class more.

    Args:
        kind: transformers' class.
        config: Its configuration.
    """
    shapes = []
    for more in (0, 1):
        changed = copy.deepcopy(config)
        changed.num_labels = config.num_labels + more
        with torch.device("meta"):
            network = kind(changed)
        shapes.append({name: value.shape for name, value in network.state_dict().items()})
    one, other = shapes
    return tuple(dict.fromkeys(name.rpartition(".")[0] for name in one if one[name] != other[name]))


def _within(name: str, modules: tuple[str, ...]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)
