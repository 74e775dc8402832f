"""Writes the reference pages that say what the code says: ``python docs/generate.py``. A test fails when one is stale."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from visiontrain.plugins.manifest import Manifest, Option

__all__ = ["PAGES"]

REFERENCE = Path(__file__).parent / "reference"

_GENERATED = "<!-- Written by docs/generate.py: change the code, then run it. -->"


def cli_page() -> str:
    """The command line, from the commands themselves."""
    import typer

    from visiontrain.cli.main import app

    root: Any = typer.main.get_command(app)
    lines = [
        _GENERATED,
        "# Command line",
        "",
        _prose(root.help),
        "",
        "RUN is a run's id, the beginning of one, its name, or `last`. Messages and progress go to stderr, what was asked for to "
        "stdout. [Exit codes](exit-codes.md) and [JSON output](../how-to/json-output.md) have pages of their own.",
        "",
        *_table(("option", ""), _options(root)),
    ]
    for path, command in _commands(root, ("visiontrain",)):
        lines += ["", *_command(path, command)]
    return "\n".join(lines).rstrip() + "\n"


def timm_options_page() -> str:
    """timm's options, from its manifest."""
    from visiontrain_timm.plugin import MANIFEST

    return options_page(MANIFEST)


def options_page(manifest: Manifest) -> str:
    """The options of a framework."""
    defaults = manifest.defaults
    size = "the model's own" if defaults.image_size is None else str(defaults.image_size)
    lines = [
        _GENERATED,
        f"# {manifest.name}'s options",
        "",
        "Give them as `--set name=value` on the command line, below `options` in a configuration file, or as keywords in "
        "Python: `vt.train(..., weight_decay=0.1)`.",
        "",
        *_table(("option", "type", "default", "values", ""), map(_option, manifest.options)),
        "",
        "## Defaults of what every training has",
        "",
        *_table(
            ("", "default"),
            [("epochs", str(defaults.epochs)), ("batch size", str(defaults.batch_size)), ("image size", size)],
        ),
    ]
    return "\n".join(lines) + "\n"


PAGES: dict[Path, Callable[[], str]] = {
    REFERENCE / "cli.md": cli_page,
    REFERENCE / "timm-options.md": timm_options_page,
}


def _option(option: Option) -> tuple[str, ...]:
    default = "worked out" if option.default is None else f"`{_value(option.default)}`"
    values = ", ".join(f"`{choice}`" for choice in option.choices) or option.bounds()
    return f"`{option.name}`", option.type, default, values.replace("any bool", "`true`, `false`"), option.help


def _value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _commands(group: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command below a group that is shown in its help, groups before what they hold."""
    for name, command in group.commands.items():
        if not command.hidden:
            here = (*path, name)
            yield here, command
            if hasattr(command, "commands"):
                yield from _commands(command, here)


def _command(path: tuple[str, ...], command: Any) -> list[str]:
    lines = [f"## `{' '.join(path)}`", "", _prose(command.help)]
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    if not hasattr(command, "commands"):
        usage = [*path, *(_usage(param) for param in arguments)]
        usage += ["[OPTIONS]"] if _options(command) else []
        lines += ["", "```text", " ".join(usage), "```"]
    described = [(f"`{_name(param)}`", _sentence(param.help)) for param in arguments if param.help]
    if described:
        lines += ["", *_table(("argument", ""), described)]
    options = _options(command)
    if options:
        lines += ["", *_table(("option", ""), options)]
    return lines


def _name(param: Any) -> str:
    return str(param.metavar or param.name.upper())


def _usage(param: Any) -> str:
    name = _name(param) + ("..." if param.nargs == -1 else "")
    return name if param.required else f"[{name}]"


def _options(command: Any) -> list[tuple[str, str]]:
    rows = []
    for param in command.params:
        if param.param_type_name != "option" or param.hidden:
            continue
        names = ", ".join([*param.opts, *param.secondary_opts])
        value = "" if param.is_flag else f" {param.metavar or _type(param)}"
        text = _sentence(param.help)
        if param.show_default and param.default not in (None, False, ()) and not callable(param.default):
            text += f" Default: `{param.default}`."
        rows.append((f"`{names}{value}`", text.strip()))
    return rows


def _type(param: Any) -> str:
    choices = getattr(param.type, "choices", None)
    return "|".join(map(str, choices)) if choices else str(param.type.name).upper()


def _sentence(text: str | None) -> str:
    words = " ".join((text or "").split())
    return words if not words or words.endswith((".", ":", "?")) else f"{words}."


def _prose(text: str | None) -> str:
    paragraphs = (text or "").replace("\b", "").strip().split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _table(head: tuple[str, ...], rows: Any) -> list[str]:
    body = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head), *body] if body else []


if __name__ == "__main__":
    for page, make in PAGES.items():
        page.write_text(make(), encoding="utf-8")
