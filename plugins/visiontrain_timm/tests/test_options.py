"""Each option does what it says, and is refused where it can't."""

from __future__ import annotations

import pytest
import timm
import torch

from visiontrain.hyperparameters.optimizers import OPTIMIZERS
from visiontrain.protocol.messages import Weights
from visiontrain_timm.build import build_model
from visiontrain_timm.optimize import build_optimizer
from visiontrain_timm.options import TimmOptions

#: Two epochs of five steps, the first with warmup; a schedule's shape shows in the second.
CHANGES = {
    "momentum": {"optimizer": "sgd", "momentum": 0.5},
    "beta1": {"beta1": 0.5},
    "beta2": {"beta2": 0.9},
    "weight_decay": {"weight_decay": 0.5},
    "layer_decay": {"layer_decay": 0.5},
    "schedule": {"schedule": "linear"},
    "warmup_epochs": {"warmup_epochs": 1.0},
    "final_rate": {"final_rate": 0.5},
    "decay_epochs": {"schedule": "step", "decay_epochs": "1"},
    "decay_factor": {"schedule": "multistep", "decay_factor": 0.5},
    "accumulate": {"accumulate": 2},
    "clip_grad": {"clip_grad": 0.1},
    "label_smoothing": {"label_smoothing": 0.0},
    "mixup": {"mixup": 0.4},
    "cutmix": {"cutmix": 1.0},
    "mix_probability": {"mixup": 0.4, "mix_probability": 0.5},
    "no augmentation": {"augmentation": "none"},
    "standard augmentation": {"augmentation": "standard"},
    "strong augmentation": {"augmentation": "strong"},
    "balanced class_weights": {"class_weights": "balanced"},
    "given class_weights": {"class_weights": "circle=3, square=0.5"},
    "balanced_sampling": {"balanced_sampling": True},
    "drop_rate": {"drop_rate": 0.5},
    "drop_path_rate": {"drop_path_rate": 0.5},
    "mean": {"mean": "0.1,0.2,0.3"},
    "std": {"std": "0.1,0.2,0.3"},
    "interpolation": {"interpolation": "nearest"},
    "precision": {"precision": "bf16"},
    **{optimizer: {"optimizer": optimizer} for optimizer in OPTIMIZERS if optimizer != "adamw"},
}

#: What an option is compared with, where that is not the default.
BESIDE = {
    "momentum": {"optimizer": "sgd"},
    "decay_epochs": {"schedule": "step"},
    "decay_factor": {"schedule": "multistep"},
    "mix_probability": {"mixup": 0.4},
}


@pytest.fixture(scope="module")
def trained():
    """Weights after a short training, by options: the comparisons share theirs."""
    return {}


@pytest.fixture
def weights(harness, trained, make_index, tmp_path):
    def train(**options):
        key = " ".join(f"{name}={value}" for name, value in options.items()) or "plain"
        if key not in trained:
            folder = tmp_path / f"data{len(trained)}"
            folder.mkdir()
            harness.index = make_index(folder, train=6, val=2, side=36, uneven=True)
            harness.train(key, learning_rate=0.01, options=options)
            trained[key] = harness.last(key)["model"]
        return trained[key]

    return train


@pytest.mark.parametrize("name", CHANGES)
def test_each_changes_what_is_learned(weights, name):
    plain, changed = weights(**BESIDE.get(name, {})), weights(**CHANGES[name])
    assert any(not torch.equal(plain[key], changed[key]) for key in plain)


def test_accumulated_batches_are_as_one_large_batch(harness):
    _, small = harness.train("small", batch_size=4, epochs=1, options={"accumulate": 2})
    _, large = harness.train("large", batch_size=8, epochs=1)
    assert [context.of("metrics")[0]["step"] for context in (small, large)] == [5, 5]
    assert "Learning rate 0.001: adamw's default for random weights and batch norm at batch size 4 x 2." in small.logged
    assert small.rows[0]["learning_rate"] == large.rows[0]["learning_rate"]


