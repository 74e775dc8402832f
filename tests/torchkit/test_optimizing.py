from torch import nn

from visiontrain.hyperparameters.optimizers import Start
from visiontrain.hyperparameters.training import TrainingOptions
from visiontrain.protocol.messages import TrainParams, Weights
from visiontrain.torchkit.optimizing import choose_learning_rate, parameter_groups


class Options(TrainingOptions):
    framework = "mine"


def test_parts_of_a_model_have_a_share_of_the_learning_rate():
    model = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2), nn.Linear(2, 2))
    groups = parameter_groups(model, Options(weight_decay=0.3), layers={}, shares={"0.weight": 0.1, "0.bias": 0.1})
    found = {
        name: (group["lr_scale"], group["weight_decay"])
        for group in groups
        for parameter in group["params"]
        for name, other in model.named_parameters()
        if parameter is other
    }
    assert found == {
        "0.weight": (0.1, 0.3), "0.bias": (0.1, 0.0), "1.weight": (1, 0.0), "1.bias": (1, 0.0), "2.weight": (1, 0.3),
        "2.bias": (1, 0.0),
    }  # fmt: skip


def test_a_task_may_have_learning_rates_of_its_own():
    params = TrainParams(
        run_id="x", run_dir="x", model="m", dataset="d", epochs=1, resume=None, weights=Weights("file", "w"),
        task="detect", batch_size=8, learning_rate=None, image_size=32, device="cpu", seed=0, options={},
    )  # fmt: skip
    told = []
    start = Start(1.0, 2.0, 4.0)
    found = choose_learning_rate(params, Options(), nn.Linear(1, 1), told.append, start=start)
    assert found == 2.0  # of batch size 32, times the root of a quarter
    assert "trained weights" in told[0]
