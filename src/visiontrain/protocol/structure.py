"""Dataclasses to JSON objects and back, checked: the little of pydantic that an environment's standard library needs.

Unknown fields are ignored, so that a newer side may say more; a missing field without a default, or a value of
another type, is a `ProtocolError` that names the field.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, Union

from visiontrain.errors import ProtocolError

__all__ = ["JsonObject", "JsonValue", "structure", "unstructure"]

JsonValue = Union[None, bool, int, float, str, "list[JsonValue]", "dict[str, JsonValue]"]
JsonObject = dict[str, JsonValue]

T = TypeVar("T")
Converter = Callable[[Any, str], Any]


def structure(cls: type[T], value: object) -> T:
    """Make a `cls` (a dataclass) out of a JSON object.

    Raises:
        ProtocolError: a field is missing or of another type; the message names it.
    """
    made: T = _converter(cls)(value, cls.__name__)  # type: ignore[arg-type]  # mypy: type[T] may not hash; it does
    return made


def unstructure(value: object) -> Any:
    """Make plain JSON values out of dataclasses, tuples and mappings, however deep."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: unstructure(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: unstructure(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [unstructure(item) for item in value]
    return value


def _wrong(where: str, expected: str, value: object) -> ProtocolError:
    return ProtocolError(f"{where}: expected {expected}, got {type(value).__name__}")


@functools.cache
def _converter(hint: Any) -> Converter:
    """The function that checks and converts a value of type `hint`; made once a type."""
    if hint is Any or hint is JsonValue or isinstance(hint, (str, typing.ForwardRef)):
        return lambda value, _where: value
    if dataclasses.is_dataclass(hint):
        return _dataclass_converter(typing.cast("type[object]", hint))
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if origin is Union or origin is types.UnionType:
        return _union_converter(arguments)
    if origin is typing.Literal:
        return _literal_converter(arguments)
    if origin is tuple:
        return _sequence_converter(arguments[0], tuple)
    if origin is list:
        return _sequence_converter(arguments[0], list)
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return _mapping_converter(arguments[1])
    return _scalar_converter(hint)


def _scalar_converter(hint: type) -> Converter:
    def convert(value: Any, where: str) -> Any:
        if hint is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        # bool is an int to isinstance, and never what a number's field means
        if not isinstance(value, hint) or (hint is not bool and isinstance(value, bool)):
            raise _wrong(where, hint.__name__, value)
        return value

    return convert


def _literal_converter(choices: tuple[Any, ...]) -> Converter:
    def convert(value: Any, where: str) -> Any:
        if value not in choices:
            raise ProtocolError(f"{where}: expected one of {', '.join(map(repr, choices))}, got {value!r}")
        return value

    return convert


def _sequence_converter(item: Any, make: Callable[[Any], Any]) -> Converter:
    inner = _converter(item)

    def convert(value: Any, where: str) -> Any:
        if not isinstance(value, list):
            raise _wrong(where, "a list", value)
        return make(inner(entry, f"{where}[{i}]") for i, entry in enumerate(value))

    return convert


def _mapping_converter(item: Any) -> Converter:
    inner = _converter(item)

    def convert(value: Any, where: str) -> Any:
        if not isinstance(value, dict):
            raise _wrong(where, "an object", value)
        return {key: inner(entry, f"{where}.{key}") for key, entry in value.items()}

    return convert


def _union_converter(arguments: tuple[Any, ...]) -> Converter:
    converters = [_converter(a) for a in arguments if a is not type(None)]
    optional = type(None) in arguments

    def convert(value: Any, where: str) -> Any:
        if value is None and optional:
            return None
        error: ProtocolError | None = None
        for inner in converters:
            try:
                return inner(value, where)
            except ProtocolError as e:
                error = error or e
        raise error or _wrong(where, "a value", value)

    return convert


def _dataclass_converter(cls: type[object]) -> Converter:
    """The converter of a JSON object, compiled from its fields as dataclasses compile their `__init__`.

    It takes half the time of a loop over them, which counts where a run reports a hundred thousand events a second.
    """
    declared = dataclasses.fields(typing.cast("Any", cls))
    required = {f.name for f in declared if f.default is f.default_factory is dataclasses.MISSING}
    hints = typing.get_type_hints(cls)

    def refuse(value: Any, where: str) -> ProtocolError:
        if not isinstance(value, dict):
            return _wrong(where, "an object", value)
        return ProtocolError(f"{where}: missing: {', '.join(sorted(required - value.keys()))}")

    names: dict[str, Any] = {"cls": cls, "new": object.__new__, "set_attribute": object.__setattr__, "refuse": refuse}
    takes: list[str] = []
    for field in declared:
        name, hint = field.name, hints[field.name]
        names[f"convert_{name}"] = _converter(hint)
        fits, names[f"fitting_{name}"] = _fitting(hint)
        check = [
            f"if not ({fits.format(value=f'{name}_', fitting=f'fitting_{name}')}):",
            f"    {name}_ = convert_{name}({name}_, f'{{where}}.{name}')",
        ]
        if name in required:
            takes += [f"{name}_ = value[{name!r}]", *check]
            continue
        is_made = field.default is dataclasses.MISSING
        names[f"default_{name}"] = field.default_factory if is_made else field.default
        takes += [f"if {name!r} in value:", f"    {name}_ = value[{name!r}]", *(f"    {line}" for line in check)]
        takes += ["else:", f"    {name}_ = default_{name}{'()' * is_made}"]
    found = ", ".join(f"{field.name!r}: {field.name}_" for field in declared)
    lines = [
        "def convert(value, where):",
        "    if not isinstance(value, dict):",
        "        raise refuse(value, where)",
        "    try:",
        *(f"        {line}" for line in takes),
        "    except KeyError:",
        "        raise refuse(value, where) from None",
        # What a frozen dataclass's constructor does field by field, in one step: none of ours has a __post_init__.
        "    made = new(cls)",
        f"    set_attribute(made, '__dict__', {{{found}}})",
        "    return made",
    ]
    exec("\n".join(lines), names)  # noqa: S102 - its text is made of our own classes' field names
    made: Converter = names["convert"]
    return made


def _fitting(hint: Any) -> tuple[str, frozenset[Any]]:
    """An expression that is true of most values that can stay as they are, and what it looks them up in."""
    exact = _exact_types(hint)
    if exact:
        return "type({value}) in {fitting}", exact
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        return "type({value}) is str and {value} in {fitting}", frozenset(arguments)
    if typing.get_origin(hint) is dict:
        return "type({value}) is dict and {fitting}.issuperset(map(type, {value}.values()))", _exact_types(arguments[1])
    return "False", exact


def _exact_types(hint: Any) -> frozenset[type]:
    """Types whose values need no look inside: most values of most messages, hence the shortcut."""
    if hint in (bool, int, float, str):
        return frozenset({hint})
    if typing.get_origin(hint) in (Union, types.UnionType):
        return frozenset().union(*(_exact_types(a) for a in typing.get_args(hint)))
    return frozenset({hint}) if hint is type(None) else frozenset()
