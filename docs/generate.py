"""Writes the pages of the reference that say what the code says: ``python docs/generate.py``.

A test fails when one is stale.
"""
# ruff: noqa: INP001 - a program, not a package

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from visiontrain.plugin.manifest import Manifest, Option

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
        "`-h` and `--help` show what is here.",
        "[Exit codes](exit-codes.md) and [JSON output](../how-to/json-output.md) have pages of their own.",
        "",
        *_table(("option", ""), _described(root, "option")),
    ]
    for path, command in _commands(root, ("visiontrain",)):
        lines += ["", *_command(path, command)]
    return "\n".join(lines).rstrip() + "\n"


def timm_options_page() -> str:
    """timm's options, from its manifest."""
    from visiontrain_timm.plugin import MANIFEST

    return options_page(MANIFEST)


def yolo_options_page() -> str:
    """Ultralytics' options, from its manifest."""
    from visiontrain_yolo.plugin import MANIFEST

    return options_page(MANIFEST)


def hf_options_page() -> str:
    """The options of transformers' models, from their manifest."""
    from visiontrain_hf.plugin import MANIFEST

    return options_page(MANIFEST)


def options_page(manifest: Manifest) -> str:
    """The options of a framework."""
    defaults = manifest.defaults
    size = "the model's own" if defaults.image_size is None else str(defaults.image_size)
    lines = [
        _GENERATED,
        f"# {manifest.name}'s options",
        "",
        "Give them as `--set name=value` on the command line, below `options` in a configuration file,",
        "or as keywords in Python: `vt.train(..., weight_decay=0.1)`.",
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
    REFERENCE / "yolo-options.md": yolo_options_page,
    REFERENCE / "hf-options.md": hf_options_page,
}


def _option(option: Option) -> tuple[str, ...]:
    default = "worked out" if option.default is None else f"`{_value(option.default)}`"
    values = ", ".join(f"`{choice}`" for choice in option.choices) or option.bounds()
    return f"`{option.name}`", option.type, default, values.replace("any bool", "`true`, `false`"), option.help


def _value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _commands(group: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command below a group, in the help's order, groups before what they hold."""
    for name, command in group.commands.items():
        if not command.hidden:
            here = (*path, name)
            yield here, command
            yield from _commands(command, here) if _is_group(command) else ()


def _is_group(command: Any) -> bool:
    return hasattr(command, "commands")


def _command(path: tuple[str, ...], command: Any) -> list[str]:
    context = command.context_class(command, info_name=" ".join(path))
    depth = "#" * len(path)
    lines = [f"{depth} `{' '.join(path)}`", "", _prose(command.help)]
    if not _is_group(command):
        lines += ["", "```text", " ".join([*path, *map(_piece, command.collect_usage_pieces(context))]), "```"]
    arguments = _described(command, "argument")
    options = _described(command, "option")
    lines += ["", *_table(("argument", ""), arguments)] if arguments else []
    return lines + (["", *_table(("option", ""), options)] if options else [])


def _described(command: Any, kind: str) -> list[tuple[str, str]]:
    """Arguments or options with their help, as ``--help`` shows them."""
    context = command.context_class(command, info_name="")
    records = [param.get_help_record(context) for param in command.params if param.param_type_name == kind]
    return [(f"`{_spelling(names)}`", _sentence(text)) for names, text in filter(None, records)]


def _piece(piece: str) -> str:
    """A piece of the usage line: versions of typer put braces around what is required, and brackets twice."""
    return piece.replace("{", "").replace("}", "").replace("[[", "[").replace("]]", "]")


#: How versions of typer write a type, and what the page writes.
_TYPES = {"<str>": "TEXT", "<path>": "PATH", "<int>": "N", "INTEGER": "N", "<float>": "X", "FLOAT": "X"}


def _spelling(names: str) -> str:
    words = [_TYPES.get(word, word) for word in names.split(" ")]
    if words[0].startswith("-"):
        return " ".join(words)
    name = words[0]  # an argument has its own word: no type
    return name[1:-1] if name.startswith("[") else name


def _sentence(text: str | None) -> str:
    words = " ".join((text or "").split())
    words = words.replace("[required]", "").replace("[default: ", "By default ").removesuffix("]").strip()
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
