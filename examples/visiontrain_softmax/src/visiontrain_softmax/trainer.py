"""The worker's half: runs inside the environment, where NumPy and Pillow are."""

from pathlib import Path

import numpy as np
import PIL
from PIL import Image

from visiontrain.errors import DeviceError, WeightsError
from visiontrain.protocol.messages import Device, ModelInfo, TrainResult
from visiontrain.worker.context import RunContext
from visiontrain.worker.trainer import Description


class SoftmaxTrainer:
    def describe(self):
        return Description({"numpy": np.__version__, "pillow": PIL.__version__}, (Device("cpu"),))

    def models(self):
        yield ModelInfo("softmax_regression", ("classify",))

    def train(self, context: RunContext):
        params = context.params
        if params.device not in ("auto", "cpu"):
            raise DeviceError(f"softmax regression has no {params.device}", instruction="Give --device cpu.")
        if params.weights.source != "scratch":
            raise WeightsError("softmax regression begins with no weights", instruction="Give --scratch.")
        x, y = read(context, "train")
        x_val, y_val = read(context, "val")
        batches = -(-len(y) // params.batch_size)
        rate = params.learning_rate or 0.1
        state = resume(context) or {
            "weights": np.zeros((x.shape[1], len(context.dataset.classes))),
            "step": 0,
            "loss": 0.0,
            "best": 0.0,
        }
        while (step := state["step"]) < params.epochs * batches:
            epoch, batch = step // batches + 1, step % batches
            if context.stop_requested:
                save(context, "last", state, batches)
                return TrainResult("stopped", step / batches)
            # From seed and epoch alone: a resumed run shuffles as an uninterrupted one does.
            order = np.random.default_rng([params.seed, epoch]).permutation(len(y))
            chosen = order[batch * params.batch_size :][: params.batch_size]
            loss, _, slope = cross_entropy(x[chosen], y[chosen], state["weights"])
            state["weights"] = state["weights"] * (1 - rate * params.options["decay"]) - rate * slope
            state |= {"step": step + 1, "loss": state["loss"] + loss * len(chosen) / len(y)}
            context.progress("train", epoch=epoch, epochs=params.epochs, step=batch + 1, steps=batches)
            if batch + 1 == batches:
                val_loss, accuracy, _ = cross_entropy(x_val, y_val, state["weights"])
                row = {"train_loss": state["loss"], "val_loss": val_loss, "accuracy": accuracy, "learning_rate": rate}
                context.metrics(row, step=step + 1, epoch=epoch)
                is_best = accuracy > state["best"]
                state |= {"loss": 0.0, "best": max(accuracy, state["best"])}
                for kind in ("best", "last") if is_best else ("last",):
                    save(context, kind, state, batches)
        return TrainResult("completed", params.epochs, {"accuracy": state["best"]})


def read(context, split):
    """Spectra, a row an image, and labels. A shape's place hardly changes its spectrum: a linear model needs that."""
    size, spectra = (context.params.image_size,) * 2, []
    for entry in context.dataset.images(split):
        with Image.open(entry.path) as image:
            grey = np.asarray(image.convert("L").resize(size), dtype=float) / 255
        spectrum = np.log1p(np.abs(np.fft.rfft2(grey - grey.mean()))).ravel()
        spectra.append(np.append((spectrum - spectrum.mean()) / spectrum.std(), 1.0))
    return np.stack(spectra), np.array(context.dataset.labels(split))


def cross_entropy(x, y, weights):
    """Mean loss, accuracy, and the loss's slope by weight."""
    logits = x @ weights
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances = odds / odds.sum(axis=1, keepdims=True)
    errors = chances - np.eye(weights.shape[1])[y]
    loss = -np.log(chances[np.arange(len(y)), y] + 1e-12).mean()
    return float(loss), float((logits.argmax(axis=1) == y).mean()), x.T @ errors / len(y)


def save(context, kind, state, batches):
    """Write aside, then rename: a checkpoint is whole or not there."""
    path = context.checkpoints_dir / f"{kind}.npz"
    with path.with_suffix(".tmp").open("wb") as file:
        np.savez(file, **state)
    path.with_suffix(".tmp").replace(path)
    context.checkpoint(path, kind=kind, step=state["step"], epoch=state["step"] / batches)


def resume(context):
    """The state to go on from, where the request says so."""
    asked = context.params.resume
    if asked is None:
        return None
    if not asked.checkpoints:
        context.resumed(step=0, epoch=0, checkpoint=None)
        return None
    path = Path(asked.checkpoints[0])
    with np.load(path, allow_pickle=False) as file:
        state = {name: file[name] if file[name].ndim else file[name].item() for name in file}
    batches = -(-context.dataset.splits["train"] // context.params.batch_size)
    context.resumed(step=state["step"], epoch=state["step"] / batches, checkpoint=path)
    return state
