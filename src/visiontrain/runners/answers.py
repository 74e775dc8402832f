"""A worker's answers to ``predict``, checked against what was asked, as predictions."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from visiontrain.datasets.masks import Mask
from visiontrain.errors import PluginError
from visiontrain.predictions import DetectedKeypoint, DetectedObject, Prediction
from visiontrain.protocol.inference import ImagePrediction, ObjectPrediction, PredictResult
from visiontrain.protocol.tasks import OBJECT_TASKS, Task
from visiontrain.semantic_maps import SemanticMap

__all__ = ["read_answer"]


def read_answer(answer: PredictResult, *, images: int, task: Task, framework: str) -> list[Prediction]:
    """A prediction an image, in order, without its path. There are fewer than images where the worker left some out.

    Args:
        answer: The worker's.
        images: How many it was asked about.
        task: The model's.
        framework: Whose worker it is, for what is raised.

    Raises:
        PluginError: the answer fits neither the images, nor the task, nor itself.
    """
    try:
        return _Reader(answer, task).read(images)
    except ValueError as error:
        raise PluginError(f"the framework {framework} gave {error}", instruction="Tell the plugin's author.") from error


@dataclass(frozen=True)
class _Reader:
    """Each method raises a `ValueError` that says what was given where something else was due."""

    answer: PredictResult
    task: Task

    def read(self, images: int) -> list[Prediction]:
        answer = self.answer
        given = len(answer.predictions)
        if given + answer.left_out != images or answer.left_out < 0 or (images and not given):
            raise ValueError(f"{given} predictions for {images} images")
        for edge in answer.edges:
            if not all(0 <= end < len(answer.keypoints) for end in edge):
                raise ValueError(f"an edge between the keypoints {edge[0]} and {edge[1]} of {len(answer.keypoints)}")
        return [self._prediction(found) for found in answer.predictions]

    def _prediction(self, found: ImagePrediction) -> Prediction:
        if found.error is not None:
            return Prediction(None, error=found.error, task=self.task)
        seen = Prediction(
            None,
            found.width,
            found.height,
            self._probabilities(found),
            multi_label=self.answer.multi_label,
            task=self.task,
            objects=self._objects(found),
            edges=self.answer.edges,
            class_map=self._class_map(found),
        )
        if seen.finds_objects and not (found.width > 0 and found.height > 0):
            raise ValueError(f"a prediction for an image of {found.width} x {found.height} pixels")
        return seen

    def _probabilities(self, found: ImagePrediction) -> dict[str, float]:
        if self.task in OBJECT_TASKS or self.task is Task.semantic:
            if found.classify is not None:
                raise ValueError(f"probabilities for the task {self.task}")
            return {}
        if found.classify is None:
            given = "objects" if found.objects is not None else "a prediction with neither probabilities nor an error"
            raise ValueError(f"{given} for the task {self.task}")
        values, classes = found.classify.probabilities, self.answer.classes
        if len(values) != len(classes):
            raise ValueError(f"{len(values)} probabilities for {len(classes)} classes")
        return dict(zip(classes, values, strict=True))

    def _objects(self, found: ImagePrediction) -> tuple[DetectedObject, ...]:
        if self.task not in OBJECT_TASKS:
            if found.objects is not None:
                raise ValueError(f"objects for the task {self.task}")
            return ()
        if found.objects is None:
            raise ValueError(f"a prediction with neither objects nor an error for the task {self.task}")
        scores = [each.score for each in found.objects]
        if sorted(scores, reverse=True) != scores:
            raise ValueError("objects that are not in the order of their scores, the best first")
        return tuple(self._object(each, found) for each in found.objects)

    def _class_map(self, found: ImagePrediction) -> SemanticMap | None:
        given = found.class_map
        if self.task is not Task.semantic:
            if given is not None:
                raise ValueError(f"a class map for the task {self.task}")
            return None
        if given is None:
            raise ValueError(f"a prediction with neither a class map nor an error for the task {self.task}")
        try:
            png = base64.b64decode(given.png, validate=True)
        except ValueError as error:
            raise ValueError(f"a class map that is no base64: {error}") from error
        seen = SemanticMap.from_png(png, self.answer.classes)
        if (seen.width, seen.height) != (found.width, found.height):
            raise ValueError(
                f"a class map of {seen.width} x {seen.height} pixels for an image of {found.width} x {found.height}"
            )
        return seen

    def _object(self, given: ObjectPrediction, of: ImagePrediction) -> DetectedObject:
        classes = self.answer.classes
        if not 0 <= given.label < len(classes):
            raise ValueError(f"an object of the class {given.label}, where there are {len(classes)}, counted from 0")
        if not 0 <= given.score <= 1:
            raise ValueError(f"an object of the score {given.score:g}, where scores are from 0 to 1")
        left, top, right, bottom = given.box
        if not (0 <= left <= right <= of.width and 0 <= top <= bottom <= of.height):
            sides = ", ".join(f"{side:g}" for side in given.box)
            raise ValueError(
                f"the box {sides}, where left, top, right and bottom inside of {of.width} x {of.height} pixels are due"
            )
        self._has("a mask", given.mask is not None, Task.segment)
        self._has("keypoints", bool(given.keypoints), Task.pose)
        self._has("a turned box", given.quad is not None, Task.obb)
        return DetectedObject(
            classes[given.label],
            given.score,
            given.box,
            given.label,
            self._mask(given, of),
            self._keypoints(given),
            given.quad,
        )

    def _has(self, what: str, there: bool, task: Task) -> None:
        if there != (self.task is task):
            raise ValueError(f"an object {'with' if there else 'without'} {what} for the task {self.task}")

    def _mask(self, given: ObjectPrediction, of: ImagePrediction) -> Mask | None:
        mask = given.mask
        if mask is None:
            return None
        if (mask.width, mask.height) != (of.width, of.height):
            raise ValueError(f"a mask of {mask.width} x {mask.height} pixels for an image of {of.width} x {of.height}")
        try:
            return Mask.from_text(mask.height, mask.width, mask.data)
        except ValueError as error:
            raise ValueError(f"a mask that can't be read: {error}") from error

    def _keypoints(self, given: ObjectPrediction) -> tuple[DetectedKeypoint, ...]:
        names = self.answer.keypoints
        if len(given.keypoints) != len(names) and self.task is Task.pose:
            raise ValueError(f"{len(given.keypoints)} keypoints for {len(names)} names")
        for point in given.keypoints:
            if not 0 <= point.score <= 1:
                raise ValueError(f"a keypoint of the score {point.score:g}, where scores are from 0 to 1")
        pairs = zip(names, given.keypoints, strict=True)
        return tuple(DetectedKeypoint(name, point.x, point.y, point.score) for name, point in pairs)
