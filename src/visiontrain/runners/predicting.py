"""Predictions of any number of images, in bounded memory, with a worker that is kept warm."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

from visiontrain.checkpoint_specs import PredictSpec
from visiontrain.errors import ImageError, PluginError
from visiontrain.predictions import Prediction
from visiontrain.protocol.inference import ImagePrediction, ImageSource, PredictParams, PredictResult
from visiontrain.runners.images import Given, to_source
from visiontrain.runners.plan import Planner
from visiontrain.runners.trained import TrainedModel
from visiontrain.runners.warm import WarmWorker
from visiontrain.storage import explained

__all__ = ["predict"]

#: Images of one request, at the most: what is held in memory at once, and how often a person sees it go on.
CHUNK = 256

#: Bytes of pixels from which on a request is full.
PIXELS = 64 << 20

#: Probabilities of one request, at the most: an answer of some megabytes.
_NUMBERS = 250_000

_NOTHING = PredictResult(classes=(), multi_label=False, predictions=())

#: Where files are kept in memory, on Linux. In a container it may be as small as 64 MiB.
_MEMORY = "/dev/shm"  # noqa: S108 - a folder of our own is made in it


def predict(
    planner: Planner, worker: WarmWorker, trained: TrainedModel, spec: PredictSpec, images: Iterable[Given]
) -> Generator[tuple[Given, Prediction], None, None]:
    """Each image with its prediction, in order.

    Args:
        planner: Says how a worker is started.
        worker: Answers.
        trained: The model.
        spec: What the person asks for.
        images: Looked at as they are needed.

    Raises:
        ImageError: an image can't be read, unless the spec says to go on.
        SpecError: an array is none of pixels.
        StorageError: pixels can't be handed to the worker.
        PluginError: the answer fits neither the images nor the classes.
        WorkerCrashedError: the worker died.
    """
    batch_size = spec.batch_size or trained.batch_size
    chunk = max(1, min(CHUNK, _NUMBERS // max(1, len(trained.record.data.classes))))
    remaining = iter(images)
    size, before = min(batch_size, chunk), 0  # a first answer soon
    while some := _next(remaining, size):
        with ExitStack() as cleaning:
            sources = _sources(some, cleaning)
            params = PredictParams(
                task=trained.record.task,
                model=trained.record.model,
                checkpoint=str(trained.checkpoint),
                images=tuple(source for source in sources if isinstance(source, ImageSource)),
                batch_size=batch_size,
                device=spec.device,
                options=trained.options,
            )
            answer = worker.predict(planner, trained, params) if params.images else _NOTHING
        _check(answer, len(params.images), trained.framework.manifest.name)
        answers = iter(answer.predictions)
        for number, (image, source) in enumerate(zip(some, sources, strict=True), start=before + 1):
            found = next(answers) if isinstance(source, ImageSource) else ImagePrediction(error=source)
            error = _error(found.error, image, source, number)
            if error is not None and not spec.skip_unreadable:
                raise ImageError(
                    error,
                    instruction="Leave it out, or go on where one can't be read: skip_unreadable=True; its prediction "
                    "then has an error.",
                )
            yield image, _prediction(image, found, answer, error)
        size, before = chunk, before + len(some)


def _next(images: Iterator[Given], count: int) -> list[Given]:
    """The next images: `count` at the most, and fewer where their pixels take much memory."""
    some: list[Given] = []
    held = 0
    for image in images:
        some.append(image)
        held += image.size
        if len(some) == count or held >= PIXELS:
            break
    return some


def _sources(images: list[Given], cleaning: ExitStack) -> list[ImageSource | str]:
    """What the worker is told of each image; of one that can't be read here already, why."""
    folder = Path()
    if any(image.path is None for image in images):
        where = _roomy(sum(image.size for image in images))
        with explained("images can't be handed to the worker"):
            folder = Path(cleaning.enter_context(tempfile.TemporaryDirectory(prefix="visiontrain-", dir=where)))
    sources: list[ImageSource | str] = []
    for number, image in enumerate(images):
        try:
            sources.append(to_source(image, folder, number))
        except ImageError as error:
            sources.append(error.reason)
    return sources


def _check(answer: PredictResult, images: int, framework: str) -> None:
    """Raise `PluginError` where the answer does not fit what was asked."""
    wrong = None
    if len(answer.predictions) != images:
        wrong = f"{len(answer.predictions)} predictions for {images} images"
    for found in answer.predictions:
        if found.error is None and found.classify is None:
            wrong = "a prediction with neither probabilities nor an error"
        elif found.classify is not None and len(found.classify.probabilities) != len(answer.classes):
            wrong = f"{len(found.classify.probabilities)} probabilities for {len(answer.classes)} classes"
    if wrong is not None:
        raise PluginError(f"the framework {framework} gave {wrong}", instruction="Tell the plugin's author.")


def _error(error: str | None, image: Given, source: ImageSource | str, number: int) -> str | None:
    """Why an image can't be read, under a name that the person knows."""
    if error is None or image.path is not None or not isinstance(source, ImageSource):
        return error
    return error.replace(source.path, f"image {number}")


def _prediction(image: Given, found: ImagePrediction, answer: PredictResult, error: str | None) -> Prediction:
    probabilities = found.classify.probabilities if found.classify else ()
    return Prediction(
        path=image.path,
        width=found.width,
        height=found.height,
        probabilities=dict(zip(answer.classes, probabilities, strict=True)) if probabilities else {},
        multi_label=answer.multi_label,
        error=error,
    )


def _roomy(size: int) -> str | None:
    """A folder in memory that has room for `size` bytes twice, where there is one; None for the usual temporary one."""
    try:
        fits = os.access(_MEMORY, os.W_OK | os.X_OK) and shutil.disk_usage(_MEMORY).free > 2 * size
    except OSError:
        return None
    return _MEMORY if fits else None
