from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace

import pytest
from visiontrain_harness.runs import params

from visiontrain.errors import DatasetError, RunFailedError
from visiontrain.protocol.messages import ResumeFrom
from visiontrain.worker import state as state_module
from visiontrain.worker.context import RunContext
from visiontrain.worker.loop import train_in_epochs

IMAGES, SIZE, EPOCHS = 7, 3, 3
BATCHES = 3


@dataclass
class Data:
    splits: dict[str, int] = field(default_factory=lambda: {"train": IMAGES, "val": 2})
    multi_label: bool = False


class Context(RunContext):
    dataset = Data()


def write(file, /, **values):
    file.write(json.dumps(values).encode())


def read(path):
    return json.loads(path.read_text())


class Training:
    """A training whose one weight depends on all that came before, and in which order."""

    def __init__(self, run_dir, *, resume=None, stop_after=None, accuracies=None, **changes):
        self.sent, self.batches, self.stop_after = [], [], stop_after
        self.accuracies, self.loss = accuracies, None
        asked = params("r", run_dir, resume=resume)
        self.context = Context(replace(asked, epochs=EPOCHS, batch_size=SIZE, **changes), self.sent.append)
        self.context.checkpoints_dir.mkdir(exist_ok=True)
        self.state = {"weight": 0.5}

    def learn(self, batch):
        self.batches.append(batch)
        for position in batch.positions:
            self.state["weight"] = math.sin(self.state["weight"] * 3 + position + batch.step)
        if len(self.batches) == self.stop_after:
            self.context.request_stop()
        return self.state["weight"] if self.loss is None else self.loss

    def validate(self):
        accuracy = abs(self.state["weight"]) if self.accuracies is None else self.accuracies.pop(0)
        return {"val_loss": self.state["weight"] + 1, "accuracy": accuracy}

    def run(self, **options):
        settings = {"suffix": ".json", "write": write, "read": read, **options}
        return train_in_epochs(self.context, self.state, self.learn, self.validate, **settings)

    def of(self, kind):
        return [event for event in self.sent if event["type"] == kind]

    def rows(self):
        return {
            event["epoch"]: {name: value for name, value in event["values"].items() if name != "images_per_second"}
            for event in self.of("metrics")
        }

    def checkpoints(self):
        return {path.stem: read(path) for path in self.context.checkpoints_dir.iterdir()}


def resume_from(run_dir):
    paths = [run_dir / "checkpoints" / name for name in ("last.json", "previous.json")]
    return ResumeFrom(tuple(str(path) for path in paths if path.exists()))


@pytest.fixture
def whole(tmp_path):
    (tmp_path / "whole").mkdir()
    training = Training(tmp_path / "whole")
    training.result = training.run()
    return training


