"""The worker's half: runs inside the environment, where NumPy is."""

import numpy as np

from visiontrain.worker.images import read_rgb
from visiontrain.worker.loop import train_in_epochs
from visiontrain.worker.trainer import Description, Device, ModelInfo


class SoftmaxTrainer:
    def describe(self):
        return Description({"numpy": np.__version__}, (Device("cpu"),))

    def models(self):
        yield ModelInfo("softmax_regression", ("classify",))

    def train(self, context):
        rate, decay = context.params.learning_rate or 0.1, context.params.options["decay"]
        (x, y), (x_val, y_val) = read(context, "train"), read(context, "val")
        state = {"weights": np.zeros((x.shape[1], len(context.dataset.classes)))}

        def learn(batch):
            loss, _, slope = cross_entropy(x[batch.positions], y[batch.positions], state["weights"])
            state["weights"] -= rate * (slope + decay * state["weights"])
            return loss

        def validate():
            loss, accuracy, _ = cross_entropy(x_val, y_val, state["weights"])
            return {"val_loss": loss, "accuracy": accuracy, "learning_rate": rate}

        return train_in_epochs(context, state, learn, validate, suffix=".npz", write=np.savez, read=np.load)


def read(context, split):
    """Spectra, a row an image, and labels. A shape's place hardly changes its spectrum: a linear model needs that."""
    pixels, spectra = np.arange(context.params.image_size), []
    for image in context.dataset.images(split):
        rgb = np.frombuffer(read_rgb(image.path), np.uint8).reshape(image.height, image.width, 3)
        rows, columns = pixels * image.height // len(pixels), pixels * image.width // len(pixels)
        # A pixel of the small image is the sum of those that it covers.
        grey = np.add.reduceat(np.add.reduceat(rgb.mean(axis=2), rows, axis=0), columns, axis=1)
        spectrum = np.log1p(np.abs(np.fft.rfft2(grey - grey.mean()))).ravel()
        spectra.append(np.append((spectrum - spectrum.mean()) / (spectrum.std() + 1e-9), 1.0))
    return np.stack(spectra), np.array(context.dataset.labels(split))


def cross_entropy(x, y, weights):
    """Mean loss, accuracy, and the loss's slope by weight."""
    logits = x @ weights
    log_chances = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    slope = x.T @ (np.exp(log_chances) - np.eye(weights.shape[1])[y]) / len(y)
    return -log_chances[np.arange(len(y)), y].mean(), (logits.argmax(axis=1) == y).mean(), slope
