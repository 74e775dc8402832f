import pytest

from visiontrain.torchkit.schedule import Schedule


def test_warmup_rises_to_the_peak_in_equal_steps():
    schedule = Schedule(1.0, steps=10, warmup=4, shape="constant")
    assert [schedule(step) for step in range(6)] == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1])


@pytest.mark.parametrize(
    ("shape", "middle"), [("cosine", 0.1 + 0.9 * 0.5), ("linear", 0.1 + 0.9 * 0.5), ("constant", 1.0)]
)
def test_shapes_begin_at_the_peak_and_end_at_the_rest(shape, middle):
    schedule = Schedule(2.0, steps=12, warmup=2, shape=shape, final=0.1)
    assert schedule(2) == pytest.approx(2.0)
    assert schedule(7) == pytest.approx(2 * middle)
    assert schedule(12) == schedule(99) == pytest.approx(2.0 if shape == "constant" else 0.2)


def test_a_cosine_is_above_a_line_at_first_and_below_it_later():
    cosine, line = (Schedule(1.0, steps=100, shape=shape) for shape in ("cosine", "linear"))
    assert cosine(25) > line(25) + 0.05
    assert cosine(75) < line(75) - 0.05


def test_steps_fall_at_each_drop():
    schedule = Schedule(1.0, steps=9, shape="steps", drops=(3, 6), factor=0.5)
    assert [schedule(step) for step in range(9)] == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]


def test_a_cosine_falls_at_each_step_to_the_end():
    schedule = Schedule(peak=1.0, steps=110, warmup=10, final=0.0)
    assert [schedule(step) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert schedule(10) == pytest.approx(1.0)
    assert schedule(60) == pytest.approx(0.5)
    assert schedule(110) == schedule(1000) == pytest.approx(0.0)
    assert all(schedule(step) > schedule(step + 1) for step in range(10, 109))
