"""The worker's half: runs inside the environment, where NumPy and Pillow are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

from visiontrain.errors import DeviceError, WeightsError
from visiontrain.protocol.messages import Device, ModelInfo, TrainParams, TrainResult
from visiontrain.worker.context import RunContext
from visiontrain.worker.trainer import Description

Arrays = dict[str, np.ndarray]


class SoftmaxTrainer:
    """Minibatch gradient descent on the cross entropy of a linear model."""

    def describe(self) -> Description:
        return Description({"numpy": np.__version__, "pillow": PIL.__version__}, (Device("cpu"),))

    def models(self) -> Iterator[ModelInfo]:
        yield ModelInfo("softmax_regression", ("classify",))

    def train(self, context: RunContext) -> TrainResult:
        params = context.params
        check(params)
        (x, y), (x_val, y_val) = (read(context, split) for split in ("train", "val"))
        state = resumed(context) or {
            "mean": x.mean(axis=0),
            "scale": x.std(axis=0) + 1e-6,
            "weights": np.zeros((x.shape[1] + 1, len(context.dataset.classes))),
            **{name: np.array(0) for name in ("epoch", "batch")},
            **{name: np.array(0.0) for name in ("loss", "best")},
        }
        x, x_val = ((np.c_[(part - state["mean"]) / state["scale"], np.ones(len(part))]) for part in (x, x_val))
        batches = -(-len(y) // params.batch_size)
        rate = params.learning_rate or 0.05
        while state["epoch"] < params.epochs:
            epoch = int(state["epoch"]) + 1
            # Random choices come from seed and epoch alone: a resumed run makes the same ones.
            order = np.random.default_rng([params.seed, epoch]).permutation(len(y))
            while state["batch"] < batches:
                done = int(state["batch"])
                if context.stop_requested:
                    save(context, state, "last", step=(epoch - 1) * batches + done, epoch=epoch - 1 + done / batches)
                    return TrainResult("stopped", epoch - 1 + done / batches)
                chosen = order[done * params.batch_size :][: params.batch_size]
                loss, _, slope = cross_entropy(x[chosen], y[chosen], state["weights"])
                state["weights"] = state["weights"] * (1 - rate * params.options["decay"]) - rate * slope
                state["loss"] = state["loss"] + loss * len(chosen) / len(y)
                state["batch"] = state["batch"] + 1
                context.progress("train", epoch=epoch, epochs=params.epochs, step=done + 1, steps=batches)
            val_loss, accuracy, _ = cross_entropy(x_val, y_val, state["weights"])
            row = {"train_loss": float(state["loss"]), "val_loss": val_loss, "accuracy": accuracy}
            context.metrics({**row, "learning_rate": rate}, step=epoch * batches, epoch=epoch)
            is_best = accuracy > state["best"]
            state |= {"epoch": np.array(epoch), "batch": np.array(0), "loss": np.array(0.0)}
            if is_best:
                state["best"] = np.array(accuracy)
                save(context, state, "best", step=epoch * batches, epoch=epoch)
            save(context, state, "last", step=epoch * batches, epoch=epoch)
        return TrainResult("completed", params.epochs, {"accuracy": float(state["best"])})


def check(params: TrainParams) -> None:
    """Refuse what can't be done, instead of doing something else."""
    if params.device not in ("auto", "cpu"):
        raise DeviceError(f"softmax regression has no {params.device}", instruction="Give --device cpu.")
    if params.weights.source != "scratch":
        raise WeightsError("softmax regression begins with no weights", instruction="Give --scratch.")


def read(context: RunContext, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Spectra and labels. Where a shape lies changes an image's spectrum little, which a linear model needs."""
    side = context.params.image_size
    images = []
    for entry in context.dataset.images(split):
        with Image.open(entry.path) as image:
            images.append(np.asarray(image.convert("L").resize((side, side)), dtype=float) / 255)
    stack = np.stack(images)
    spectra = np.abs(np.fft.rfft2(stack - stack.mean(axis=(1, 2), keepdims=True)))
    return np.log1p(spectra).reshape(len(stack), -1), np.array(context.dataset.labels(split))


def cross_entropy(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> tuple[float, float, np.ndarray]:
    """Mean loss, accuracy, and the loss's slope by weight."""
    logits = x @ weights
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances = odds / odds.sum(axis=1, keepdims=True)
    right = np.arange(len(y)), y
    loss, accuracy = -np.log(chances[right] + 1e-12).mean(), (logits.argmax(axis=1) == y).mean()
    chances[right] -= 1
    return float(loss), float(accuracy), x.T @ chances / len(y)


def save(context: RunContext, state: Arrays, kind: str, *, step: int, epoch: float) -> None:
    """Write aside, then rename: a checkpoint is whole or not there."""
    path = context.checkpoints_dir / f"{kind}.npz"
    aside = path.with_suffix(".tmp")
    with aside.open("wb") as file:
        np.savez(file, **state)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    context.checkpoint(path, kind="best" if kind == "best" else "last", step=step, epoch=epoch)


def resumed(context: RunContext) -> Arrays | None:
    """The state to go on from, where the request says so."""
    resume = context.params.resume
    if resume is None:
        return None
    if not resume.checkpoints:
        context.resumed(step=0, epoch=0.0, checkpoint=None)
        return None
    path = Path(resume.checkpoints[0])
    with np.load(path, allow_pickle=False) as file:
        state = dict(file)
    batches = -(-context.dataset.splits["train"] // context.params.batch_size)
    done = int(state["epoch"]) * batches + int(state["batch"])
    context.resumed(step=done, epoch=done / batches, checkpoint=path)
    return state
