"""What a run says of itself beforehand, against what it then took."""

from functools import partial

import pytest

import visiontrain.torchkit.loop
import visiontrain_timm.trainer
from visiontrain.torchkit.estimating import Estimates


class Clock:
    """Goes on by what each forward pass is said to take: a busy machine changes nothing."""

    def __init__(self, monkeypatch, *, first, training, validation):
        self.now, self._times = 0.0, (first, training, validation)
        monkeypatch.setattr(visiontrain.torchkit.loop, "Estimates", partial(Estimates, clock=lambda: self.now))
        build = visiontrain_timm.trainer.build_model

        def build_here(*args, **kwargs):
            built = build(*args, **kwargs)
            built.model.register_forward_pre_hook(self._go_on)
            return built

        monkeypatch.setattr(visiontrain_timm.trainer, "build_model", build_here)

    def _go_on(self, model, _given):
        first, training, validation = self._times
        self.now += first if self.now == 0 else training if model.training else validation


@pytest.mark.parametrize(
    "seconds",
    [
        {"first": 60.0, "training": 4.0, "validation": 1.5},
        {"first": 90.0, "training": 20.0, "validation": 8.0},
    ],
)
def test_no_estimate_of_a_training_is_wrong_by_more_than_2x(harness, monkeypatch, seconds):
    clock, said = Clock(monkeypatch, **seconds), []

    def take(context):
        told = context.estimate
        context.estimate = lambda **values: (said.append((clock.now, values)), told(**values))

    _, context = harness.train(epochs=4, before=take)
    assert len(context.of("estimate")) == len(said) > 2
    assert said[0][1]["epochs"] >= 3  # while there is much to come
    for when, values in said:
        left = clock.now - when
        assert left / 2 <= values["seconds"] <= left * 2, said
        assert 10 * 2**20 < values["memory"] < values["memory_total"]
    assert said[1][1]["seconds"] == pytest.approx(clock.now - said[1][0], rel=0.1)
