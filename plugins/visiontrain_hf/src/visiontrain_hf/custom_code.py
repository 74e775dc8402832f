"""Python code that a model brings along: run where it is asked for by the name of the place it comes from, else not.

It is never kept in a checkpoint: whoever uses one would run what others wrote without having asked for it. A checkpoint
says where the code lies and what it was like, and it is loaded from there again.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import Any

from transformers import CONFIG_MAPPING
from transformers.dynamic_module_utils import get_class_from_dynamic_module

from visiontrain.errors import SpecError, WeightsError
from visiontrain.protocol.tasks import Task

__all__ = ["CustomCode", "LoadedCode", "code_of", "load_code"]

#: Under which name a description says which class does a task.
_AUTO_CLASSES = {
    Task.classify: "AutoModelForImageClassification",
    Task.detect: "AutoModelForObjectDetection",
    Task.segment: "AutoModelForInstanceSegmentation",
    Task.semantic: "AutoModelForSemanticSegmentation",
}

_CONFIG = "AutoConfig"
_ELSEWHERE = "--"


@dataclass(frozen=True)
class CustomCode:
    """Where a model's code is.

    Args:
        place: A name on the hub, or a folder.
        config: Module and class of its configuration, as ``configuration.OwnConfig``.
        network: Module and class of the network; None where the place has none for the task.
        digest: SHA-256 of its files in hexadecimal digits, once they were loaded.
    """

    place: str
    config: str
    network: str | None
    digest: str | None = None

    def to_plain(self) -> dict[str, str | None]:
        """For a checkpoint."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], *, allowed: str | None) -> CustomCode:
        """Of a checkpoint.

        Args:
            plain: From `to_plain`.
            allowed: The place whose code was asked for when the run began.

        Raises:
            SpecError: it is another one.
        """
        code = cls(**plain)
        if allowed is None or not _means(allowed, code.place):
            raise SpecError(
                "custom_code",
                f"is {allowed or 'not set'}, and the model runs code of {code.place}",
                instruction="Use the run that it was trained in.",
            )
        return code


@dataclass(frozen=True)
class LoadedCode:
    """The classes that code defines."""

    code: CustomCode
    config: type[Any]
    network: type[Any] | None


def code_of(model: str, told: Mapping[str, Any], task: Task, asked: str | None) -> CustomCode | None:
    """The code that is to be run for a model; None where transformers' own is.

    Args:
        model: Its name on the hub, or its folder.
        told: Its ``config.json``.
        task: That it is for.
        asked: The place whose code was asked for, if any.

    Raises:
        SpecError: the model needs code that was not asked for, or what was asked for is not there.
    """
    references = told.get("auto_map", {})
    if _CONFIG not in references:
        if asked is not None:
            raise SpecError("custom_code", f"has no effect: {model} brings no code", instruction="Leave it out.")
        return None
    if asked is None and told.get("model_type") in CONFIG_MAPPING:
        return None
    network = references.get(_AUTO_CLASSES[task])
    place = _place_of(references[_CONFIG], model)
    if network is not None and _place_of(network, model) != place:
        raise SpecError("model", f"{model} needs code from two places, which can't be had", instruction="Give another.")
    if asked is None:
        raise SpecError(
            "model",
            f"{model} comes with Python code, which would run here with your rights",
            instruction=f"Read the code of {place}, and ask for it by name if it may run: custom_code={place}.",
        )
    if not _means(asked, place):
        raise SpecError("custom_code", f"is {asked}, and the code that {model} needs is that of {place}")
    return CustomCode(place, _own_part(references[_CONFIG]), None if network is None else _own_part(network))


def load_code(code: CustomCode) -> LoadedCode:
    """Run it.

    Raises:
        WeightsError: it can't be had, needs what the environment does not have, or is not what it was.
    """
    try:
        config = get_class_from_dynamic_module(code.config, code.place)
        network = None if code.network is None else get_class_from_dynamic_module(code.network, code.place)
    except (OSError, ImportError, AttributeError, SyntaxError, ValueError) as e:
        raise WeightsError(
            f"the code of {code.place} can't be run: {e}",
            instruction="Mend it, or bring it to where it was; what it imports must be in the plugin's environment.",
        ) from e
    digest = _digest(config)
    if code.digest not in (None, digest):
        raise WeightsError(
            f"the code of {code.place} is not what it was when the run began",
            instruction="Bring back the code that the model was trained with.",
        )
    return LoadedCode(CustomCode(code.place, code.config, code.network, digest), config, network)


def _digest(loaded: type[Any]) -> str:
    """Of the Python files beside the one that defines a class."""
    folder = Path(str(sys.modules[loaded.__module__].__file__)).parent
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(f"{file.relative_to(folder).as_posix()}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _place_of(reference: str, model: str) -> str:
    return reference.partition(_ELSEWHERE)[0] if _ELSEWHERE in reference else model


def _own_part(reference: str) -> str:
    return reference.rpartition(_ELSEWHERE)[2]


def _means(asked: str, place: str) -> bool:
    """Whether a place was named: a folder's name may be told as a person would, from where they are."""
    parts = PurePath(asked).parts
    return asked == place or (Path(place).is_absolute() and bool(parts) and Path(place).parts[-len(parts) :] == parts)
