import io
import time

import pytest
from rich.console import Console

from visiontrain.display import predicting
from visiontrain.display.predicting import shown


@pytest.fixture
def lines(monkeypatch):
    """What a terminal would be given to draw, when it is asked for."""
    drawn = {}

    class Region:
        def __init__(self, console):
            drawn["hidden"] = False

        def show(self, render):
            drawn["render"] = render

        def hide(self):
            drawn["hidden"] = True

    monkeypatch.setattr(predicting, "Region", Region)

    def text():
        console = Console(width=100, file=io.StringIO())
        console.print(drawn["render"]())
        return console.file.getvalue()

    drawn["text"] = text
    return drawn


def made(count):
    for number in range(count):
        time.sleep(0.001)
        yield number


@pytest.mark.parametrize(("total", "far"), [(3, "2/3"), (None, "2 ")])
def test_how_far_it_is(lines, total, far):
    found = shown(made(3), total=total)
    assert next(found) == 0
    assert "images/s" not in lines["text"]()  # one is no measure: the model was loaded meanwhile
    next(found)
    text = lines["text"]()
    assert f"{far}" in text
    assert "images/s" in text
    assert ("left" in text) == (total is not None)
    assert list(found) == [2]
    assert lines["hidden"]


def test_until_the_first_one_the_model_is_loaded(lines):
    def slow():
        assert "Loading the model" in lines["text"]()
        yield 1

    assert list(shown(slow(), total=1)) == [1]


def test_whoever_stops_reading_ends_it(lines):
    asked = made(3)
    found = shown(asked, total=3)
    next(found)
    found.close()
    assert lines["hidden"]
    assert list(asked) == []
