from __future__ import annotations

from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from visiontrain.checkpoint_specs import PredictSpec
from visiontrain.errors import ImageError, PluginError, SpecError
from visiontrain.protocol.inference import ClassifyPrediction, ImagePrediction, ObjectPrediction, PredictResult
from visiontrain.runners import predicting
from visiontrain.runners.images import Given, expand
from visiontrain.runners.predicting import predict

TRAINED = SimpleNamespace(
    record=SimpleNamespace(task="classify", model="m", data=SimpleNamespace(classes=("a", "b"))),
    checkpoint=Path("/c.pt"),
    framework=SimpleNamespace(manifest=SimpleNamespace(name="frame")),
    options={},
    batch_size=4,
)


class Worker:
    """Sees the width of an image in a probability; can't read files whose name begins with ``bad``."""

    def __init__(self):
        self.requests = []
        self.answer = lambda result: result

    def predict(self, _planner, _trained, params):
        self.requests.append(params)
        return self.answer(
            PredictResult(("a", "b"), multi_label=False, predictions=tuple(map(self.see, params.images)))
        )

    def see(self, source):
        if Path(source.path).name.startswith("bad"):
            return ImagePrediction(error=f"{source.path}: is no image")
        if source.raw is not None:
            assert Path(source.path).stat().st_size == source.raw.width * source.raw.height * 3
        return ImagePrediction(5, 5, classify=ClassifyPrediction((0.25, 0.75)))


class Finder(Worker):
    """Finds an object of each image's number; `room` is for how many images its answers have room."""

    room = 1000

    def predict(self, _planner, _trained, params):
        self.requests.append(params)
        kept = params.images[: self.room]
        return PredictResult(("a",), False, tuple(map(self.see, kept)), left_out=len(params.images) - len(kept))

    def see(self, source):
        number = int(Path(source.path).stem)
        return ImagePrediction(1000, 5, objects=(ObjectPrediction(0, 0.5, (0.0, 0.0, float(number), 1.0)),))


@pytest.fixture
def worker():
    return Worker()


@pytest.fixture
def finder():
    return Finder()


def ask(worker, images, *, task="classify", **fields):
    trained = SimpleNamespace(**{**vars(TRAINED), "record": SimpleNamespace(**{**vars(TRAINED.record), "task": task})})
    return predict(None, worker, trained, PredictSpec(run="r", **fields), images)


def files(count, name="{}.png"):
    return [Given(Path("/d") / name.format(number)) for number in range(count)]


def test_predictions_come_in_the_order_of_the_images(worker):
    found = list(ask(worker, files(600)))
    assert [given.path.name for given, _ in found] == [f"{number}.png" for number in range(600)]
    assert {prediction.label for _, prediction in found} == {"b"}
    # A first answer soon, and then as many at once as memory shall hold.
    assert [len(request.images) for request in worker.requests] == [4, 256, 256, 84]
    assert {request.batch_size for request in worker.requests} == {4}


def test_many_classes_make_for_short_requests(worker, monkeypatch):
    monkeypatch.setattr(predicting, "_NUMBERS", 20)
    list(ask(worker, files(25), batch_size=100))
    assert [len(request.images) for request in worker.requests] == [10, 10, 5]


@pytest.mark.parametrize(("task", "sizes"), [("detect", [4, 64, 64, 18]), ("obb", [4, 64, 64, 18])])
def test_objects_make_for_shorter_requests(finder, task, sizes, monkeypatch):
    monkeypatch.setattr("visiontrain.runners.answers._Reader._has", lambda *_: None)
    found = [prediction for _, prediction in ask(finder, files(150), task=task)]
    assert [prediction.objects[0].box[2] for prediction in found] == list(range(150))
    assert [len(request.images) for request in finder.requests] == sizes


@pytest.mark.parametrize("task", ["segment", "pose"])
def test_masks_and_keypoints_make_for_still_shorter_ones(finder, task):
    finder.see = lambda _: ImagePrediction(5, 5, objects=())
    list(ask(finder, files(40), task=task, batch_size=100))
    assert [len(request.images) for request in finder.requests] == [16, 16, 8]


