"""Which framework trains a model: its name decides, by catalogue where there is one, else by manifests' patterns."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from visiontrain.errors import AmbiguousModelError, SpecError, UnknownModelError
from visiontrain.plugin.discovery import Plugin
from visiontrain.plugin.manifest import Manifest
from visiontrain.runners.catalog import Catalog
from visiontrain.runners.edition import edition_of
from visiontrain.runners.known import KNOWN_PLUGINS, installing, knowing

__all__ = ["Framework", "frameworks_of", "near_models", "route", "route_framework"]


@dataclass(frozen=True)
class Framework:
    """A framework that can be used: its manifest and the plugin that brings it."""

    manifest: Manifest
    plugin: Plugin

    @property
    def edition(self) -> str:
        """Which state of the plugin's code it is."""
        return edition_of(self.plugin, self.manifest)


def frameworks_of(plugins: Iterable[Plugin]) -> tuple[Framework, ...]:
    """The frameworks of all working plugins."""
    return tuple(Framework(manifest, plugin) for plugin in plugins for manifest in plugin.frameworks)


def route_framework(name: str, frameworks: Sequence[Framework], plugins: Sequence[Plugin] = ()) -> Framework:
    """The framework that goes by this name.

    Raises:
        SpecError: none does; the message says which are installed, or what to install.
    """
    for framework in frameworks:
        if framework.manifest.is_called(name):
            return framework
    installed = [framework.manifest.name for framework in frameworks]
    raise SpecError(
        "framework", f"no installed plugin adds {name!r}", instruction=_what_to_do(name, installed, plugins)
    )


def route(
    model: str,
    frameworks: Sequence[Framework],
    catalog_of: Callable[[Framework], Catalog | None],
    plugins: Sequence[Plugin] = (),
) -> Framework:
    """The framework that knows the model.

    Raises:
        UnknownModelError: none does; the message has near matches and what to install.
        AmbiguousModelError: several do.
    """
    found = [framework for framework in frameworks if _knows(framework, model, catalog_of(framework))]
    if len(found) == 1:
        return found[0]
    if found:
        names = " and ".join(framework.manifest.name for framework in found)
        raise AmbiguousModelError(
            f"the frameworks {names} both know a model {model!r}",
            instruction=f"Say which with --framework {found[0].manifest.name} or --framework {found[1].manifest.name}.",
        )
    raise unknown_model(model, frameworks, catalog_of, plugins)


def unknown_model(
    model: str,
    frameworks: Sequence[Framework],
    catalog_of: Callable[[Framework], Catalog | None],
    plugins: Sequence[Plugin] = (),
) -> UnknownModelError:
    """The error for a model that none of the frameworks knows."""
    reason, installed = f"no installed framework knows a model {model!r}", [each.manifest.name for each in frameworks]
    known = knowing(model)
    if known is not None and known.name not in installed and not any(plugin.error for plugin in plugins):
        return UnknownModelError(
            reason, instruction=f"It is one of {known.name}'s. Install that: {installing([known])}"
        )
    names: list[str] = []
    unread: list[str] = []
    for framework in frameworks:
        catalog = catalog_of(framework)
        if catalog is None:
            unread.append(framework.manifest.name)
            names += [pattern.strip("*_.") for pattern in framework.manifest.models]
        else:
            names += catalog.names
    near = near_models(model, names)
    hints = []
    if near:
        hints.append(f"Did you mean {', '.join(near)}?")
    if unread:
        hints.append(f"To have the names of {unread[0]} at hand, run: visiontrain env build {unread[0]}")
    elif frameworks:
        hints.append("visiontrain models '*PART*' lists names.")
    hints.append(_what_to_do(None, installed, plugins))
    instruction = " ".join(hint for hint in hints if hint)
    return UnknownModelError(reason, instruction=instruction or None)


def near_models(model: str, names: Iterable[str]) -> list[str]:
    """Up to five names that look like `model`."""
    pool = sorted(set(names))
    near = difflib.get_close_matches(model, pool, n=5, cutoff=0.7)
    # Typing the family alone is the other common slip: resnet for resnet18.
    return near or [name for name in pool if name.startswith(model)][:5]


def _knows(framework: Framework, model: str, catalog: Catalog | None) -> bool:
    # Names with a scheme (local-dir:, hf-hub:), of a hub (google/vit) and of folders point outside the catalogue.
    if catalog is None or ":" in model or "/" in model:
        return framework.manifest.answers_to(model)
    return model in catalog.names


def _what_to_do(name: str | None, installed: Sequence[str], plugins: Sequence[Plugin]) -> str:
    broken = [plugin for plugin in plugins if plugin.error]
    if broken:
        return f"The plugin {broken[0].name} is installed and broken: visiontrain plugins says why."
    missing = [known for known in KNOWN_PLUGINS if known.name not in installed]
    wanted = [known for known in missing if known.name == name]
    if wanted:
        return f"Install it: {installing(wanted)}"
    if not installed:
        return f"No plugin is installed. Install one: {installing(missing)}"
    return f"Installed: {', '.join(installed)}." if name else ""
