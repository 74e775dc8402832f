"""The protocol's specification says what the code does: every field, the recorded sessions, the limits."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Mapping
from pathlib import Path

import pytest
import transcripts

from visiontrain.protocol import codec, events, inference, messages, tracking
from visiontrain.protocol.codec import decode, encode, encode_event
from visiontrain.protocol.messages import Notification, Request, Response
from visiontrain.protocol.structure import structure, unstructure
from visiontrain.protocol.version import PROTOCOL_VERSION
from visiontrain.runners.command import WORKER_BOOTSTRAP
from visiontrain.worker import failure

TEXT = (Path(__file__).parents[2] / "docs" / "reference" / "protocol.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL))

#: Where each message's fields are: section, and which of its tables.
TABLES = {
    messages.InitializeParams: ("initialize", 0),
    messages.InitializeResult: ("initialize", 1),
    messages.ModelInfo: ("models", 0),
    messages.TrainParams: ("train", 0),
    messages.TrainResult: ("train", 1),
    inference.EvaluateParams: ("evaluate", 0),
    inference.EvaluateResult: ("evaluate", 1),
    inference.PredictParams: ("predict", 0),
    inference.ImageSource: ("predict", 1),
    inference.RawPixels: ("predict", 2),
    inference.PredictResult: ("predict", 3),
    inference.ImagePrediction: ("predict", 4),
    inference.ObjectPrediction: ("predict", 5),
    inference.MaskRuns: ("predict", 6),
    inference.KeypointPrediction: ("predict", 7),
    inference.ClassMapPrediction: ("predict", 8),
    inference.ExportParams: ("export", 0),
    inference.ExportResult: ("export", 1),
    tracking.TrackParams: ("track", 0),
    tracking.TrackingTarget: ("track", 1),
    tracking.TrackedRun: ("track", 2),
    tracking.Point: ("track", 3),
    tracking.TrackedFile: ("track", 4),
    tracking.TrackResult: ("track", 5),
    tracking.LogModelParams: ("log_model", 0),
    tracking.LogModelResult: ("log_model", 1),
    tracking.SystemMetricsResult: ("system_metrics", 0),
    **{cls: (name, 0) for name, cls in events._TYPES.items()},
}
PARAMS = {
    "initialize": messages.InitializeParams,
    "train": messages.TrainParams,
    "evaluate": inference.EvaluateParams,
    "predict": inference.PredictParams,
    "export": inference.ExportParams,
}
RESULTS = {
    "initialize": messages.InitializeResult,
    "train": messages.TrainResult,
    "evaluate": inference.EvaluateResult,
    "predict": inference.PredictResult,
    "export": inference.ExportResult,
}


def table(section: str, number: int) -> list[list[str]]:
    """The rows of a section's table, without its head."""
    found = re.findall(r"(?:^\|.*\|\n)+", SECTIONS[section], re.MULTILINE)[number].splitlines()
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in found[2:]]