@pytest.mark.parametrize(
    ("options", "rates"),
    [
        ({"schedule": "constant"}, [1, 1, 1, 1]),
        ({"schedule": "step", "decay_epochs": "1"}, [1, 0.1, 0.01, 0.001]),
        ({"schedule": "multistep", "decay_epochs": "1,3", "decay_factor": 0.5}, [1, 0.5, 0.5, 0.25]),
        ({"schedule": "multistep"}, [1, 1, 0.1, 0.01]),
        ({"schedule": "linear", "final_rate": 0.0}, [0.8, 0.55, 0.3, 0.05]),
    ],
)
def test_schedules(harness, options, rates):
    _, context = harness.train(epochs=4, learning_rate=0.1, options={"warmup_epochs": 0.0, **options})
    assert [row["learning_rate"] / 0.1 for row in context.rows] == pytest.approx(rates)


def test_the_average_is_what_is_validated_and_kept(harness):
    harness.train(epochs=2, options={"ema_decay": 0.9, "primary_metric": "val_loss"})
    harness.train("plain", epochs=2, options={"primary_metric": "val_loss"})
    last, best, plain = harness.last(), harness.best(), harness.last("plain")
    assert all(torch.equal(last["model"][key], plain["model"][key]) for key in plain["model"])
    assert best["epoch"] == 2
    average = last["updates"]["average"]
    assert all(torch.equal(best["model"][key], average[key]) for key in average)
    assert not torch.equal(average["fc.weight"], last["model"]["fc.weight"])


def test_the_default_is_torchs_own_adamw():
    network = timm.create_model("test_resnet", num_classes=3)
    optimizer = build_optimizer(network, 0.1, TimmOptions.from_params({}))
    assert type(optimizer) is torch.optim.AdamW
    assert {(g["fused"], g["betas"], g["eps"]) for g in optimizer.param_groups} == {(True, (0.9, 0.999), 1e-8)}
    assert [(g["weight_decay"], g["lr_scale"]) for g in optimizer.param_groups] == [(0.0, 1.0), (0.05, 1.0)]


def test_sgd_without_momentum_is_plain():
    network = timm.create_model("test_resnet", num_classes=3)
    for momentum in (0.0, 0.5):
        options = TimmOptions.from_params({"optimizer": "sgd", "momentum": momentum})
        groups = build_optimizer(network, 0.1, options).param_groups
        assert {(group["momentum"], group["nesterov"]) for group in groups} == {(momentum, momentum > 0)}


def test_a_models_own_dropout_stays_unless_another_is_given():
    def rate(**options):
        given = TimmOptions.from_params(options)
        weights = Weights("scratch")
        return build_model(
            "ghostnet_050", classes=("a", "b"), image_size=32, weights=weights, options=given, log=print
        ).model.drop_rate

    assert (rate(), rate(drop_rate=0.0), rate(drop_rate=0.5)) == (0.2, 0.0, 0.5)


def test_weight_decay_is_what_is_usual_with_the_optimizer():
    for name, usual in OPTIMIZERS.items():
        assert TimmOptions.from_params({"optimizer": name}).weight_decay == usual.weight_decay
        assert TimmOptions.from_params({"optimizer": name, "weight_decay": 0.0}).weight_decay == 0


@pytest.mark.parametrize(
    ("batch", "adamw", "sgd"), [(8, "0.001", "0.025"), (32, "0.002", "0.1"), (128, "0.004", "0.4")]
)
def test_learning_rates_grow_with_the_batch(harness, batch, adamw, sgd):
    for optimizer, rate in (("adamw", adamw), ("sgd", sgd)):
        _, context = harness.train(optimizer, epochs=1, batch_size=batch, options={"optimizer": optimizer})
        assert f"Learning rate {rate}: {optimizer}'s default for random weights" in context.logged


