"""Predictions of any number of images, in bounded memory, with a worker that is kept warm."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from visiontrain.checkpoint_specs import CONFIDENCE, PredictSpec
from visiontrain.errors import ImageError, SpecError
from visiontrain.predictions import Prediction
from visiontrain.protocol.inference import ImageSource, PredictParams
from visiontrain.protocol.tasks import OBJECT_TASKS, Task
from visiontrain.runners.answers import read_answer
from visiontrain.runners.images import Given, to_source
from visiontrain.runners.plan import Planner
from visiontrain.runners.trained import TrainedModel
from visiontrain.runners.warm import WarmWorker
from visiontrain.storage import explained

__all__ = ["predict"]

#: Images of one request, at the most: what is held in memory at once, and how often a person sees it go on.
CHUNK = 256

#: The same for models that say more of an image, so that an answer is some megabytes where each has 300 objects: a box
#: takes 0.2 kB, a turned one 0.4 kB, 17 keypoints 2 kB, and a mask 4 bytes for each of the columns that it covers. A
#: class map takes some 20 kB for a million pixels in even areas, and hundreds in ragged ones. With more than a line
#: holds the worker leaves images out of its answer, which are computed twice then.
_CHUNKS = {Task.detect: 64, Task.obb: 64, Task.segment: 16, Task.pose: 16, Task.semantic: 16}

#: Bytes of pixels from which on a request is full.
PIXELS = 64 << 20

#: Probabilities of one request, at the most: an answer of some megabytes.
_NUMBERS = 250_000

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
        SpecError: an array is none of pixels; a confidence is asked of a classifier, which is told before any image is
            looked at.
        StorageError: pixels can't be handed to the worker.
        PluginError: the answer fits neither the images, nor the task, nor itself.
        WorkerCrashedError: the worker died.
    """
    task = Task(trained.record.task)
    params = PredictParams(
        task=trained.record.task,
        model=trained.record.model,
        checkpoint=str(trained.checkpoint),
        images=(),
        batch_size=spec.batch_size or trained.batch_size,
        device=spec.device,
        confidence=_confidence(task, spec),
        options=trained.options,
    )

    def ask(sources: tuple[ImageSource, ...]) -> Iterator[Prediction]:
        while sources:
            answer = worker.predict(planner, trained, replace(params, images=sources))
            framework = trained.framework.manifest.name
            found = read_answer(answer, images=len(sources), task=task, framework=framework)
            yield from found
            sources = sources[len(found) :]  # what the answer had no room for

    chunk = _CHUNKS.get(task) or max(1, min(CHUNK, _NUMBERS // max(1, len(trained.record.data.classes))))
    return _predictions(ask, task, spec, images, first=min(params.batch_size, chunk), chunk=chunk)


def _predictions(
    ask: Callable[[tuple[ImageSource, ...]], Iterator[Prediction]],
    task: Task,
    spec: PredictSpec,
    images: Iterable[Given],
    *,
    first: int,
    chunk: int,
) -> Generator[tuple[Given, Prediction], None, None]:
    remaining = iter(images)
    size, before = first, 0  # a first answer soon
    while some := _next(remaining, size):
        with ExitStack() as cleaning:
            sources = _sources(some, cleaning)
            answers = iter(list(ask(tuple(source for source in sources if isinstance(source, ImageSource)))))
        for number, (image, source) in enumerate(zip(some, sources, strict=True), start=before + 1):
            found = next(answers) if isinstance(source, ImageSource) else Prediction(None, error=source, task=task)
            error = _error(found.error, image, source, number)
            if error is not None and not spec.skip_unreadable:
                raise ImageError(
                    error,
                    instruction="Leave it out, or go on where one can't be read: skip_unreadable=True; its prediction "
                    "then has an error.",
                )
            yield image, replace(found, path=image.path, error=error)
        size, before = chunk, before + len(some)


def _confidence(task: Task, spec: PredictSpec) -> float:
    """The score from which on objects are told; a classifier has no use for it."""
    if task in OBJECT_TASKS:
        return CONFIDENCE if spec.confidence is None else spec.confidence
    if spec.confidence is not None:
        raise SpecError(
            "confidence",
            f"the model is for the task {task}, which finds no objects: all that it says is told",
            instruction="Leave it out; each prediction has its probability.",
        )
    return 0.0


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


def _error(error: str | None, image: Given, source: ImageSource | str, number: int) -> str | None:
    """Why an image can't be read, under a name that the person knows."""
    if error is None or image.path is not None or not isinstance(source, ImageSource):
        return error
    return error.replace(source.path, f"image {number}")


def _roomy(size: int) -> str | None:
    """A folder in memory that has room for `size` bytes twice, where there is one; None for the usual temporary one."""
    try:
        fits = os.access(_MEMORY, os.W_OK | os.X_OK) and shutil.disk_usage(_MEMORY).free > 2 * size
    except OSError:
        return None
    return _MEMORY if fits else None
