"""What a trained model says of images."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from visiontrain.datasets.index import DatasetIndex, Image
from visiontrain.errors import VisiontrainError
from visiontrain.predictions import Prediction
from visiontrain.protocol.tasks import OBJECT_TASKS, Task
from visiontrain.testing.checks.case import expect
from visiontrain.testing.checks.pictures import Pictures, differing, make_pictures, pixel_accuracy
from visiontrain.testing.checks.training import Finished, Training, finish
from visiontrain.testing.laboratory import Laboratory, read_findings
from visiontrain.testing.worker.guard import REQUESTS

__all__ = ["Predicting"]

#: How far from 1 probabilities may add up to: float32, a thousand classes.
_SUM = 1e-3

#: How far the share of pixels that are predicted rightly may be off: a training may measure it on smaller images.
_PIXELS_RIGHT = 0.1

#: How far a score that was computed a second time may be off.
_SCORE = 1e-4


@dataclass(frozen=True)
class Predicted:
    """Images that were predicted twice: those of val, and in between one that can't be read.

    `requests` is what was asked of the worker: its process id, and how often it read the checkpoint. `seen` is what a
    model that finds objects or maps classes said of `Pictures`, by their names.
    """

    images: tuple[Image, ...]
    first: list[Prediction]
    second: list[Prediction]
    requests: list[dict[str, int]]
    broken: Path
    place: int
    listed: list[str]  # what it wrote where it should not
    seen: dict[str, Prediction]


class Predicting(Training):
    """The undisturbed training's model, asked about images. Nothing is asked of a trainer that does not offer it."""

    @pytest.fixture(scope="class")
    @classmethod
    def predicted(
        cls, finished: Finished, laboratory: Laboratory, data: Path, tmp_path_factory: pytest.TempPathFactory
    ) -> Predicted | None:
        """Predictions of all images of the split val, made twice; None where the trainer offers none."""
        finish(finished.run)
        if "predict" not in finished.trial.offers:
            return None
        images = tuple(DatasetIndex(finished.run.record.data.index).images("val"))
        broken = tmp_path_factory.mktemp("broken") / "broken.jpg"
        broken.write_bytes(b"this is no image")
        paths = [Path(image.path) for image in images]
        place = len(paths) // 2
        paths.insert(place, broken)
        pictures = None
        if cls.the_task() in OBJECT_TASKS or cls.the_task() is Task.semantic:
            pictures = make_pictures(images, tmp_path_factory.mktemp("pictures"), cls.image_format)
        before = laboratory.files(data)
        said, seen = None, {}
        with laboratory.predictor() as (session, folder):

            def predict(images: Any, **options: Any) -> list[Prediction]:
                run, told = finished.run.run_id, cls._told()
                return session.predict(
                    run, images, progress=False, device=cls.device, skip_unreadable=True, **{**told, **options}
                )

            try:
                first, second = (predict(paths) for _ in range(2))
                requests = [json.loads(line) for line in (folder / REQUESTS).read_text(encoding="utf-8").splitlines()]
                seen = pictures.seen(predict) if pictures is not None else {}
            except VisiontrainError as error:
                said = str(error)
        expect(said is None, f"predict() failed, where one image of {len(paths)} can't be read: {said}")
        after = laboratory.files(data)
        changed = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
        listed = [f"changed {path}" for path in changed]
        listed += [str(finding) for finding in read_findings(folder) if finding.kind == "write"]
        return Predicted(images, first, second, requests, broken, place, listed, seen)

    @classmethod
    def _told(cls) -> dict[str, float]:
        """All objects, also those of a model that has hardly learnt anything."""
        return {"confidence": 0.0} if cls.the_task() in OBJECT_TASKS else {}

    @classmethod
    def _what(cls) -> str:
        return "classes" if cls.the_task() is Task.semantic else "objects"

    def test_predictions_are_the_images_in_their_order(self, predicted: Predicted | None, finished: Finished) -> None:
        """One an image; that of an image that can't be read has an error, and the others go on."""
        if predicted is None:
            return
        found = [*predicted.first]
        broken = found.pop(predicted.place)
        expect(broken.error is not None, "the prediction of a file that is no image has no error")
        expect(
            str(predicted.broken) in (broken.error or ""),
            f"the error of a file that is no image does not name the file: {broken.error}",
        )
        refused = [prediction.error for prediction in found if prediction.error is not None]
        expect(not refused, f"images that were trained with can't be read: {refused[:1]}")
        sizes = [(prediction.width, prediction.height) for prediction in found]
        expect(sizes == [(image.width, image.height) for image in predicted.images], f"the images' sizes are {sizes}")
        if self.the_task() is Task.classify:
            self._classes_fit(predicted, found, finished)
        elif self.the_task() in OBJECT_TASKS:
            there = any(prediction.objects for prediction in found)
            expect(there, "with the confidence 0 no object was found in any image of val")
        elif self.the_task() is Task.semantic:
            self._maps_fit(predicted, found, finished)

    def _maps_fit(self, predicted: Predicted, found: list[Prediction], finished: Finished) -> None:
        record = finished.run.record
        for prediction in found:
            names = prediction.class_map.classes if prediction.class_map is not None else ()
            expect(names == record.data.classes, f"the classes of a class map are {names}, the training's differ")
        told = finished.run.metrics.get("pixel_accuracy")
        if told is not None:
            right = pixel_accuracy(DatasetIndex(record.data.index), predicted.images, found)
            expect(
                abs(right - told) <= _PIXELS_RIGHT,
                f"of val, {right:.1%} of the pixels are predicted rightly; the training said {told:.1%}",
            )

    def _classes_fit(self, predicted: Predicted, found: list[Prediction], finished: Finished) -> None:
        classes = finished.run.record.data.classes
        for prediction in found:
            names, values = tuple(prediction.probabilities), tuple(prediction.probabilities.values())
            expect(names == classes, f"the classes of a prediction are {names}, the training's {classes}")
            expect(all(0 <= value <= 1 for value in values), f"probabilities go from 0 to 1: {values}")
            whole = prediction.multi_label or abs(sum(values) - 1) <= _SUM
            expect(whole, f"the probabilities of an image that has one class add up to {sum(values):g}")
        told = {prediction.multi_label for prediction in found}
        expect(told == {finished.run.record.data.multi_label}, f"multi_label is {told} in the predictions")
        if finished.run.record.data.multi_label:
            return
        pairs = zip(predicted.images, found, strict=True)
        right = sum(classes[image.labels[0]] == prediction.label for image, prediction in pairs)
        told_right = finished.run.metrics["accuracy"] * len(found)
        expect(
            abs(right - told_right) <= 1.5,  # noqa: PLR2004 - one may be on the border between two classes
            f"of val, {right} of {len(found)} images are predicted rightly; the training said {told_right:g}",
        )

    def test_a_second_prediction_is_the_first_s(self, predicted: Predicted | None) -> None:
        """By the model that is loaded already."""
        if predicted is None:
            return
        expect(predicted.first == predicted.second, "the same images were given other predictions the second time")
        workers = {request["pid"] for request in predicted.requests}
        expect(len(workers) == 1, f"one worker was asked, and {len(workers)} have answered")
        first_of_second = len(predicted.requests) // 2
        again = sum(request["reads"] for request in predicted.requests[first_of_second:])
        expect(not again, "the second prediction read the checkpoint again: keep the model for the next request")

    def test_objects_do_not_depend_on_the_images_beside(self, predicted: Predicted | None) -> None:
        """Alone and among others of other sizes, an image's best objects, or classes, are the same, or nearly so."""
        if predicted is not None and predicted.seen:
            why = differing(predicted.seen["alone"], predicted.seen["among others"])
            expect(why is None, f"an image predicted alone and beside others gives different {self._what()}: {why}")

    def test_objects_of_pixels_are_those_of_the_file(self, predicted: Predicted | None) -> None:
        """Channels in the same order, and the same preprocessing."""
        if predicted is not None and predicted.seen:
            why = differing(predicted.seen["alone"], predicted.seen["pixels"])
            what = self._what()
            expect(why is None, f"a PIL image and the file that it was read from give different {what}: {why}")

    def test_objects_lie_where_a_turned_image_shows_them(self, predicted: Predicted | None) -> None:
        """A photo that is stored on its side, with an EXIF orientation, is predicted as it is shown."""
        if predicted is not None and "turned" in predicted.seen:
            why = differing(predicted.seen["alone"], predicted.seen["turned"], turned=True)
            expect(why is None, f"an image that its EXIF orientation turns gives different {self._what()}: {why}")

    def test_a_confidence_leaves_objects_out(self, predicted: Predicted | None) -> None:
        """Those of a lower score, and no others."""
        if predicted is None or "confident" not in predicted.seen:
            return
        limit = Pictures.limit(predicted.seen["alone"])
        scores = [found.score for found in predicted.seen["confident"].objects]
        low = [score for score in scores if score < limit - _SCORE]
        expect(not low, f"with the confidence {limit:g}, objects of the scores {low[:3]} are told")
        due = sum(found.score > limit + _SCORE for found in predicted.seen["alone"].objects)
        expect(len(scores) >= due, f"with the confidence {limit:g} there are {len(scores)} objects; {due} are due")

    def test_predicting_writes_nothing(self, predicted: Predicted | None) -> None:
        """Neither beside the images nor anywhere else."""
        listed = predicted.listed if predicted is not None else []
        expect(not listed, f"predict() wrote files ({len(listed)} times):\n" + "\n".join(listed[:10]))
