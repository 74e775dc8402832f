"""Plugins that can be installed: what to say where one of them is missing."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import NamedTuple

from visiontrain.protocol.tasks import OBJECT_TASKS, Task

__all__ = ["KNOWN_PLUGINS", "KnownPlugin", "installing", "knowing"]

#: Visiontrain's own; others are named where their installation is suggested.
_OWN_LICENCE = "Apache-2.0"


class KnownPlugin(NamedTuple):
    """A plugin by its framework's name, with what there is to know before it is installed.

    Args:
        name: The framework's.
        distribution: To install.
        tasks: That it can be trained for.
        models: Patterns of model names that nothing else has.
        licence: SPDX identifier.
    """

    name: str
    distribution: str
    tasks: frozenset[Task]
    models: tuple[str, ...]
    licence: str


KNOWN_PLUGINS = (
    KnownPlugin("timm", "visiontrain-timm", frozenset({Task.classify}), (), "Apache-2.0"),
    KnownPlugin(
        "yolo", "visiontrain-yolo", OBJECT_TASKS | {Task.classify}, ("yolo*", "rtdetr-[lxr]*"), "AGPL-3.0-or-later"
    ),
    KnownPlugin(
        "hf",
        "visiontrain-hf",
        frozenset({Task.classify, Task.detect, Task.segment, Task.semantic}),
        ("*/*", "*-tiny", "*-tiny-scratch"),
        "Apache-2.0",
    ),
)


def installing(plugins: Iterable[KnownPlugin]) -> str:
    """The command that installs one of them; a licence that is not visiontrain's own is named."""
    named = [
        each.distribution + ("" if each.licence == _OWN_LICENCE else f" (licence: {each.licence})") for each in plugins
    ]
    return f"pip install {' or '.join(named)}"


def knowing(model: str) -> KnownPlugin | None:
    """The plugin whose framework has a model of that name, as far as the name tells."""
    if ":" in model:  # a scheme, which each framework spells its own way
        return None
    return next((each for each in KNOWN_PLUGINS if any(fnmatchcase(model, name) for name in each.models)), None)
