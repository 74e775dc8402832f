"""``report.html``: all that is known of a run, and nothing that a browser would run or fetch."""

from __future__ import annotations

import base64
import dataclasses
import os
from html.parser import HTMLParser

import pytest
from visiontrain_harness.runs import record

from visiontrain.errors import StorageError, UnknownRunError
from visiontrain.protocol.codec import dumps
from visiontrain.protocol.events import ArtifactEvent, LogEvent, MetricsEvent, event_to_json
from visiontrain.protocol.messages import ErrorInfo
from visiontrain.report.page import REPORT, render_report, write_report
from visiontrain.rundir.directory import RECORD
from visiontrain.rundir.events import EVENTS
from visiontrain.supervisor.record import write_record

PIXEL = b"\x89PNG\r\n\x1a\n of no matter what"
FOREIGN = '<script>alert("1")</script> & \x1b[31m\u202e\udcff'
DRAWN = FOREIGN.replace("/", "")


class Page(HTMLParser):
    """Text and elements of a page."""

    def __init__(self, text):
        super().__init__()
        self.texts, self.elements = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data.strip())

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def epoch(number, **values):
    return MetricsEvent("r", number, 0.0, 0.0, step=number, epoch=number, values=values)


def artifact(name, *, kind="picture"):
    return ArtifactEvent("r", 1, 0.0, 0.0, path=f"artifacts/{name}", kind=kind)


@pytest.fixture
def run(tmp_path):
    """Make a run of what is given; gives its page."""

    def make(*events, **fields):
        status = fields.pop("status", "completed")
        write_record(tmp_path / RECORD, dataclasses.replace(record("r", status=status), **fields))
        lines = [dumps(event_to_json(event)) + b"\n" for event in events]
        (tmp_path / EVENTS).write_bytes(b"".join(lines))
        return Page(render_report(tmp_path))

    return make


def test_a_training_has_its_best_epoch_curves_classes_and_numbers(run):
    page = run(
        epoch(1, train_loss=2.0, accuracy=0.5),
        epoch(2, train_loss=1.0, accuracy=0.75),
        epoch(3, train_loss=0.5, accuracy=0.625),
        metrics={"train_loss": 1.0, "accuracy": 0.75, "recall/cat": 0.125},
    )
    for text in ("defect on data", "completed", "Best epoch: 2", "0.7500", "cat", "0.1250", "0.6250"):
        assert text in page.texts
    assert len(page.all("svg")) == 2
    assert [each["class"] for each in page.all("li") if "class" in each] == ["primary"]


def test_of_a_training_that_did_not_complete_the_last_epoch_s_numbers_are_not_called_the_best_ones(run):
    page = run(epoch(1, accuracy=0.75), epoch(2, accuracy=0.5), status="failed")
    assert "Last epoch: 2" in page.texts
    assert not [text for text in page.texts if text.startswith("Best epoch")]
    assert page.texts[page.texts.index("accuracy") - 1] == "0.5000"
    assert "Metrics" in run(epoch(1, accuracy=0.5), kind="evaluate", metrics={"accuracy": 0.5}).texts


@pytest.mark.parametrize(("count", "folded"), [(40, 1), (41, 2)])
def test_the_table_of_many_classes_is_folded(run, count, folded):
    metrics = {f"recall/{number}": 0.5 for number in range(count)}
    page = run(epoch(1, accuracy=0.5), metrics=metrics)  # the table of epochs always is
    assert len(page.all("details")) == folded
    assert "By class" in page.texts


def test_what_a_diagram_shows_is_no_key_number(run):
    both = {"accuracy": 0.5, "learning_rate": 0.125}
    assert len(run(epoch(1, **both), epoch(2, **both), metrics=both).all("li")) == 1
    assert len(run(metrics=both).all("li")) == 2


def test_a_run_that_has_just_begun_has_a_page(run):
    page = run(status="interrupted")
    assert "interrupted" in page.texts
    assert page.all("svg") == []


