"""Options that are refused: they can't be had, contradict each other, or don't go with a resumed run's state."""

from __future__ import annotations

import pytest

from visiontrain.errors import SpecError

REFUSED = [
    ({"optimizer": "sgdd"}, "optimizer: must be one of adamw"),
    ({"momentum": 0.9}, "momentum: is nothing that adamw has"),
    ({"optimizer": "sgd", "beta1": 0.9}, "beta1: is nothing that sgd has"),
    ({"optimizer": "rmsprop", "beta2": 0.9}, "beta2: is nothing that rmsprop has"),
    ({"decay_epochs": "3"}, "decay_epochs: has no effect with schedule=cosine"),
    ({"schedule": "constant", "decay_factor": 0.1}, "decay_factor: has no effect"),
    ({"schedule": "constant", "final_rate": 0.1}, "final_rate: has no effect"),
    ({"schedule": "step", "decay_epochs": "often"}, "decay_epochs: must be numbers"),
    ({"schedule": "step", "decay_epochs": "1,2"}, "decay_epochs: must be one number"),
    ({"schedule": "step", "decay_epochs": "0"}, "decay_epochs: must be at least"),
    ({"schedule": "multistep", "decay_epochs": "1,2"}, "decay_epochs: must be below the 2 epochs"),
    ({"schedule": "step", "decay_epochs": "2"}, "decay_epochs: must be below the 2 epochs"),
    ({"mix_probability": 0.5}, "mix_probability: has no effect without mixup or cutmix"),
    ({"class_weights": "balanced", "balanced_sampling": True}, "balanced_sampling: and class_weights=balanced"),
    ({"class_weights": "heavy"}, "class_weights: must be none, balanced or"),
    ({"class_weights": "{"}, "class_weights: must be none, balanced or"),
    ({"class_weights": "circle=0"}, "class_weights: must be above 0"),
    ({"class_weights": "cirle=2"}, "class_weights: names cirle, which is no class"),
    ({"layer_decay": 0.5, "freeze": "backbone"}, "layer_decay: has no effect with freeze=backbone"),
    ({"freeze": "backbone"}, "freeze: would keep random weights"),
    ({"freeze": "9"}, "freeze: must be between 1 and this model's 5 stages"),
    ({"freeze": "layer9"}, "freeze: nothing of this model is called 'layer9'"),
    ({"freeze": "*"}, "freeze: .* would leave nothing to train"),
    ({"mean": "grey"}, "mean: must be numbers"),
    ({"mean": "128"}, "mean: must be between 0 and 1"),
    ({"std": "0.1,0.2"}, "std: must be one number, or one each"),
    ({"std": "0"}, "std: must be between 0.001 and 1"),
    ({"primary_metric": "accuracy_top5"}, "primary_metric: accuracy_top5 is always 1 with 3 classes"),
]


@pytest.mark.parametrize(("options", "words"), REFUSED, ids=[str(options) for options, _ in REFUSED])
def test_refusals_say_what_to_do(harness, options, words):
    with pytest.raises(SpecError, match=words) as caught:
        harness.train(options=options)
    assert caught.value.instruction or "must be" in caught.value.reason
    assert not (harness.folder / "run" / "checkpoints").exists()


@pytest.mark.parametrize("change", [{"optimizer": "sgd"}, {"layer_decay": 0.5}, {"ema_decay": 0.9}])
def test_a_resumed_run_keeps_what_its_state_is_made_for(harness, change):
    harness.train(epochs=1)
    with pytest.raises(SpecError, match=f"{next(iter(change))}: is .*, but the run was started with"):
        harness.train(epochs=2, resume=True, options=change)


def test_without_a_compiler_that_is_said_before_anything_starts(harness):
    import torch._dynamo
    from torch._inductor import config
    from torch._inductor.utils import fresh_cache

    torch._dynamo.reset()
    # Not by monkeypatch: some settings are other ones' names, and would not be put back.
    with (
        config.patch({"cpp.cxx": ("/nowhere/g++",)}),
        fresh_cache(),
        pytest.raises(SpecError, match="compile") as caught,
    ):
        harness.train(epochs=1, options={"compile": True})
    assert "InvalidCxxCompiler" in caught.value.reason
    assert "C++ compiler" in caught.value.instruction
    torch._dynamo.reset()