def word(hint: object) -> str:
    """What the page calls a type."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        (inner,) = (each for each in typing.get_args(hint) if each is not type(None))
        return f"{word(inner)} or null"
    if typing.get_origin(hint) is typing.Literal:
        return "string"
    if typing.get_origin(hint) is tuple:
        return "array"
    if typing.get_origin(hint) in (dict, Mapping) or dataclasses.is_dataclass(hint):
        return "object"
    return {int: "int", float: "float", bool: "bool", str: "string"}.get(hint, "object")


def own_fields(cls: type) -> list[dataclasses.Field]:
    inherited = {field.name for field in dataclasses.fields(events.EventBase)}
    is_event = issubclass(cls, events.EventBase)
    return [field for field in dataclasses.fields(cls) if not (is_event and field.name in inherited)]


@pytest.mark.parametrize("cls", TABLES, ids=lambda cls: cls.__name__)
def test_a_messages_fields_are_those_of_its_table(cls):
    rows = table(*TABLES[cls])
    hints = typing.get_type_hints(cls)
    fields = own_fields(cls)
    assert [row[0].strip("`") for row in rows] == [field.name for field in fields]
    for row, field in zip(rows, fields, strict=True):
        said, kind = row[1], word(hints[field.name])
        assert said.split(" of ")[0] == kind, f"{field.name} is {kind}"


@pytest.mark.parametrize("name", events._TYPES)
def test_an_events_defaults_are_those_of_its_table(name):
    for row, field in zip(table(name, 0), own_fields(events._TYPES[name]), strict=True):
        default = field.default if field.default is not dataclasses.MISSING else field.default_factory()
        assert row[2].strip("`") == codec.dumps(default).decode()


def test_every_event_is_described():
    described = re.findall(
        r"^### `(\w+)`", TEXT[TEXT.index("\n## Events\n") : TEXT.index("\n## Versions\n")], re.MULTILINE
    )
    assert sorted(described) == sorted(events._TYPES)


def test_what_every_event_has_is_described():
    head = TEXT[TEXT.index("Every event has these fields:") : TEXT.index("A gap or a repetition")]
    names = re.findall(r"^\| `(\w+)` \|", head, re.MULTILINE)
    assert names == ["type", *(field.name for field in dataclasses.fields(events.EventBase))]


def test_numbers_and_texts_of_the_code_are_on_the_page():
    assert f"version **{PROTOCOL_VERSION}**" in TEXT
    assert f"{codec.MAX_LINE:,} bytes" in TEXT
    assert WORKER_BOOTSTRAP in TEXT
    for code in (failure.PARSE_ERROR, failure.INVALID_REQUEST, failure.METHOD_NOT_FOUND, failure.TRAINER_ERROR):
        assert f"| {code} |" in TEXT


@pytest.mark.parametrize("name", re.findall(r"<!-- transcript: (\w+) -->", TEXT))
def test_the_pages_transcripts_are_the_recorded_ones(name):
    (block,) = re.findall(rf"<!-- transcript: {name} -->\n```text\n(.*?)```", TEXT, re.DOTALL)
    arrows = {"host": "-->", "worker": "<--"}
    recorded = [f"{arrows[entry['from']]} {entry['line']}" for entry in transcripts.read(name)]
    assert block.splitlines() == recorded


def test_the_page_shows_transcripts():
    assert len(re.findall(r"<!-- transcript: (\w+) -->", TEXT)) == 3


@pytest.mark.parametrize("name", transcripts.SESSIONS)
def test_a_worker_says_what_was_recorded(name):
    assert transcripts.record(transcripts.SESSIONS[name]) == transcripts.read(name)


def test_nothing_is_recorded_that_is_not_a_session():
    recorded = {path.stem for path in transcripts.FOLDER.glob("*.jsonl")}
    assert recorded >= set(transcripts.SESSIONS)


@pytest.mark.parametrize("name", transcripts.SESSIONS)
def test_every_recorded_line_is_a_message_that_is_written_the_same_way(name):
    asked: dict[int, str] = {}
    for entry in transcripts.read(name):
        line = entry["line"].encode()
        if entry["from"] == "host" and name == "errors" and (b"NaN" in line or not line.endswith(b"}")):
            continue  # what the session is about
        message = decode(line)
        if isinstance(message, Notification) and message.method == "event":
            event = events.event_from_json(message.params)
            assert events.event_from_json(events.event_to_json(event)) == event
            assert encode_event(message.params) == line + b"\n"
            continue
        assert encode(message) == line + b"\n"
        if isinstance(message, Request):
            asked[message.id] = message.method
            cls = PARAMS.get(message.method)
            if cls is not None and (name, message.id) != ("errors", 6):
                assert unstructure(structure(cls, message.params)) == message.params
        elif isinstance(message, Response) and message.error is None:
            cls = RESULTS.get(asked.get(message.id))
            if cls is not None:
                assert unstructure(structure(cls, message.result)) == message.result
