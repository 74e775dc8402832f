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
    made: T = _converter(typing.cast("Any", cls))(value, cls.__name__)
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
    exact = _exact_types(item)

    def convert(value: Any, where: str) -> Any:
        if not isinstance(value, dict):
            raise _wrong(where, "an object", value)
        if exact.issuperset(map(type, value.values())):
            return value
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
    hints = typing.get_type_hints(cls)
    declared = dataclasses.fields(typing.cast("Any", cls))
    fields = [(f.name, _exact_types(hints[f.name]), _converter(hints[f.name])) for f in declared]
    required = {f.name for f in declared if f.default is f.default_factory is dataclasses.MISSING}

    def convert(value: Any, where: str) -> Any:
        if not isinstance(value, dict):
            raise _wrong(where, "an object", value)
        try:
            found = {
                name: entry if type(entry := value[name]) in exact else inner(entry, f"{where}.{name}")
                for name, exact, inner in fields
            }
        except KeyError:
            return partial(value, where)
        # What a frozen dataclass's constructor does field by field, in one step: none of ours has a __post_init__.
        made = object.__new__(cls)
        object.__setattr__(made, "__dict__", found)
        return made

    def partial(value: dict[str, Any], where: str) -> Any:
        missing = ", ".join(sorted(required - value.keys()))
        if missing:
            raise ProtocolError(f"{where}: missing: {missing}")
        return cls(**{name: inner(value[name], f"{where}.{name}") for name, _, inner in fields if name in value})

    return convert


def _exact_types(hint: Any) -> frozenset[type]:
    """Types whose values need no look inside: most values of most messages, hence the shortcut."""
    if hint in (bool, int, float, str):
        return frozenset({hint})
    if typing.get_origin(hint) in (Union, types.UnionType):
        return frozenset().union(*(_exact_types(a) for a in typing.get_args(hint)))
    return frozenset({hint}) if hint is type(None) else frozenset()
