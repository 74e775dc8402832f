"""How long a training will take, told by its first steps: against trainings whose every second is made up."""

from dataclasses import dataclass, field
from itertools import pairwise

import pytest
import torch

from visiontrain.torchkit import estimating
from visiontrain.torchkit.estimating import Estimates
from visiontrain.torchkit.state import Position


@dataclass
class Training:
    """What each thing takes, in seconds."""

    epochs: int = 20
    batches: int = 100
    val_batches: int = 25
    step: float = 0.5
    load: float = 0.0  # seconds between two batches that the loaders finish
    first: float = 0.0  # more, of the first batches
    slow: int = 2  # how many of them
    val_step: float = 0.2
    ending: float = 2.0
    startup: float = 0.0  # of loader processes, each epoch
    ahead: int = 8
    checkpoint_bytes: int = 400_000_000
    slower_after: float = 1e9  # from then on a step takes three times as long
    now: float = 1000.0
    said: list = field(default_factory=list)

    def estimate(self, **said):
        self.said.append((self.now, said["seconds"], said))

    def run(self, start=(0, 0)):
        estimates = Estimates(
            self,
            epochs=self.epochs,
            train_batches=self.batches,
            val_batches=self.val_batches,
            ahead=self.ahead,
            checkpoint_bytes=self.checkpoint_bytes,
            device=torch.device("cpu"),
            clock=lambda: self.now,
        )
        at, began, looked, done = Position(epoch=start[0], batch=start[1]), self.now, 0.0, 0
        while at.epoch < self.epochs:
            estimates.begin_epoch(at)
            ready = self.now + self.startup  # when the next batch has been loaded
            while at.batch < self.batches:
                self.now = max(self.now, ready)
                # Loaders go on while the model computes, until so many batches lie ready.
                ready = max(ready, self.now - self.ahead * self.load) + self.load
                slowdown = 3 if self.now - began > self.slower_after else 1
                self.now += self.step * slowdown + (self.first if done < self.slow else 0.0)
                at.batch, done = at.batch + 1, done + 1
                if at.batch in (1, self.batches) or self.now - looked >= 0.25:
                    looked = self.now
                    estimates.look(at)
            estimates.end_training(at)
            self.now += self.val_batches * self.val_step
            estimates.end_validation()
            self.now += self.ending
            at.next_epoch()
            estimates.end_epoch(at)
        return self

    @property
    def ratios(self):
        """Of each estimate: what it said over what it was, while there is more than a moment left."""
        return [said / (self.now - when) for when, said, _ in self.said if self.now - when > 10]


TRAININGS = {
    "steady": Training(),
    "a slow first step, as where kernels are chosen": Training(first=20, slow=2),
    "compiled for a minute while the loaders fill their store, then waiting for them": Training(
        step=0.02, load=0.2, first=60, slow=1, ahead=64, batches=2000, val_step=0.15
    ),
    "loading takes the time, no minute before": Training(step=0.05, load=0.3, ahead=64, batches=1000),
    "few batches an epoch": Training(batches=3, val_batches=2, first=5, epochs=200),
    "one batch an epoch": Training(batches=1, val_batches=1, first=5, epochs=200, step=1.0, ending=0.5),
    "long steps": Training(step=30, first=20, val_step=12, ahead=8, batches=60),
    "large checkpoints of a short epoch": Training(step=0.1, batches=50, ending=8, checkpoint_bytes=2_000_000_000),
    "as much validation as training": Training(val_batches=100, val_step=0.16),
    "validation as slow as training": Training(val_batches=50, val_step=0.5),
    "processes that start each epoch": Training(startup=6, step=0.2),
}


@pytest.mark.parametrize("name", TRAININGS)
def test_no_estimate_is_wrong_by_more_than_half(name):
    ratios = TRAININGS[name].run().ratios
    assert ratios
    assert all(1 / 1.5 < ratio < 1.5 for ratio in ratios), ratios


@pytest.mark.parametrize(("name", "seconds"), [("steady", 15), ("long steps", 250), ("few batches an epoch", 20)])
def test_the_first_estimate_comes_early(name, seconds):
    training = TRAININGS[name].run()
    assert training.said[0][0] - 1000 < seconds


def test_what_is_known_after_an_epoch_is_near():
    training = Training(first=20, startup=3).run()
    assert all(0.9 < ratio < 1.1 for ratio in training.ratios[3:])


def test_a_training_that_becomes_slower_within_an_epoch_is_told_anew():
    training = Training(batches=10_000, epochs=2, slower_after=600).run()
    after = [(when, said) for when, said, _ in training.said if when > 1700]
    assert after[0][0] < 1900
    assert 0.5 < training.ratios[-1] < 2


def test_a_resumed_training_counts_from_where_it_goes_on():
    training = Training(first=10).run(start=(10, 50))
    assert all(1 / 1.2 < ratio < 1.2 for ratio in training.ratios)
    assert training.said[0][2]["epochs"] < 9.5
    assert training.said[0][2]["memory"] <= training.said[0][2]["memory_total"]


def test_nothing_is_said_of_a_short_training_and_little_of_a_steady_one():
    assert Training(epochs=1, batches=20, step=0.2).run().said == []
    training = Training(batches=2_000, epochs=2).run()
    assert len(training.said) <= 3
    whens = [when for when, _, _ in Training(batches=1, epochs=150, step=0.1, ending=0.1).run().said]
    assert all(later - earlier >= estimating.INTERVAL for earlier, later in pairwise(whens))