@pytest.fixture
def run_dir(tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    return path


def test_every_epoch_sees_every_image_once_in_an_order_of_its_own(whole):
    assert [len(batch.positions) for batch in whole.batches] == [3, 3, 1] * EPOCHS
    assert [batch.epoch for batch in whole.batches] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert [batch.step for batch in whole.batches] == list(range(EPOCHS * BATCHES))
    orders = [[p for b in whole.batches if b.epoch == epoch for p in b.positions] for epoch in (1, 2, 3)]
    assert [sorted(order) for order in orders] == [list(range(IMAGES))] * EPOCHS
    assert len({tuple(order) for order in orders}) == EPOCHS


def test_what_happens_is_told(whole):
    assert (whole.result.status, whole.result.epochs) == ("completed", EPOCHS)
    rows = whole.rows()
    assert list(rows) == [1, 2, 3]
    assert set(rows[1]) == {"train_loss", "val_loss", "accuracy"}
    assert all(event["values"]["images_per_second"] > 0 for event in whole.of("metrics"))
    best = max(rows, key=lambda epoch: rows[epoch]["accuracy"])
    assert whole.result.metrics == rows[best]
    last = [(event["step"], event["epoch"]) for event in whole.of("checkpoint") if event["kind"] == "last"]
    assert last == [(3, 1), (6, 2), (9, 3)]
    assert [event["epoch"] for event in whole.of("checkpoint") if event["kind"] == "best"][-1] == best
    progress = [(event["epoch"], event["step"], event["steps"]) for event in whole.of("progress")]
    assert (1, 1, BATCHES) in progress
    assert (EPOCHS, BATCHES, BATCHES) in progress


def test_the_training_loss_is_the_mean_over_the_images(run_dir):
    training = Training(run_dir)
    training.loss = 0.25
    training.run()
    assert [row["train_loss"] for row in training.rows().values()] == [0.25] * EPOCHS


@pytest.mark.parametrize("batches", range(1, EPOCHS * BATCHES))
def test_stopped_after_any_batch_it_goes_on_as_if_nothing_had_been(batches, whole, run_dir):
    first = Training(run_dir, stop_after=batches)
    result = first.run()
    assert (result.status, result.epochs) == ("stopped", pytest.approx(batches / BATCHES))
    saved = first.of("checkpoint")[-1]
    assert (saved["kind"], saved["step"], saved["exact"]) == ("last", batches, True)
    second = Training(run_dir, resume=resume_from(run_dir))
    assert second.run() == whole.result
    (resumed,) = second.of("resumed")
    assert (resumed["step"], resumed["checkpoint"], resumed["exact"]) == (batches, "checkpoints/last.json", True)
    assert {**first.rows(), **second.rows()} == whole.rows()
    kept = second.checkpoints()
    assert {name: kept[name] for name in ("best", "last")} == {n: whole.checkpoints()[n] for n in ("best", "last")}


def test_a_stop_before_the_first_batch_leaves_a_checkpoint(run_dir, whole):
    first = Training(run_dir)
    first.context.request_stop()
    assert first.run().epochs == 0
    assert first.batches == []
    assert [event["step"] for event in first.of("checkpoint")] == [0]
    assert Training(run_dir, resume=resume_from(run_dir)).run() == whole.result


def test_a_stop_that_comes_at_the_end_of_an_epoch_writes_nothing_twice(run_dir):
    training = Training(run_dir)
    validate = training.validate

    def stop():
        training.context.request_stop()
        return validate()

    training.validate = stop
    assert training.run().epochs == 1
    assert [event["kind"] for event in training.of("checkpoint")] == ["best", "last"]


def test_with_no_checkpoint_to_go_on_from_it_begins_and_says_so(run_dir, whole):
    training = Training(run_dir, resume=ResumeFrom(()))
    assert training.run() == whole.result
    (resumed,) = training.of("resumed")
    assert (resumed["step"], resumed["checkpoint"]) == (0, None)


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before_saying_so(run_dir, whole):
    Training(run_dir, stop_after=5).run()
    last = run_dir / "checkpoints" / "last.json"
    last.write_text(last.read_text()[:-20])
    second = Training(run_dir, resume=resume_from(run_dir))
    assert second.run() == whole.result
    assert [event["step"] for event in second.of("resumed")] == [3]
    assert any("previous.json" in event["message"] for event in second.of("log"))
    assert second.checkpoints()["last"] == whole.checkpoints()["last"]


def test_a_best_epoch_that_is_done_again_does_not_count_before(run_dir):
    accuracies = [0.1, 0.2, 0.3]
    first = Training(run_dir, accuracies=list(accuracies))
    first.run()
    (run_dir / "checkpoints" / "last.json").unlink()
    # previous is of epoch 2, best of epoch 3
    second = Training(run_dir, resume=resume_from(run_dir), accuracies=[0.05])
    assert second.run().metrics["accuracy"] == 0.05
    assert json.loads(second.checkpoints()["best"]["position"])["best_epoch"] == 3


def test_the_first_of_equals_is_the_best_and_not_a_number_never_is(run_dir):
    training = Training(run_dir, accuracies=[math.nan, 0.5, 0.5])
    assert training.run().metrics["accuracy"] == 0.5
    assert [event["epoch"] for event in training.of("checkpoint") if event["kind"] == "best"] == [1, 2]


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_the_run(run_dir, loss):
    training = Training(run_dir)
    training.loss = loss
    with pytest.raises(RunFailedError, match="the training loss is not a number any more, in epoch 1 at step 1") as e:
        training.run()
    assert "--lr" in e.value.instruction
    assert training.of("checkpoint") == []


def test_what_else_numbers_depend_on_must_be_as_it_was(run_dir, monkeypatch):
    Training(run_dir, stop_after=4).run(conditions={"version of numpy": "2.0"})
    monkeypatch.setattr(state_module.platform, "python_version", lambda: "3.99.0")
    second = Training(run_dir, resume=resume_from(run_dir))
    second.run(conditions={"version of numpy": "2.1"})
    (resumed,) = second.of("resumed")
    assert not resumed["exact"]
    assert "version of numpy was 2.0 and is 2.1; version of python was 3." in resumed["reason"]


def test_within_a_long_epoch_checkpoints_are_written(run_dir):
    training = Training(run_dir)
    training.run(checkpoint_minutes=0)
    steps = [event["step"] for event in training.of("checkpoint") if event["kind"] == "last"]
    assert steps == list(range(1, EPOCHS * BATCHES + 1))


def test_a_checkpoint_that_lacks_a_value_can_not_be_used(run_dir):
    Training(run_dir, stop_after=4).run()
    second = Training(run_dir, resume=resume_from(run_dir))
    second.state["moment"] = 0.0
    with pytest.raises(RunFailedError, match=r"no checkpoint of the run can be read: .*KeyError: 'moment'"):
        second.run()


def test_metrics_without_the_primary_one_are_refused(run_dir):
    training = Training(run_dir)
    training.validate = lambda: {"val_loss": 1.0}
    with pytest.raises(ValueError, match="gave no accuracy"):
        training.run()


def test_a_value_that_is_called_as_the_loops_own_is_refused(run_dir):
    training = Training(run_dir)
    training.state["position"] = 1
    with pytest.raises(ValueError, match="call that value of the state otherwise"):
        training.run()


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_split_without_images_is_named(run_dir, split, monkeypatch):
    monkeypatch.setattr(Context, "dataset", Data({"train": 1, "val": 1, split: 0}))
    with pytest.raises(DatasetError, match=f"no images in its split {split}"):
        Training(run_dir).run()
