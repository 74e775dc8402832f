import pytest

from visiontrain.wording import clean, duration, metric, plural


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("café 猫\tx\n", "café 猫\tx\n"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\rb\x07", r"a\rb\x07"),
        ("bad\udcff.jpg", r"bad\udcff.jpg"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
    ],
)
def test_clean_escapes_what_moves_the_cursor_or_can_not_be_printed(text, shown):
    assert clean(text) == shown
    shown.encode("utf-8")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0.0000"),
        (1.0, "1.0000"),
        (0.87654, "0.8765"),
        (12.3456, "12.35"),
        (1234.5, "1,234"),
        (32.0, "32"),
        (100.25, "100.25"),
        (0.00012, "1.20e-04"),
        (-0.5, "-0.5000"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
    ],
)
def test_metric(value, shown):
    assert metric(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-1, "0.0 s"),
        (0.44, "0.4 s"),
        (9.96, "10 s"),
        (59.6, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3600, "1 h 00 min"),
        (12345, "3 h 25 min"),
    ],
)
def test_duration(seconds, shown):
    assert duration(seconds) == shown


def test_plural():
    assert [plural(1, "class", "classes"), plural(1300, "model")] == ["1 class", "1,300 models"]
