"""The hooks that a plugin implements. Entry-point group: ``visiontrain``."""

from __future__ import annotations

from collections.abc import Callable

import pluggy

from visiontrain.plugin.manifest import Manifest
from visiontrain.plugin.trackers import TrackerManifest

__all__ = ["ENTRY_POINT_GROUP", "Register", "RegisterTracker", "hookimpl", "hookspec"]

ENTRY_POINT_GROUP = "visiontrain"

#: What `register_frameworks` is given.
Register = Callable[[Manifest], None]

#: What `register_trackers` is given.
RegisterTracker = Callable[[TrackerManifest], None]

hookspec = pluggy.HookspecMarker("visiontrain")
hookimpl = pluggy.HookimplMarker("visiontrain")


@hookspec
def register_frameworks(register: Register) -> None:
    """Call `register` once for each framework that the plugin adds. Since 0.1."""


@hookspec
def register_trackers(register: RegisterTracker) -> None:
    """Call `register` once for each tracker that the plugin adds. Since 0.1."""
