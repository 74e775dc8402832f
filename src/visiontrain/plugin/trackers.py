"""What a plugin declares about a tracker that it adds: read by the host, without importing the tracker's packages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from visiontrain.protocol.version import API_VERSION

__all__ = ["TrackerManifest"]

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")


class TrackerManifest(BaseModel):
    """One tracker that a plugin adds: where the numbers and files of runs are sent to.

    Args:
        name: The tracker's name, unique among installed plugins' trackers and frameworks; also its environment's.
        api_version: `visiontrain.protocol.version.API_VERSION` that the plugin was written for.
        summary: One line for ``visiontrain plugins``.
        licence: SPDX identifier of the plugin.
        environment: Folder with ``environment.toml`` and ``requirements.lock``.
        tracker: ``package.module:Class`` that runs inside the environment: a `visiontrain.worker.tracker.Tracker`.
        packages: Top-level packages of the plugin that the worker must see beside ``visiontrain``; by default the
            tracker's.
        uri_variable: The environment variable that says where to send to, where the person does not.
        experiment_variable: The one that says under which experiment.
        schemes: What an address may begin with, as ``https``; of a database without its driver. By default anything.
        variables: Further environment variables that reach the tracker's worker, and no other: credentials.
        fixed: Environment variables that are set for it whatever they are outside.
        pages: What the environment's Python is started with to show pages of the store in the home, until it is
            killed: ``{host}``, ``{port}``, ``{folder}`` (the store's) and ``{quoted}`` (the same as part of a URI) are
            filled in.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    api_version: int = Field(default=API_VERSION)
    summary: str
    licence: str
    environment: Path
    tracker: str
    packages: tuple[str, ...] = Field(default=(), min_length=1)
    uri_variable: str
    experiment_variable: str
    schemes: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    fixed: Mapping[str, str] = Field(default_factory=dict)
    pages: tuple[str, ...] = Field(min_length=1)

    @field_validator("name")
    @classmethod
    def _valid_name(cls, value: str) -> str:
        if not _NAME.fullmatch(value):
            raise ValueError(f"{value!r} is not a tracker's name: lower-case letters, digits and underscores")
        return value

    @field_validator("tracker")
    @classmethod
    def _valid_tracker(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", value):
            raise ValueError(f"{value!r} is not of the form package.module:Class")
        return value

    @field_validator("uri_variable", "experiment_variable")
    @classmethod
    def _valid_variable(cls, value: str) -> str:
        if not _VARIABLE.fullmatch(value):
            raise ValueError(f"{value!r} is not an environment variable's name")
        return value

    @model_validator(mode="before")
    @classmethod
    def _trackers_package(cls, values: Any) -> Any:
        if isinstance(values, dict) and "packages" not in values and isinstance(values.get("tracker"), str):
            return {**values, "packages": (re.split("[.:]", values["tracker"])[0],)}
        return values
