"""What a plugin declares about itself: read by the host, without importing the framework."""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from visiontrain.errors import DeviceError, SpecError, WeightsError
from visiontrain.protocol.tasks import Task
from visiontrain.protocol.version import API_VERSION

__all__ = ["Defaults", "Manifest", "Option", "OptionValue"]

OptionValue = bool | int | float | str

#: Longest value that an error repeats whole, in characters.
_SHOWN = 120

#: What a model can begin with, in words, and how a person asks for it.
_WEIGHTS: Mapping[Literal["pretrained", "scratch", "file"], tuple[str, str]] = MappingProxyType(
    {
        "pretrained": ("published weights", "--pretrained"),
        "scratch": ("random weights", "--scratch"),
        "file": ("the weights of a file", "--weights PATH"),
    }
)

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Option(_Declared):
    """One training option of a plugin, given as ``--set name=value`` or as a keyword.

    `minimum` and `maximum` are inclusive. `choices` bounds a string. A `default` of None means that the trainer
    works the value out and says which it took.
    """

    name: str
    type: Literal["bool", "int", "float", "str"]
    default: OptionValue | None
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()

    @field_validator("name")
    @classmethod
    def _valid_name(cls, value: str) -> str:
        if not _NAME.fullmatch(value):
            raise ValueError(f"{value!r} is not an option's name: lower-case letters, digits and underscores")
        return value

    @model_validator(mode="after")
    def _default_is_valid(self) -> Option:
        if self.default is not None:
            self.check(self.default)
        return self

    def check(self, value: object) -> OptionValue:
        """Convert and check a value, which may be the text that a person typed.

        Raises:
            SpecError: another type, or out of bounds; the message says what would be right.
        """
        converted = self._convert(value)
        number = converted if isinstance(converted, (int, float)) else None
        if self.choices and converted not in self.choices:
            raise SpecError(self.name, f"must be one of {', '.join(self.choices)}, not {_clipped(converted)}")
        below = self.minimum is not None and number is not None and not number >= self.minimum
        above = self.maximum is not None and number is not None and not number <= self.maximum
        if below or above:
            raise SpecError(self.name, f"must be {self.bounds()}, not {converted}")
        return converted

    def bounds(self) -> str:
        """The bounds in words: "between 0 and 1", "at least 1", or "any <type>"."""
        if self.minimum is not None and self.maximum is not None:
            return f"between {self.minimum:g} and {self.maximum:g}"
        if self.minimum is not None:
            return f"at least {self.minimum:g}"
        if self.maximum is not None:
            return f"at most {self.maximum:g}"
        return f"any {self.type}"

    def _convert(self, value: object) -> OptionValue:
        if self.type == "str" and isinstance(value, str):
            return value
        if self.type == "bool":
            words = {
                "true": True,
                "yes": True,
                "on": True,
                "1": True,
                "false": False,
                "no": False,
                "off": False,
                "0": False,
            }
            if isinstance(value, bool):
                return value
            if isinstance(value, str) and value.lower() in words:
                return words[value.lower()]
        if self.type in ("int", "float") and isinstance(value, (int, float, str)) and not isinstance(value, bool):
            try:
                number = float(value)
                if self.type == "float" and math.isfinite(number):
                    return number
                if self.type == "int" and number.is_integer():
                    return int(value)
            except (ValueError, OverflowError):
                pass
        raise SpecError(self.name, f"must be of type {self.type}, not {_clipped(value)}")


