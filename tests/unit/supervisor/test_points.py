from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from visiontrain_harness.runs import params
from visiontrain_harness.spoiled import spoiled_lines

from visiontrain.protocol.codec import decode, encode_event, loads
from visiontrain.protocol.events import MetricsEvent, event_from_json
from visiontrain.supervisor.points import PointReader
from visiontrain.worker.context import RunContext

NAMES = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"\\'))
FLOATS = st.floats(-1e99, 1e99).filter(lambda number: number == 0 or abs(number) > 1e-99)


def said(tmp_path, *points, scope="step"):
    """Lines of a worker that reports `points`."""
    lines = []
    context = RunContext(params("r", tmp_path), lambda event: lines.append(encode_event(event)))
    for values in points:
        context.metrics(values, step=3, epoch=1, scope=scope)
    return b"".join(lines)


@given(st.lists(st.dictionaries(NAMES, FLOATS), min_size=1))
def test_what_a_worker_reports_is_told_by_its_spelling(tmp_path_factory, points):
    lines = said(tmp_path_factory.getbasetemp(), *points)
    objects, seqs = PointReader("r").read(lines)
    assert seqs == list(range(1, len(points) + 1))
    assert [loads(line) for line in objects.split(b"\n")] == [decode(line).params for line in lines.splitlines()]


@pytest.mark.parametrize(
    "values", [{"loss": math.nan}, {"loss": 1e200}, {"é": 1.0}, {'"': 1.0}, {"\\": 1.0}, dict.fromkeys(range(999), 1.0)]
)
def test_what_is_spelt_otherwise_is_left_to_the_parser(tmp_path, values):
    values = {str(name): value for name, value in values.items()}
    lines = said(tmp_path, {}, values, {})
    assert PointReader("r").read(lines) is None
    assert event_from_json(decode(lines.splitlines()[1]).params) is not None


def test_points_of_another_run_and_rows_of_epochs_are_none(tmp_path):
    assert PointReader("r").read(said(tmp_path, {"loss": 0.5})) is not None
    assert PointReader("other").read(said(tmp_path, {"loss": 0.5})) is None
    assert PointReader("r").read(said(tmp_path, {"loss": 0.5}, scope="epoch")) is None


@pytest.mark.parametrize("more", [b"\n", b"{}\n", b"x"])
def test_nothing_stands_before_between_or_after_them(tmp_path, more):
    line = said(tmp_path, {"loss": 0.5})
    for lines in (more, more + line, line + more, line + more + line):
        assert PointReader("r").read(lines) is None


LINE = (
    b'{"jsonrpc":"2.0","method":"event","params":{"type":"metrics","run_id":"r","seq":%d,"source":"worker",'
    b'"time":1795419900.7,"monotonic":23.5,"step":1,"epoch":1,"scope":"step","values":{"a":-1.5e-05,"b":0.5},'
    b'"non_finite":{}}}\n'
)


@given(spoiled_lines([LINE % 1, LINE % 2]))
def test_whatever_is_told_by_its_spelling_is_what_the_parser_reads(data):
    found = PointReader("r").read(data)
    if found is not None:
        objects, seqs = found
        values = [decode(line).params for line in data[:-1].split(b"\n")]
        assert [loads(line) for line in objects.split(b"\n")] == values
        assert [value["seq"] for value in values] == seqs
        for value in values:
            event = event_from_json(value)
            assert isinstance(event, MetricsEvent)
            assert (event.run_id, event.scope, event.non_finite) == ("r", "step", {})
            assert all(map(math.isfinite, (event.time, event.monotonic, *event.values.values())))
