"""Predictions of any number of images, in bounded memory, with a worker that is kept warm."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

from visiontrain.checkpoint_specs import PredictSpec
from visiontrain.errors import ImageError
from visiontrain.predictions import Prediction
from visiontrain.protocol.inference import ImagePrediction, PredictParams, PredictResult
from visiontrain.runners.images import Given, to_source
from visiontrain.runners.plan import Planner
from visiontrain.runners.trained import TrainedModel
from visiontrain.runners.warm import WarmWorker

__all__ = ["predict"]

#: Images of one request, at the most: what is held in memory at once, and how often a person sees it go on.
CHUNK = 256

#: Probabilities of one request, at the most: an answer of some megabytes.
_NUMBERS = 250_000

#: Where files are kept in memory, on Linux.
_MEMORY = "/dev/shm"  # noqa: S108 - a folder of our own is made in it


def predict(
    planner: Planner, worker: WarmWorker, trained: TrainedModel, spec: PredictSpec, images: Iterable[Given]
) -> Iterator[tuple[Given, Prediction]]:
    """Each image with its prediction, in order.

    Args:
        planner: Says how a worker is started.
        worker: Answers.
        trained: The model.
        spec: What the person asks for.
        images: Looked at as they are needed.

    Raises:
        ImageError: an image can't be read, unless the spec says to go on.
        WorkerCrashedError: the worker died.
    """
    batch_size = spec.batch_size or trained.batch_size
    chunk = max(1, min(CHUNK, _NUMBERS // max(1, len(trained.record.data.classes))))
    remaining = iter(images)
    size = min(batch_size, chunk)  # a first answer soon
    while some := list(itertools.islice(remaining, size)):
        with ExitStack() as cleaning:
            folder = Path()
            if any(image.path is None for image in some):
                folder = Path(cleaning.enter_context(tempfile.TemporaryDirectory(prefix="visiontrain-", dir=_roomy())))
            params = PredictParams(
                task=trained.record.task,
                model=trained.record.model,
                checkpoint=str(trained.checkpoint),
                images=tuple(to_source(image, folder, number) for number, image in enumerate(some)),
                batch_size=batch_size,
                device=spec.device,
                options=trained.options,
            )
            answer = worker.predict(planner, trained, params)
        for image, found in zip(some, answer.predictions, strict=True):
            if found.error is not None and not spec.skip_unreadable:
                raise ImageError(
                    found.error,
                    instruction="Leave it out, or go on where one can't be read: skip_unreadable=True; its prediction "
                    "then has an error.",
                )
            yield image, _prediction(image, found, answer)
        size = chunk


def _prediction(image: Given, found: ImagePrediction, answer: PredictResult) -> Prediction:
    probabilities = found.classify.probabilities if found.classify else ()
    return Prediction(
        path=image.path,
        width=found.width,
        height=found.height,
        probabilities=dict(zip(answer.classes, probabilities, strict=True)) if probabilities else {},
        multi_label=answer.multi_label,
        error=found.error,
    )


def _roomy() -> str | None:
    """A folder in memory, where there is one; None for the usual one for temporary files."""
    return _MEMORY if os.access(_MEMORY, os.W_OK | os.X_OK) else None
