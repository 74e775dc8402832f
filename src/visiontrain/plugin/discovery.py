"""Finding plugins without letting a broken one take the others down (pluggy's own loader would)."""

from __future__ import annotations

import contextlib
import json
import sys
import traceback
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

import pluggy
from pydantic import BaseModel, ConfigDict, ValidationError

from visiontrain.errors import PluginError, VisiontrainError
from visiontrain.plugin import hookspecs
from visiontrain.plugin.hookspecs import ENTRY_POINT_GROUP
from visiontrain.plugin.manifest import Manifest
from visiontrain.plugin.trackers import TrackerManifest
from visiontrain.protocol.version import API_VERSION

__all__ = ["Plugin", "discover"]


class Plugin(BaseModel):
    """An installed plugin: what it adds, or why it can't be used.

    Args:
        name: The entry point's name.
        distribution: The distribution that brings it.
        version: The distribution's version.
        editable: Its code is used where it is written: it may change while the version does not.
        frameworks: The frameworks that it adds.
        trackers: The trackers that it adds.
        error: What is wrong with it, with what to do about it; None for a plugin that works.
        traceback: Where its code failed, as text.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    distribution: str
    version: str
    editable: bool = False
    frameworks: tuple[Manifest, ...] = ()
    trackers: tuple[TrackerManifest, ...] = ()
    error: str | None = None
    traceback: str | None = None


def discover(found: Iterable[EntryPoint] | None = None) -> tuple[Plugin, ...]:
    """Every installed plugin, by entry-point name; broken ones among them with their error.

    Args:
        found: Entry points to look at; by default those of the group ``visiontrain``.
    """
    taken: dict[str, str] = {}
    chosen = entry_points(group=ENTRY_POINT_GROUP) if found is None else found
    # Sorted, so that which of two takes a name does not depend on the order of sys.path.
    return tuple(_load(entry_point, taken) for entry_point in sorted(chosen, key=lambda e: (e.name, e.value)))


def _load(entry_point: EntryPoint, taken: dict[str, str]) -> Plugin:
    distribution, version = _origin(entry_point)
    plugin = Plugin(
        name=entry_point.name, distribution=distribution, version=version, editable=_is_editable(entry_point)
    )
    claimed = dict(taken)
    try:
        # What a plugin prints while it is loaded must not get between the lines that a program reads on stdout.
        with contextlib.redirect_stdout(sys.stderr):
            frameworks, trackers = _manifests(entry_point)
        for manifest in frameworks:
            _check(manifest, Manifest, distribution)
            _claim((manifest.name, *manifest.aliases), "framework", distribution, claimed)
        for tracker in trackers:
            _check(tracker, TrackerManifest, distribution)
            _claim((tracker.name,), "tracker", distribution, claimed)
    except VisiontrainError as error:
        return plugin.model_copy(update={"error": str(error)})
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return plugin.model_copy(update={"error": _in_words(error), "traceback": traceback.format_exc()})
    taken.update(claimed)
    return plugin.model_copy(update={"frameworks": tuple(frameworks), "trackers": tuple(trackers)})


def _origin(entry_point: EntryPoint) -> tuple[str, str]:
    """The distribution that an entry point is from, and its version; metadata may be damaged as code may."""
    module = entry_point.value.partition(":")[0]
    try:
        name, version = (entry_point.dist.name, entry_point.dist.version) if entry_point.dist else (None, None)
    except Exception:  # noqa: BLE001 - what a reader of damaged metadata raises depends on the Python
        return module, "unknown"
    return name or module, version or "unknown"


def _is_editable(entry_point: EntryPoint) -> bool:
    """Whether the installer says so (PEP 610)."""
    try:
        told = json.loads((entry_point.dist.read_text("direct_url.json") if entry_point.dist else None) or "{}")
        return bool(told.get("dir_info", {}).get("editable", False))
    except Exception:  # noqa: BLE001 - likewise
        return False


def _in_words(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - an exception's own code may be broken too
        return type(error).__name__


def _manifests(entry_point: EntryPoint) -> tuple[list[Manifest], list[TrackerManifest]]:
    # One manager a plugin: a hook of one that is not ours must not stop the others from registering.
    manager = pluggy.PluginManager("visiontrain")
    manager.add_hookspecs(hookspecs)
    manager.register(entry_point.load(), entry_point.name)
    manager.check_pending()
    frameworks: list[Manifest] = []
    trackers: list[TrackerManifest] = []
    try:
        manager.hook.register_frameworks(register=frameworks.append)
        manager.hook.register_trackers(register=trackers.append)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise PluginError(f"its manifest is not valid: {problems}") from error
    return frameworks, trackers


def _check(manifest: Manifest | TrackerManifest, due: type, distribution: str) -> None:
    if not isinstance(manifest, due):
        raise PluginError(f"it registered a {type(manifest).__name__} where a {due.__name__} is due")
    if manifest.api_version != API_VERSION:
        newer = manifest.api_version > API_VERSION
        raise PluginError(
            f"it was written for version {manifest.api_version} of the plugin interface; this visiontrain has "
            f"{API_VERSION}",
            instruction=f"Upgrade {'visiontrain' if newer else distribution}.",
        )


def _claim(names: tuple[str, ...], kind: str, distribution: str, taken: dict[str, str]) -> None:
    """Take names for a plugin: an environment goes by the name of its framework or tracker."""
    for name in names:
        if name in taken:
            raise PluginError(
                f"the {kind} name {name!r} is taken by {taken[name]}",
                instruction=f"Uninstall one of {distribution} and {taken[name]}.",
            )
    taken.update(dict.fromkeys(names, distribution))
