"""Whatever a class is called, MLflow takes its metrics, and two classes stay two."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mlflow.utils.validation import _validate_metric_name

from visiontrain_mlflow.names import metric_key


@pytest.mark.parametrize("name", ["accuracy", "precision/신발", "best/f1_macro", "a b", "x.y-z"])
def test_names_that_mlflow_takes_stay_as_they_are(name):
    assert metric_key(name) == name


@given(st.text(min_size=1, max_size=300))
@example("..")
@example("precision/..")
@example("precision/a/")
@example("/")
@example("a" * 251)
@example("b" * 249 + "/" + "c")
def test_mlflow_takes_every_name(name):
    _validate_metric_name(metric_key(name))


@given(st.sets(st.text(alphabet="ab+=./-x2B", min_size=1, max_size=6), min_size=2, max_size=2))
def test_two_names_stay_two(names):
    first, second = names
    if "-" not in first + second:  # what is written for a refused sign can be typed, too
        assert metric_key(first) != metric_key(second)


def test_long_names_that_begin_alike_stay_two():
    assert metric_key("a" * 300 + "b") != metric_key("a" * 300 + "c")
