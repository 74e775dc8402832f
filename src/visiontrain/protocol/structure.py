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

__all__ = ["JsonObject", "JsonValue", "converter", "structure", "unstructure"]

JsonValue = Union[None, bool, int, float, str, "list[JsonValue]", "dict[str, JsonValue]"]
JsonObject = dict[str, JsonValue]

T = TypeVar("T")
Converter = Callable[[Any, str], Any]


def structure(cls: type[T], value: object) -> T:
    """Make a `cls` (a dataclass) out of a JSON object.

    Raises:
        ProtocolError: a field is missing or of another type; the message names it.
    """
    made: T = converter(cls)(value, cls.__name__)  # type: ignore[arg-type]  # mypy: type[T] may not hash; it does
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
def converter(hint: Any) -> Converter:
    """The function that checks and converts a value of type `hint`, given its name for what is raised."""
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
        length = None if arguments[-1] is Ellipsis else len(arguments)
        return _sequence_converter(arguments[0], tuple, length)
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


def _sequence_converter(item: Any, make: Callable[[Any], Any], length: int | None = None) -> Converter:
    """Of a list whose items are all of one type; `length` is how many it has where that is fixed."""
    inner = converter(item)

    def convert(value: Any, where: str) -> Any:
        if not isinstance(value, list):
            raise _wrong(where, "a list", value)
        if length is not None and len(value) != length:
            raise ProtocolError(f"{where}: expected {length} items, got {len(value)}")
        return make(inner(entry, f"{where}[{i}]") for i, entry in enumerate(value))

    return convert


def _mapping_converter(item: Any) -> Converter:
    inner = converter(item)

    def convert(value: Any, where: str) -> Any:
        if not isinstance(value, dict):
            raise _wrong(where, "an object", value)
        return {key: inner(entry, f"{where}.{key}") for key, entry in value.items()}

    return convert


def _union_converter(arguments: tuple[Any, ...]) -> Converter:
    converters = [converter(a) for a in arguments if a is not type(None)]
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
    """The converter of a JSON object: a shortcut for one that gives all fields as they are kept, else field by field.

    The shortcut is compiled from the fields, as dataclasses compile their `__init__`. It takes a fifth of the time,
    which counts where a run reports a hundred thousand events a second.
    """
    hints = typing.get_type_hints(cls)
    fields = [field.name for field in dataclasses.fields(typing.cast("Any", cls))]
    by_field = _field_by_field(cls, hints)
    names: dict[str, Any] = {
        "by_field": by_field,
        "cls": cls,
        "new": object.__new__,
        "set_attribute": object.__setattr__,
    }
    fits = []
    for name in fields:
        fitting, names[f"fitting_{name}"] = _fitting(hints[name])
        fits.append(fitting.format(value=f"{name}_", fitting=f"fitting_{name}"))
    lines = [
        "def convert(value, where):",
        "    if type(value) is not dict:",
        "        return by_field(value, where)",
        "    try:",
        *(f"        {name}_ = value[{name!r}]" for name in fields),
        "    except KeyError:",
        "        return by_field(value, where)",
        f"    if not ({' and '.join(fits)}):",
        "        return by_field(value, where)",
        # What a frozen dataclass's constructor does field by field, in one step: none of ours has a __post_init__.
        "    made = new(cls)",
        f"    set_attribute(made, '__dict__', {{{', '.join(f'{name!r}: {name}_' for name in fields)}}})",
        "    return made",
    ]
    exec("\n".join(lines), names)  # noqa: S102 - its text is made of our own classes' field names
    made: Converter = names["convert"]
    return made


def _field_by_field(cls: type[object], hints: Mapping[str, Any]) -> Converter:
    fields = dataclasses.fields(typing.cast("Any", cls))
    required = {f.name for f in fields if f.default is f.default_factory is dataclasses.MISSING}
    converters = {f.name: converter(hints[f.name]) for f in fields}

    def convert(value: Any, where: str) -> Any:
        if not isinstance(value, dict):
            raise _wrong(where, "an object", value)
        if missing := required - value.keys():
            raise ProtocolError(f"{where}: missing: {', '.join(sorted(missing))}")
        return cls(**{name: to(value[name], f"{where}.{name}") for name, to in converters.items() if name in value})

    return convert


def _fitting(hint: Any) -> tuple[str, object]:
    """An expression that is true of most values that can stay as they are, and what it compares them with."""
    exact = _exact_types(hint)
    if len(exact) == 1:
        return "type({value}) is {fitting}", next(iter(exact))
    if exact:
        return "type({value}) in {fitting}", exact
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        return "type({value}) is str and {value} in {fitting}", frozenset(arguments)
    if typing.get_origin(hint) is dict:
        inside = "{fitting}.issuperset(map(type, {value}.values()))"
        return f"type({{value}}) is dict and (not {{value}} or {inside})", _exact_types(arguments[1])
    return "False", None


def _exact_types(hint: Any) -> frozenset[type]:
    """Types whose values need no look inside: most values of most messages, hence the shortcut."""
    if hint in (bool, int, float, str):
        return frozenset({hint})
    if typing.get_origin(hint) in (Union, types.UnionType):
        return frozenset().union(*(_exact_types(a) for a in typing.get_args(hint)))
    return frozenset({hint}) if hint is type(None) else frozenset()
