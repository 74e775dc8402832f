"""A trained model in use: what the trainer offers of evaluation, prediction and export."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import pytest

from visiontrain.checkpoint_specs import TOLERANCE
from visiontrain.datasets.index import DatasetIndex, Image
from visiontrain.errors import VisiontrainError
from visiontrain.exports import DIFFERENCE, KIND
from visiontrain.predictions import Prediction
from visiontrain.protocol.events import ArtifactEvent, Event
from visiontrain.protocol.tasks import PRIMARY_METRIC, Task
from visiontrain.testing.checks.case import expect, to_the_end, until
from visiontrain.testing.checks.training import Finished, Training, finish
from visiontrain.testing.laboratory import Laboratory, Trial, read_findings
from visiontrain.testing.worker.guard import REQUESTS

__all__ = ["Using"]

#: How far a number may be off that was computed a second time: batches may be cut elsewhere.
_RELATIVE, _ABSOLUTE = 1e-4, 1e-6

#: How far from 1 probabilities may add up to: float32, a thousand classes.
_SUM = 1e-3


@dataclass(frozen=True)
class Predicted:
    """Images that were predicted twice: those of val, and in between one that can't be read.

    `requests` is what was asked of the worker: its process id, and how often it read the checkpoint.
    """

    images: tuple[Image, ...]
    first: list[Prediction]
    second: list[Prediction]
    requests: list[dict[str, int]]
    broken: Path
    place: int
    listed: list[str]  # what it wrote where it should not


class Using(Training):
    """What the undisturbed training's model is good for. What a trainer does not offer is not asked for."""

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
        before = laboratory.files(data)
        said = None
        with laboratory.predictor() as (session, folder):
            try:
                first, second = (
                    session.predict(finished.run.run_id, paths, progress=False, device=cls.device, skip_unreadable=True)
                    for _ in range(2)
                )
            except VisiontrainError as error:
                said = str(error)
        expect(said is None, f"predict() failed, where one image of {len(paths)} can't be read: {said}")
        after = laboratory.files(data)
        changed = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
        listed = [f"changed {path}" for path in changed]
        listed += [str(finding) for finding in read_findings(folder) if finding.kind == "write"]
        requests = [json.loads(line) for line in (folder / REQUESTS).read_text(encoding="utf-8").splitlines()]
        return Predicted(images, first, second, requests, broken, place, listed)

    def test_evaluating_gives_the_training_s_numbers(self, finished: Finished, laboratory: Laboratory) -> None:
        """The best checkpoint on val: what the best epoch's row says."""
        finish(finished.run)
        if "evaluate" not in finished.trial.offers:
            return
        trial = laboratory.evaluate(finished.run, split="val", device=self.device)
        to_the_end(trial, within=self.patience)
        run = trial.handle.run
        finish(run)
        primary = PRIMARY_METRIC[self.the_task()]
        best = max(finished.run.history, key=lambda row: (row.get(primary, math.nan), -row["epoch"]))
        found = run.metrics
        expect(primary in found, f"evaluate() gave no {primary}; it gave: {', '.join(sorted(found)) or 'nothing'}")
        differ = [
            f"{name} {best[name]:g} -> {value:g}"
            for name, value in sorted(found.items())
            if name in best and not self.varies(name) and not _same(value, best[name])
        ]
        expect(
            not differ,
            f"the evaluation of the best checkpoint on val differs from epoch {best['epoch']:g} of the training: "
            f"{', '.join(differ)}. The same images go through the same preprocessing, with the weights of that epoch.",
        )
        listed = [str(finding) for finding in trial.findings("write")]
        expect(not listed, "evaluate() wrote outside of the run's folder:\n" + "\n".join(listed[:10]))

    def test_an_evaluation_stops(self, finished: Finished, laboratory: Laboratory) -> None:
        """Asked to, it returns early and says so."""
        finish(finished.run)
        if "evaluate" not in finished.trial.offers:
            return
        trial = laboratory.evaluate(finished.run, split="val", device=self.device, hold="start")
        expect(until(lambda: trial.is_held, trial, within=self.patience), "the evaluation did not begin")
        trial.handle.stop()
        to_the_end(trial, within=self.patience)
        record = trial.handle.run.record
        expect(
            record.status == "stopped" and record.reason == "asked to stop",
            f"asked to stop, the evaluation ended as {record.status} ({record.reason}). Look at context.stop_requested "
            "before every batch, and return EvaluateResult('stopped').",
        )

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

    def test_predicting_writes_nothing(self, predicted: Predicted | None) -> None:
        """Neither beside the images nor anywhere else."""
        listed = predicted.listed if predicted is not None else []
        expect(not listed, f"predict() wrote files ({len(listed)} times):\n" + "\n".join(listed[:10]))

    def test_exports_are_files_and_their_difference(self, finished: Finished, laboratory: Laboratory) -> None:
        """For each format that the manifest offers."""
        finish(finished.run)
        formats = self.the_manifest().export_formats
        offered = "export" in finished.trial.offers
        expect(
            offered or not formats, f"the manifest offers to export {', '.join(formats)}; the trainer has no export()"
        )
        for name in formats:
            trial = laboratory.export(finished.run, name)
            self._exported(trial, to_the_end(trial, within=self.patience), name)

    def _exported(self, trial: Trial, events: tuple[Event, ...], name: str) -> None:
        run = trial.handle.run
        finish(run)
        files = [event for event in events if isinstance(event, ArtifactEvent) and event.kind == KIND]
        expect(files != [], f"exporting to {name} told of no file: context.artifact(path, kind={KIND!r})")
        for file in files:
            path = run.run_dir / file.path
            there = path.is_file() and path.stat().st_size > 0
            expect(there, f"the exported file {file.path} is not there, or empty")
        difference = run.metrics.get(DIFFERENCE, math.nan)
        expect(
            0 <= difference <= TOLERANCE,
            f"exporting to {name} gave the {DIFFERENCE} {difference:g}, which goes from 0 to the tolerance "
            f"{TOLERANCE:g}: run what was written on images of the data, and compare it with the model",
        )
        listed = [str(finding) for finding in trial.findings("write")]
        expect(not listed, f"exporting to {name} wrote outside of the run's folder:\n" + "\n".join(listed[:10]))


def _same(value: float, other: float) -> bool:
    if math.isnan(value) or math.isnan(other):
        return math.isnan(value) and math.isnan(other)
    return math.isclose(value, other, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
