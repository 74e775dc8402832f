import pytest
import torch

from visiontrain.errors import WeightsError
from visiontrain.torchkit.checkpoint import write_checkpoint
from visiontrain.torchkit.loading import Kept, load_strictly, read_model
from visiontrain.torchkit.transforms import ImageConfig

IMAGE = ImageConfig(size=(8, 6), mean=(0.1, 0.2, 0.3), std=(0.5,) * 3, interpolation="lanczos", crop_mode="squash")


@pytest.fixture
def payload():
    metadata = {"framework": "mine", "task": "classify", "model": "net", "classes": ["a", "b"], "multi_label": True}
    weights = {"weight": torch.ones(2, 3), "bias": torch.zeros(2)}
    return {"kind": "best", "metadata": {**metadata, "image": IMAGE.to_plain()}, "epoch": 3, "model": weights}


def write(path, payload):
    write_checkpoint(path, payload)
    return path


def test_what_a_best_checkpoint_says(tmp_path, payload):
    saved = read_model(write(tmp_path / "best.pt", payload), framework="mine", task="classify")
    assert (saved.model, saved.classes, saved.multi_label, saved.epoch) == ("net", ("a", "b"), True, 3)
    assert saved.image == IMAGE
    model = torch.nn.Linear(3, 2)
    load_strictly(model, saved)
    assert not model.training
    assert torch.equal(model.weight, torch.ones(2, 3))


@pytest.mark.parametrize(("batch", "epoch"), [(0, 4), (2, 5)])
def test_the_last_checkpoint_gives_the_average_where_one_is_kept(tmp_path, payload, batch, epoch):
    average = {"weight": torch.full((2, 3), 2.0)}
    state = {"kind": "last", "position": {"epoch": 4, "batch": batch}}
    averaged = write(tmp_path / "a.pt", {**payload, **state, "updates": {"average": average}})
    plain = write(tmp_path / "p.pt", {**payload, **state, "updates": {"average": None}})
    saved = read_model(averaged, framework="mine", task="classify")
    assert torch.equal(saved.weights["weight"], average["weight"])
    assert torch.equal(saved.weights["bias"], torch.zeros(2))
    assert saved.epoch == epoch
    assert torch.equal(read_model(plain, framework="mine", task="classify").weights["weight"], torch.ones(2, 3))


def test_what_is_wrong_with_a_file_is_said(tmp_path, payload):
    with pytest.raises(WeightsError, match="it does not exist"):
        read_model(tmp_path / "absent.pt", framework="mine", task="classify")
    path = write(tmp_path / "best.pt", payload)
    with pytest.raises(WeightsError, match="of mine for the task classify, not of other for classify") as caught:
        read_model(path, framework="other", task="classify")
    assert "--framework mine" in caught.value.instruction
    with pytest.raises(WeightsError, match="not of mine for detect"):
        read_model(path, framework="mine", task="detect")
    with pytest.raises(WeightsError, match="does not fit net as this environment builds it"):
        load_strictly(torch.nn.Linear(4, 2), read_model(path, framework="mine", task="classify"))
    with pytest.raises(WeightsError, match="does not fit net"):
        load_strictly(torch.nn.Linear(3, 2, bias=False), read_model(path, framework="mine", task="classify"))
    del payload["metadata"]["classes"]
    with pytest.raises(WeightsError, match=r"does not say how its model is built .*classes"):
        read_model(write(tmp_path / "old.pt", payload), framework="mine", task="classify")


def test_one_thing_is_kept():
    kept, made = Kept(), []

    def make(name):
        made.append(name)
        return name

    for name in ("a", "a", "b", "b", "a"):
        assert kept.get(name, lambda name=name: make(name)) == name
    assert made == ["a", "b", "a"]


def test_what_could_not_be_loaded_is_tried_again():
    kept = Kept()
    with pytest.raises(ZeroDivisionError):
        kept.get("a", lambda: 1 / 0)
    assert kept.get("a", lambda: 1) == 1
