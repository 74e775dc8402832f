"""What a run says of itself beforehand, against what it then took."""

import time

import pytest

import visiontrain_timm.trainer
from visiontrain.torchkit import estimating, pace


@pytest.fixture
def steady(monkeypatch):
    """A model that takes its time, so that a busy machine hardly changes how long: the first batch a second."""
    monkeypatch.setattr(estimating, "SHORTEST", 0.3)
    monkeypatch.setattr(estimating, "INTERVAL", 0.2)
    monkeypatch.setattr(pace, "_WINDOW", 0.1)
    build = visiontrain_timm.trainer.build_model
    seen = []

    def take_time(model, given):
        seen.append(len(given[0]))
        time.sleep(1.0 if len(seen) == 1 else 0.1 if model.training else 0.04)

    def build_here(*args, **kwargs):
        built = build(*args, **kwargs)
        built.model.register_forward_pre_hook(take_time)
        return built

    monkeypatch.setattr(visiontrain_timm.trainer, "build_model", build_here)


def test_no_estimate_of_a_real_run_is_wrong_by_more_than_2x(harness, steady):
    _, context = harness.train(epochs=3)
    end = context.events[-1]["monotonic"]
    said = context.of("estimate")
    first = context.of("checkpoint")[0]["monotonic"]
    assert said[0]["monotonic"] < first  # within the first epoch
    assert len(said) > 1
    for event in said:
        left = end - event["monotonic"]
        if left > 0.3:
            assert left / 2 < event["seconds"] < left * 2, said
        assert 10 * 2**20 < event["memory"] < event["memory_total"]
    assert [event["epochs"] for event in said] == sorted((event["epochs"] for event in said), reverse=True)
