from __future__ import annotations

import dataclasses
import math

from visiontrain_harness.runs import record

from visiontrain.report.facts import best_epoch, facts_of, metrics_of, time_taken

ENDED = dataclasses.replace(
    record("r", status="completed", name="first", attempt=2),
    started_at="2026-01-01T00:00:00.000+00:00",
    ended_at="2026-01-01T00:02:05.000+00:00",
    spec={"epochs": 3, "seed": 0, "device": None, "options": {"mixup": 0.5, "ema": True}},
)


def rows(*values):
    return [{"epoch": float(number), "step": number, "accuracy": value} for number, value in enumerate(values, 1)]


def test_a_run_is_told_in_words(tmp_path):
    facts = {fact.label: fact.value for fact in facts_of(ENDED, tmp_path)}
    assert facts["run"] == "r (first)"
    assert facts["created"].endswith("; took 2 min 05 s, attempt 2")
    assert facts["asked for"] == "epochs=3, seed=0"
    assert facts["options"] == "ema=True, mixup=0.5"
    assert facts["data"] == "/data (class-folders): train 1; 1 class"
    assert "kind" not in facts


def test_paths_are_to_be_copied(tmp_path):
    assert [fact.label for fact in facts_of(ENDED, tmp_path) if fact.copied] == ["run folder", "log"]


def test_the_time_of_a_run_that_goes_on_is_unknown():
    assert time_taken(ENDED) == 125
    assert time_taken(dataclasses.replace(ENDED, ended_at=None)) is None


def test_the_first_of_several_best_epochs_is_the_best():
    assert best_epoch(rows(0.5, math.nan, 0.75, 0.75), "accuracy") == 3
    assert best_epoch(rows(math.nan), "accuracy") is None
    assert best_epoch(rows(0.5), None) is None


def test_before_the_end_metrics_are_those_of_the_last_epoch():
    assert metrics_of(ENDED, lambda: rows(0.5, 0.25)) == {"accuracy": 0.25}
    assert metrics_of(ENDED, list) == {}
    with_null = dataclasses.replace(ENDED, metrics={"accuracy": 0.5, "x": None}, non_finite={"x": "Infinity"})
    assert metrics_of(with_null, lambda: rows(0.25)) == {"accuracy": 0.5, "x": math.inf}
