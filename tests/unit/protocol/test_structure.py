from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Optional, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiontrain.errors import ProtocolError
from visiontrain.protocol.messages import (
    Cpu,
    Device,
    ErrorInfo,
    InitializeResult,
    ModelInfo,
    ResumeFrom,
    TrainParams,
    TrainResult,
    Weights,
)
from visiontrain.protocol.structure import structure, unstructure


@dataclass(frozen=True)
class Leaf:
    number: int


@dataclass(frozen=True)
class Tree:
    name: str
    flag: bool
    size: float
    kind: Literal["a", "b"] = "a"
    leaf: Leaf | None = None
    leaves: tuple[Leaf, ...] = ()
    corner: tuple[float, float] | None = None
    names: list[str] = field(default_factory=list)
    by_name: dict[str, float | None] = field(default_factory=dict)
    either: Union[int, str] = 0  # noqa: UP007 - both spellings are understood
    maybe: Optional[int] = None  # noqa: UP045
    anything: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Flat:
    """Of fields that need no look inside."""

    number: int
    size: float
    name: str = "n"
    flag: bool | None = None
    kind: Literal["a", "b"] = "a"
    by_name: dict[str, float | None] = field(default_factory=dict)


FLAT = {"number": 1, "size": 0.5, "name": "m", "flag": True, "kind": "b", "by_name": {"x": 1.5, "y": None}}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["a", "b", "c"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["x", "y"]), inner),
    max_leaves=3,
)

GOOD = {"name": "n", "flag": True, "size": 1.5}
FULL = Tree(
    "n",
    True,
    1.5,
    "b",
    Leaf(1),
    (Leaf(2), Leaf(3)),
    (1.0, 2.5),
    ["x"],
    {"y": None, "z": 1.0},
    "s",
    4,
    {"deep": [1, {}]},
)

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
METRICS = st.dictionaries(st.text(), st.none() | FLOATS)
DATACLASSES = (
    st.builds(Device)
    | st.builds(Cpu)
    | st.builds(ErrorInfo)
    | st.builds(InitializeResult)
    | st.builds(ModelInfo)
    | st.builds(TrainResult, epochs=FLOATS, metrics=METRICS)
    | st.builds(
        TrainParams,
        learning_rate=st.none() | FLOATS,
        options=st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text()),
        weights=st.builds(Weights),
        resume=st.none() | st.builds(ResumeFrom),
    )
)


class TestRoundTrip:
    @given(DATACLASSES)
    def test_a_message_comes_back_as_it_was(self, value):
        made = structure(type(value), unstructure(value))
        assert made == value
        assert hash(type(made)) == hash(type(value))

    @given(DATACLASSES, st.dictionaries(st.text(min_size=20), st.integers()))
    def test_unknown_fields_are_ignored(self, value, more):
        assert structure(type(value), {**unstructure(value), **more}) == value

    def test_every_kind_of_field(self):
        plain = unstructure(FULL)
        assert plain["leaves"] == [{"number": 2}, {"number": 3}]
        assert structure(Tree, plain) == FULL

    def test_a_whole_number_is_accepted_where_a_float_is_due(self):
        made = structure(Tree, {**GOOD, "size": 2})
        assert made.size == 2.0
        assert type(made.size) is float

    def test_defaults_fill_what_is_missing_each_with_its_own(self):
        first, second = structure(Tree, GOOD), structure(Tree, GOOD)
        assert first == Tree("n", True, 1.5)
        assert first.names is not second.names


class TestRefusals:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"name": 1}, "Tree.name: expected str, got int"),
            ({"name": None}, "Tree.name: expected str, got NoneType"),
            ({"flag": 1}, "Tree.flag: expected bool, got int"),
            ({"size": "1"}, "Tree.size: expected float, got str"),
            ({"size": True}, "Tree.size: expected float, got bool"),
            ({"kind": "c"}, "Tree.kind: expected one of 'a', 'b', got 'c'"),
            ({"kind": []}, "Tree.kind: expected one of"),
            ({"leaf": []}, "Tree.leaf: expected an object, got list"),
            ({"leaf": {}}, "Tree.leaf: missing: number"),
            ({"leaf": {"number": True}}, "Tree.leaf.number: expected int, got bool"),
            ({"leaf": {"number": 1.0}}, "Tree.leaf.number: expected int, got float"),
            ({"leaves": {}}, "Tree.leaves: expected a list, got dict"),
            ({"leaves": [{"number": 1}, {"number": ""}]}, r"Tree.leaves\[1\].number: expected int, got str"),
            ({"corner": [1.0]}, "Tree.corner: expected 2 items, got 1"),
            ({"corner": [1.0, 2.0, 3.0]}, "Tree.corner: expected 2 items, got 3"),
            ({"corner": [1.0, "2"]}, r"Tree.corner\[1\]: expected float, got str"),
            ({"names": ["x", None]}, r"Tree.names\[1\]: expected str, got NoneType"),
            ({"by_name": {"y": "1"}}, "Tree.by_name.y: expected float, got str"),
            ({"by_name": []}, "Tree.by_name: expected an object, got list"),
            ({"either": None}, "Tree.either: expected int, got NoneType"),
            ({"either": 1.5}, "Tree.either"),
            ({"maybe": "1"}, "Tree.maybe: expected int, got str"),
            ({"anything": 1}, "Tree.anything: expected an object, got int"),
        ],
    )
    def test_a_value_of_another_type_is_named(self, change, message):
        with pytest.raises(ProtocolError, match=message):
            structure(Tree, {**GOOD, **change})
        # Also where every field is given, which takes another way through the code.
        with pytest.raises(ProtocolError, match=message):
            structure(Tree, {**unstructure(FULL), **change})

    def test_missing_fields_are_named_together(self):
        with pytest.raises(ProtocolError, match=r"^Tree: missing: flag, size$"):
            structure(Tree, {"name": "n"})

    @pytest.mark.parametrize("value", [None, [], "text", 1])
    def test_what_is_no_object_is_refused(self, value):
        with pytest.raises(ProtocolError, match="Tree: expected an object"):
            structure(Tree, value)


class Slow(dict):
    """A JSON object that is not taken the short way."""


@given(st.dictionaries(st.sampled_from(["number", "name", "size", "flag", "kind", "by_name"]), JSON))
def test_the_short_way_gives_what_the_long_one_gives(value):
    outcomes = []
    for given_value in (value, Slow(value), {**FLAT, **value}, Slow({**FLAT, **value})):
        try:
            outcomes.append(repr(structure(Flat, given_value)))
        except ProtocolError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]
    assert outcomes[2] == outcomes[3]