def test_images_that_an_answer_left_out_are_asked_for_again(finder):
    finder.room = 3
    found = [prediction.objects[0].box[2] for _, prediction in ask(finder, files(12), task="detect")]
    assert found == list(range(12))
    assert [len(request.images) for request in finder.requests] == [4, 1, 8, 5, 2]


@pytest.mark.parametrize(("given", "asked"), [(None, 0.25), (0.0, 0.0), (0.6, 0.6)])
def test_a_quarter_is_the_score_from_which_on_objects_are_told(finder, given, asked):
    list(ask(finder, files(1), task="detect", confidence=given))
    assert finder.requests[0].confidence == asked


def test_a_classifier_has_no_use_for_a_confidence(worker):
    with pytest.raises(SpecError, match=r"^confidence: the model is for the task classify, which finds no objects"):
        ask(worker, files(1), confidence=0.5)
    list(ask(worker, files(1)))
    assert worker.requests[0].confidence == 0.0


def test_pixels_are_held_a_few_at_a_time_and_removed(worker, monkeypatch):
    monkeypatch.setattr(predicting, "PIXELS", 3 * 10 * 10 * 3)
    folders = set()

    def keep(result):
        folders.update(Path(source.path).parent for source in worker.requests[-1].images)
        return result

    worker.answer = keep
    list(ask(worker, expand(Image.new("RGB", (10, 10)) for _ in range(7))))
    assert [len(request.images) for request in worker.requests] == [3, 3, 1]
    assert len(folders) == 3
    assert not any(folder.exists() for folder in folders)


@pytest.mark.parametrize(("free", "where"), [(1 << 40, "/dev/shm"), (0, None)])
def test_a_folder_in_memory_is_used_where_it_has_room(monkeypatch, free, where):
    monkeypatch.setattr(predicting.os, "access", lambda *_: True)
    monkeypatch.setattr(predicting.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    assert predicting._roomy(1000) == where


def test_an_image_that_can_not_be_read(worker):
    images = [*files(2), *files(1, "bad.png"), *files(1)]
    asked = ask(worker, images)
    assert [next(asked)[1].error for _ in range(2)] == [None, None]
    with pytest.raises(ImageError, match=r"bad\.png: is no image"):
        next(asked)
    found = [prediction.error for _, prediction in ask(worker, images, skip_unreadable=True)]
    assert found == [None, None, "/d/bad.png: is no image", None]


def test_pixels_have_a_number_for_a_name(worker):
    def see(source):
        return ImagePrediction(error=f"{source.path}: what is it?")

    worker.see = see
    given = [Given(None, Image.new("RGB", (2, 2))) for _ in range(6)]
    found = [prediction.error for _, prediction in ask(worker, given, batch_size=4, skip_unreadable=True)]
    assert found == [f"image {number}: what is it?" for number in range(1, 7)]


def test_of_images_that_are_all_torn_the_worker_is_not_asked(worker, tmp_path):
    path = tmp_path / "torn.png"
    Image.effect_noise((50, 50), 80).save(path)
    path.write_bytes(path.read_bytes()[:300])
    with Image.open(path) as image:
        ((_, found),) = ask(worker, [Given(None, image)], skip_unreadable=True)
    assert "torn.png" in found.error
    assert worker.requests == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda result: PredictResult(result.classes, False, result.predictions[1:]), "2 predictions for 3 images"),
        (lambda result: PredictResult(("a",), False, result.predictions), "2 probabilities for 1 classes"),
        (lambda result: PredictResult(("a",), False, (ImagePrediction(2, 2),) * 3), "neither probabilities nor"),
    ],
)
def test_an_answer_that_does_not_fit_is_the_plugin_s_fault(worker, answer, words):
    worker.answer = answer
    with (
        pytest.raises(PluginError, match=f"the framework frame gave .*{words}"),
        closing(ask(worker, files(3))) as asked,
    ):
        next(asked)
