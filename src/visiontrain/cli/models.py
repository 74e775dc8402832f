"""``visiontrain models`` and ``visiontrain plugins``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from visiontrain.cli.completion import complete_framework, complete_model
from visiontrain.cli.guard import guarded
from visiontrain.cli.options import CONTEXT, JsonOption

if TYPE_CHECKING:
    from visiontrain.plugin.discovery import Plugin
    from visiontrain.plugin.manifest import Manifest
    from visiontrain.session import Session

__all__ = ["add_commands"]

FrameworkOption = Annotated[
    str | None,
    typer.Option("--framework", metavar="F", help="Only this framework's.", autocompletion=complete_framework),
]


def add_commands(app: typer.Typer) -> None:
    """Add them."""
    app.command("models", context_settings=CONTEXT)(guarded(models))
    app.command("plugins", context_settings=CONTEXT)(guarded(plugins))


def models(
    pattern: Annotated[
        str | None,
        typer.Argument(
            metavar="PATTERN",
            help="Part of the names, with * and ?: 'resnet*'.",
            autocompletion=complete_model,
            show_default=False,
        ),
    ] = None,
    framework: FrameworkOption = None,
    options: Annotated[
        bool, typer.Option("--options", help="Show instead what --set can set when the model is trained.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List the models that can be trained.

    On a terminal they come with the tags of their published weights, in a pipe as names alone. NAME begins with the
    first tag's weights, NAME.TAG with those of another one.
    """
    from visiontrain.cli.output import print_json, print_table, print_text
    from visiontrain.session import Session

    session = Session()
    if options:
        _print_options(_frameworks(session, pattern, framework), as_json=as_json)
        return
    found = session.models(pattern or "*", framework=framework)
    if not found and pattern:
        raise _no_match(session, pattern, framework)
    several = len({model.framework for model in found}) > 1
    if as_json:
        for model in found:
            print_json(
                {
                    "name": model.name,
                    "framework": model.framework,
                    "tasks": list(model.tasks),
                    "pretrained": list(model.pretrained),
                }
            )
    elif sys.stdout.isatty():
        headers = ("MODEL", *(("FRAMEWORK",) if several else ()), "TASKS", "WEIGHTS")
        print_table(
            headers,
            [
                (
                    model.name,
                    *((model.framework,) if several else ()),
                    ", ".join(model.tasks),
                    ", ".join(model.pretrained),
                )
                for model in found
            ],
        )
    else:
        for model in found:
            print_text(model.name)


def plugins(as_json: JsonOption = False) -> None:
    """List the installed plugins.

    Broken ones are listed with what is wrong with them.
    """
    from visiontrain.cli.output import print_json, print_text
    from visiontrain.display.consoles import error_console, say
    from visiontrain.session import Session

    session = Session()
    built = {generation.name for generation in session.environments()}
    for plugin in session.plugins():
        if as_json:
            print_json(
                {
                    "name": plugin.name,
                    "distribution": plugin.distribution,
                    "version": plugin.version,
                    "frameworks": [
                        {
                            "name": manifest.name,
                            "summary": manifest.summary,
                            "licence": manifest.licence,
                            "tasks": [str(task) for task in manifest.tasks],
                            "environment_built": manifest.name in built,
                        }
                        for manifest in plugin.frameworks
                    ],
                    "trackers": [
                        {
                            "name": tracker.name,
                            "summary": tracker.summary,
                            "licence": tracker.licence,
                            "environment_built": tracker.name in built,
                        }
                        for tracker in plugin.trackers
                    ],
                    "error": plugin.error,
                }
            )
            continue
        print_text(f"{plugin.name}  ({plugin.distribution} {plugin.version})")
        for line in _plugin_lines(plugin, built):
            print_text(f"  {line}")
    if not session.plugins() and not as_json:
        say(error_console(), "No plugin is installed. Install one: pip install visiontrain-timm")


def _plugin_lines(plugin: Plugin, built: set[str]) -> list[str]:
    lines = [
        f"BROKEN: {line}" if number == 0 else line for number, line in enumerate((plugin.error or "").splitlines())
    ]
    for manifest in plugin.frameworks:
        state = "built" if manifest.name in built else f"not built yet: visiontrain env build {manifest.name}"
        lines += [
            f"framework    {manifest.name}: {manifest.summary}",
            f"tasks        {', '.join(map(str, manifest.tasks))}",
            f"licence      {manifest.licence}",
            f"environment  {state}",
        ]
    for tracker in plugin.trackers:
        state = "built" if tracker.name in built else "not built yet; the first run that is tracked builds it"
        lines += [
            f"tracker      {tracker.name}: {tracker.summary}",
            f"licence      {tracker.licence}",
            f"environment  {state}",
        ]
    return lines


def _frameworks(session: Session, model: str | None, framework: str | None) -> list[Manifest]:
    """The frameworks whose options are meant."""
    from visiontrain.errors import EnvironmentBuildError
    from visiontrain.runners.routing import frameworks_of, route

    installed = frameworks_of(session.plugins())
    if framework is not None:
        return [session.framework(framework).manifest]
    if model is None:
        return [each.manifest for each in installed]
    try:
        names = {found.framework for found in session.models(model)}
    except EnvironmentBuildError:
        # Nothing is built yet: the manifests' patterns know the family at least.
        return [route(model, installed, lambda _: None, session.plugins()).manifest]
    if not names:
        raise _no_match(session, model, None)
    return [each.manifest for each in installed if each.manifest.name in names]


def _print_options(manifests: list[Manifest], *, as_json: bool) -> None:
    from visiontrain.cli.output import print_json, print_text

    for manifest in manifests:
        if not as_json:
            print_text(f"Options of {manifest.name}, each given as --set name=value")
        for option in manifest.options:
            if as_json:
                print_json({"framework": manifest.name, **option.model_dump(mode="json")})
                continue
            bounds = " | ".join(option.choices) or option.bounds()
            default = "worked out" if option.default is None else str(option.default)
            print_text(f"\n  {option.name}  ({option.type}: {bounds}; default: {default})")
            print_text(f"      {option.help}")


def _no_match(session: Session, pattern: str, framework: str | None) -> Exception:
    from visiontrain.errors import UnknownModelError
    from visiontrain.runners.routing import near_models

    plain = pattern.strip("*?")
    names = [model.name for model in session.models(framework=framework)]
    near = near_models(plain, names) or [name for name in names if plain in name][:5]
    hint = f"Did you mean {', '.join(near)}? " if near else ""
    return UnknownModelError(
        f"no model matches {pattern!r}",
        instruction=f"{hint}A pattern has * for any text: visiontrain models '{plain}*'",
    )