def _clipped(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


class Defaults(_Declared):
    """A plugin's defaults for what every trainer has. None for image size: the model's own."""

    epochs: int = Field(default=10, ge=1)
    batch_size: int = Field(default=32, ge=1)
    image_size: int | None = Field(default=None, ge=1)


class Manifest(_Declared):
    """One framework that a plugin adds.

    Args:
        name: The framework's name, unique among installed plugins; also its environment's name.
        api_version: `visiontrain.protocol.version.API_VERSION` that the plugin was written for.
        summary: One line for ``visiontrain plugins``.
        licence: SPDX identifier of the plugin, shown where people choose it and kept in each run's record.
        tasks: What it can train; the first is taken where neither person nor data decide.
        multi_label: Whether it trains classifiers on images that have any number of classes.
        aliases: Other names that ``--framework`` accepts.
        auto_batch_size: Whether its trainer finds a batch size where a person asks for ``auto``; else that is refused.
        models: Patterns (as `fnmatch` takes them) that the framework's model names match. They route a name while the
            environment is not built; the catalogue, read from the built environment, has the last word.
        export_formats: What its models can be exported as: onnx, torchscript... None, where its trainer can't export.
        options: Training options.
        check_options: Is given every option's value by name before a run is planned, in the host; raises `SpecError`
            where two of them contradict each other or a text can't be read.
        defaults: Defaults for what every trainer has.
        environment: Folder with ``environment.toml`` and ``requirements.lock``.
        devices: Kinds of devices that it can compute on, of cpu, cuda and mps; others are refused before a run starts.
            None named: its trainer refuses them.
        weights: What its models can begin with: published weights, random ones, or those of a file; others are refused.
        trainer: ``package.module:Class`` that runs inside the environment.
        packages: Top-level packages of the plugin that the worker must see beside ``visiontrain``; by default the
            trainer's.
        variables: Further environment variables that reach the worker.
    """

    name: str
    api_version: int = Field(default=API_VERSION)
    summary: str
    licence: str
    tasks: tuple[Task, ...] = Field(min_length=1)
    multi_label: bool = False
    auto_batch_size: bool = False
    aliases: tuple[str, ...] = ()
    models: tuple[str, ...] = Field(min_length=1)
    export_formats: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    check_options: Callable[[Mapping[str, OptionValue | None]], None] | None = Field(default=None, exclude=True)
    defaults: Defaults = Defaults()
    environment: Path
    devices: tuple[Literal["cpu", "cuda", "mps"], ...] = ()
    weights: tuple[Literal["pretrained", "scratch", "file"], ...] = Field(default=tuple(_WEIGHTS), min_length=1)
    trainer: str
    packages: tuple[str, ...] = Field(default=(), min_length=1)
    variables: tuple[str, ...] = ()

    @field_validator("name")
    @classmethod
    def _valid_name(cls, value: str) -> str:
        if not _NAME.fullmatch(value):
            raise ValueError(f"{value!r} is not a framework's name: lower-case letters, digits and underscores")
        return value

    @field_validator("trainer")
    @classmethod
    def _valid_trainer(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", value):
            raise ValueError(f"{value!r} is not of the form package.module:Class")
        return value

    @model_validator(mode="before")
    @classmethod
    def _trainers_package(cls, values: Any) -> Any:
        if isinstance(values, dict) and "packages" not in values and isinstance(values.get("trainer"), str):
            return {**values, "packages": (re.split("[.:]", values["trainer"])[0],)}
        return values

    def check_device(self, device: str) -> None:
        """Refuse a device that the framework can't compute on. ``auto`` is decided by the trainer.

        Raises:
            DeviceError: it can't.
        """
        if self.devices and device != "auto" and device.partition(":")[0] not in self.devices:
            raise DeviceError(
                f"the framework {self.name} can't compute on {device}",
                instruction=f"Give --device {' or '.join(self.devices)}, or none.",
            )

    def check_batch_size(self, batch_size: int | Literal["auto"] | None) -> None:
        """Refuse to let a trainer find a batch size that can't.

        Raises:
            SpecError: it can't.
        """
        if batch_size == "auto" and not self.auto_batch_size:
            raise SpecError(
                "batch_size",
                f"can't be auto: the framework {self.name} does not find one",
                instruction=f"Give a number, or leave it out for {self.defaults.batch_size}.",
            )

    def check_weights(self, source: Literal["pretrained", "scratch", "file"]) -> None:
        """Refuse first weights that the framework's models can't begin with.

        Raises:
            WeightsError: they can't.
        """
        if source not in self.weights:
            words, _ = _WEIGHTS[source]
            ways = " or ".join(_WEIGHTS[can][1] for can in self.weights)
            raise WeightsError(f"the framework {self.name} can't begin with {words}", instruction=f"Give {ways}.")

    def answers_to(self, model: str) -> bool:
        """Whether one of the patterns matches the model's name. One with a scheme is matched by those that have one."""
        patterns = (pattern for pattern in self.models if (":" in pattern) == (":" in model))
        return any(fnmatch.fnmatchcase(model, pattern) for pattern in patterns)

    def is_called(self, framework: str) -> bool:
        """Whether the framework goes by this name or alias."""
        return framework == self.name or framework in self.aliases
