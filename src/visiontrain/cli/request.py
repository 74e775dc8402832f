"""From what was typed, and a file of settings, to the fields of a spec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from visiontrain.errors import SpecError

__all__ = ["parse_settings", "read_config", "request_fields"]


def request_fields(
    typed: Mapping[str, Any], *, settings: Sequence[str], config: Path | None, weights: str | None
) -> dict[str, Any]:
    """Fields and options for `make_train_spec`: the command line's, then those that only the file has.

    Args:
        typed: Fields by name; None for those that were not typed.
        settings: Texts of the form ``key=value``.
        config: A file of settings.
        weights: pretrained, scratch or a path; None where nothing was typed.

    Raises:
        SpecError: something is malformed, or typed twice.
    """
    from visiontrain.specs import ALIASES

    chosen = {name: value for name, value in typed.items() if value is not None}
    if weights is not None:
        chosen["weights"] = weights
    for name, value in parse_settings(settings).items():
        field = ALIASES.get(name, name)
        if field in chosen:
            raise SpecError(name, "given twice, with --set and with an option of its own")
        chosen[field] = value
    kept = read_config(config) if config is not None else {}
    return {**kept, **chosen}


def parse_settings(settings: Sequence[str]) -> dict[str, str]:
    """``key=value`` texts by key.

    Raises:
        SpecError: one is not of that form, or a key comes twice.
    """
    found: dict[str, str] = {}
    for text in settings:
        key, equals, value = text.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key.isidentifier() or key == "options":
            raise SpecError("set", f"{text!r} is not of the form key=value", instruction="Write: --set workers=2")
        if key in found:
            raise SpecError("set", f"{key} is given twice")
        found[key] = value
    return found


def read_config(path: Path) -> dict[str, Any]:
    """The settings in a YAML file: a mapping of the spec's fields and the framework's options.

    Options may stand among the fields or in a mapping of their own, ``options``.

    Raises:
        SpecError: the file can't be read, or is not such a mapping.
    """
    import yaml

    from visiontrain.specs import ALIASES

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError("config", f"{path} can't be read: {error}") from error
    except yaml.YAMLError as error:
        raise SpecError("config", f"{path} is not valid YAML: {error}") from error
    nested = content.pop("options", None) or {} if isinstance(content, dict) else None
    if not isinstance(nested, dict) or not all(isinstance(key, str) for key in (*content, *nested)):
        raise SpecError(
            "config",
            f"{path} is not a mapping of names to values",
            instruction="Write lines such as: epochs: 20",
        )
    found: dict[str, Any] = {}
    for name, value in (*content.items(), *nested.items()):
        field = ALIASES.get(name, name)
        if field in found:
            raise SpecError("config", f"{path} gives {field} twice")
        if value is not None:
            found[field] = value
    return found
