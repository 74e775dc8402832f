from __future__ import annotations

import pytest

from visiontrain.errors import SpecError
from visiontrain.session import Session


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        (None, {}, "data: must be a path, not None"),
        ("", {}, "data: is empty"),
        (".", {"task": "clasify"}, r"task: must be one of classify, .*; did you mean classify\?"),
        (".", {"task": 5}, "task: must be one of classify, .*, not 5"),
    ],
)
def test_a_wrong_question_about_a_dataset(tmp_path, data, options, words):
    with pytest.raises(SpecError, match=words):
        Session(home=tmp_path / "home").check_dataset(data, **options)
    assert not (tmp_path / "home").exists()


def test_a_home_that_is_no_path():
    with pytest.raises(SpecError, match="home: must be a path, not 3"):
        Session(home=3)