def test_a_failure_says_what_to_do_next(run):
    error = ErrorInfo(
        1, "the disk is full", instruction="Free some space.", traceback="Traceback", log_tail="last words"
    )
    page = run(status="failed", reason="StorageError: the disk is full", error=error)
    for text in ("the disk is full", "Free some space.", "Traceback", "last words"):
        assert text in page.texts
    assert "StorageError: the disk is full" not in page.texts


def test_pictures_are_part_of_the_page_and_shown_as_images(run, tmp_path):
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts/samples.png").write_bytes(PIXEL)
    (tmp_path / "artifacts/curves.svg").write_bytes(b"<svg><script>alert(1)</script></svg>")
    page = run(
        *(artifact(name) for name in ("samples.png", "curves.svg", "samples.png")),
        artifact("curves.json", kind="curves"),
    )
    shown = [image["src"] for image in page.all("img")]
    assert [source.partition(",")[0] for source in shown] == ["data:image/png;base64", "data:image/svg+xml;base64"]
    assert base64.b64decode(shown[0].partition(",")[2]) == PIXEL
    assert "artifacts/curves.json" in page.texts


@pytest.mark.parametrize("size", [None, 9 << 20])
def test_a_picture_that_is_gone_or_huge_is_named(run, tmp_path, size):
    if size:
        (tmp_path / "artifacts").mkdir()
        with (tmp_path / "artifacts/samples.png").open("wb") as file:
            file.truncate(size)
    page = run(artifact("samples.png"))
    assert page.all("img") == []
    assert "artifacts/samples.png" in page.texts


def test_what_is_no_image_is_not_shown_as_one(run, tmp_path):
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts/page.html").write_bytes(b"<script>")
    page = run(artifact("page.html"))
    assert page.all("img") == []
    assert "artifacts/page.html" in page.texts


def test_warnings_are_told_and_the_last_fifty_of_many(run):
    told = [LogEvent("r", number, 0.0, 0.0, level="warning", message=f"odd {number}") for number in range(70)]
    page = run(*told, LogEvent("r", 1, 0.0, 0.0, message="all is well"), data=_data(warnings=("half of it is black",)))
    assert [text for text in page.texts if text.startswith("odd ")] == [f"odd {number}" for number in range(20, 70)]
    assert "About the data: half of it is black" in page.texts
    assert "all is well" not in page.texts


def test_foreign_text_is_text(run, tmp_path):
    page = run(
        epoch(1, **{DRAWN: 0.5, FOREIGN: 0.5}),
        epoch(2, **{DRAWN: 0.5, FOREIGN: 0.5}),
        LogEvent("r", 1, 0.0, 0.0, level="warning", message=FOREIGN),
        model=FOREIGN,
        reason=FOREIGN,
        data=_data(path=f"/{FOREIGN}", classes=(FOREIGN,)),
        metrics={FOREIGN: 0.5, f"recall/{FOREIGN}": 0.5},
    )
    assert page.all("script") == []
    whole = write_report(tmp_path).read_bytes()
    assert b"\x1b" not in whole
    assert "\u202e" not in whole.decode("utf-8")


def test_nothing_is_fetched_or_run(run, tmp_path):
    page = run(epoch(1, accuracy=0.5), epoch(2, accuracy=0.5))
    (policy,) = [each["content"] for each in page.all("meta") if "http-equiv" in each]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "link", "iframe", "object", "a", "form"})
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]


def test_the_page_is_written_beside_the_record(run, tmp_path):
    run()
    assert write_report(tmp_path) == tmp_path / REPORT
    assert (tmp_path / REPORT).read_text(encoding="utf-8") == render_report(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [EVENTS, REPORT, RECORD]


def test_without_a_record_there_is_no_page(tmp_path):
    with pytest.raises(UnknownRunError, match="holds no record"):
        write_report(tmp_path)


def test_a_disk_that_refuses_is_told(run, tmp_path, monkeypatch):
    run()

    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"the report of the run .* can't be written"):
        write_report(tmp_path)
    assert not (tmp_path / REPORT).exists()


def _data(**fields):
    return dataclasses.replace(record("r").data, **fields)