def test_fine_tuning_has_lower_learning_rates(harness, pretrained):
    for optimizer in OPTIMIZERS:
        _, context = harness.train(optimizer, epochs=1, weights=pretrained, options={"optimizer": optimizer})
        usual = OPTIMIZERS[optimizer]
        rate = usual.start.fine_tuning * usual.scale(8)
        assert rate < usual.start.scratch_batch_norm * usual.scale(8)
        assert f"Learning rate {rate:.2g}: {optimizer}'s default for trained weights" in context.logged


def test_images_are_as_asked_for_in_the_checkpoint_too(harness):
    options = {"mean": "0.5", "std": "0.1,0.2,0.3", "interpolation": "nearest", "crop_pct": 0.5}
    _, changed = harness.train("changed", epochs=1, options=options)
    _, plain = harness.train("plain", epochs=1)
    image = harness.best("changed")["metadata"]["image"]
    assert image["mean"] == [0.5] * 3
    assert image["std"] == [0.1, 0.2, 0.3]
    assert (image["interpolation"], image["crop_pct"]) == ("nearest", 0.5)
    assert changed.rows[0]["val_loss"] != plain.rows[0]["val_loss"]


def test_weights_that_were_trained_with_other_images_are_told_of(harness):
    trained = {"mean": "0.4", "interpolation": "nearest", "crop_pct": 0.5}
    harness.train("before", epochs=1, options=trained)
    weights = Weights("file", str(harness.path("before")))
    _, other = harness.train("other", epochs=1, weights=weights)
    assert "To go on as there: --set mean=0.4,0.4,0.4 --set interpolation=nearest." in other.logged
    _, alike = harness.train("alike", epochs=1, weights=weights, options=trained)
    assert "To go on as there" not in alike.logged


def test_validation_sees_what_crop_pct_keeps(harness):
    losses = set()
    for crop in (1.0, 0.5):
        _, context = harness.train(str(crop), epochs=1, options={"crop_pct": crop})
        losses.add(context.rows[0]["val_loss"])
    assert len(losses) == 2


def test_the_primary_metric_picks_the_best_epoch(harness):
    for metric, pick in (("val_loss", min), ("f1_macro", max), ("recall_macro", max)):
        result, context = harness.train(metric, epochs=4, options={"primary_metric": metric})
        values = [row[metric] for row in context.rows]
        assert result.metrics[metric] == pick(values)
        assert harness.best(metric)["epoch"] == values.index(pick(values)) + 1


def test_out_of_patience_the_run_is_completed(harness):
    # No learning: the first epoch stays the best one.
    options = {"patience": 2, "primary_metric": "accuracy", "freeze": "none"}
    result, context = harness.train(epochs=9, learning_rate=1e-12, options=options)
    assert (result.status, result.epochs) == ("completed", 3.0)
    assert len(context.rows) == 3
    assert "Ended early, after epoch 3 of 9: accuracy has not been better than epoch 1's" in context.logged
    again, context = harness.train(epochs=9, learning_rate=1e-12, resume=True, options=options)
    assert (again.status, again.epochs, context.rows) == ("completed", 3.0, [])
    more, context = harness.train(epochs=9, learning_rate=1e-12, resume=True, options={**options, "patience": 3})
    assert (more.epochs, len(context.rows)) == (4.0, 1)
    (resumed,) = context.of("resumed")
    assert resumed["exact"], resumed["reason"]


def test_channels_last_changes_the_layout_alone(harness):
    for layout in (True, False):
        harness.train(str(layout), epochs=1, options={"channels_last": layout})
    one, other = (harness.last(str(layout))["model"]["layer1.0.conv1.weight"] for layout in (True, False))
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    assert one.is_contiguous(memory_format=torch.channels_last)
    assert not other.is_contiguous(memory_format=torch.channels_last)


def test_a_compiled_model_learns_the_same(harness):
    for compiled in (True, False):
        harness.train(str(compiled), epochs=1, options={"compile": compiled})
    one, other = (harness.last(str(compiled)) for compiled in (True, False))
    assert one["model"].keys() == other["model"].keys()
    for key, value in one["model"].items():
        torch.testing.assert_close(value, other["model"][key], rtol=1e-2, atol=1e-3)
