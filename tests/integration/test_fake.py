"""The fake framework: an app's tests train with it through the real machinery, and it does what it is told."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner
from visiontrain_harness.processes import PATIENCE, alive, until

import visiontrain as vt
from visiontrain.cli.main import app
from visiontrain.protocol.events import LogEvent, MetricsEvent, ProgressEvent
from visiontrain.runners import starting
from visiontrain.testing import Crash, Failure, Hang, fake_framework, make_sample
from visiontrain.testing.worker.script import VARIABLE


def train(fake, **options):
    return vt.train(fake.data, model="fake_model", progress=False, **{"epochs": 3, **options})


def test_the_module_s_functions_train_with_it():
    with fake_framework() as fake:
        run = train(fake, name="mine")
        assert run.status == "completed"
        assert run.metrics["accuracy"] == pytest.approx(0.8)
        assert run.record.data.warnings == ()
        assert [row["epoch"] for row in run.history] == [1, 2, 3]
        assert run.best_checkpoint.is_file()
        assert run.record.environment.python == sys.executable
        assert vt.run("mine").run_id == run.run_id
        assert [model.name for model in vt.models()] == ["fake_model"]
        assert [plugin.name for plugin in vt.plugins()] == ["fake"]


def test_a_model_is_used_and_its_worker_ends_with_the_fake(tmp_path):
    with fake_framework() as fake:
        run = train(fake)
        measured = run.evaluate(progress=False)
        assert (measured.metrics["accuracy"], measured.record.parent) == (run.metrics["accuracy"], run.run_id)
        assert "train_loss" not in measured.metrics
        broken = tmp_path / "broken.png"
        broken.write_bytes(b"nothing")
        pictures = fake.data / "val" / "ring"
        found = run.predict([pictures, broken], progress=False, skip_unreadable=True)
        assert {prediction.label for prediction in found[:-1]} == {"ring"}
        assert "can't be decoded" in found[-1].error
        with pytest.raises(vt.ImageError, match="broken"):
            run.predict(broken, progress=False)
        exported = run.export(progress=False)
        assert (exported.path.name, exported.difference) == ("model.onnx", 0.0)
        keeper = run._actions._warm_worker()._connection._process.pid
        assert alive(keeper)
    assert not alive(keeper)


@pytest.mark.parametrize(
    ("task", "part"), [("detect", None), ("segment", "mask"), ("pose", "keypoints"), ("obb", "quad")]
)
def test_objects_are_found_in_every_image(tmp_path, task, part):
    with fake_framework(task=task) as fake:
        run = train(fake, epochs=1)
        assert (run.record.task, list(run.metrics)[-1]) == (task, "map50_95")
        picture = Image.new("RGB", (40, 20))
        exif = Image.Exif()
        exif[0x0112] = 6
        picture.save(tmp_path / "lies.jpg", exif=exif)
        (tmp_path / "broken.jpg").write_bytes(b"nothing")
        images = [
            tmp_path / "lies.jpg",
            picture,
            tmp_path / "broken.jpg",
            *sorted((fake.data / "images").rglob("*.jpg")),
        ]
        lies, given, broken, *others = run.predict(images, progress=False, skip_unreadable=True)
        assert (lies.width, lies.height, given.width, given.height) == (20, 40, 40, 20)
        assert "broken.jpg: can't be decoded" in broken.error
        first, second = run.record.data.classes[0], run.record.data.classes[1 % len(run.record.data.classes)]
        for found in (lies, given, *others):
            assert [(each.label, each.score) for each in found.objects] == [(first, 0.9), (second, 0.4)]
            for each in found.objects:
                parts = {name for name in ("mask", "keypoints", "quad") if getattr(each, name)}
                assert parts == ({part} if part else set())
                assert each.mask is None or each.mask.box() == each.box
        assert given.objects[0].box == (10.0, 5.0, 30.0, 15.0)
        assert len({point.name for point in given.objects[0].keypoints}) == (4 if task == "pose" else 0)
        (sure,) = run.predict(picture, confidence=0.5, progress=False)
        assert len(sure.objects) == 1
        assert run.predict(picture, confidence=0.95, progress=False)[0].objects == ()
        with pytest.raises(vt.ImageError, match="nowhere"):
            run.predict([str(tmp_path / "nowhere.jpg")], progress=False)


def test_classes_are_mapped_in_every_image(tmp_path):
    with fake_framework(task="semantic") as fake:
        run = train(fake, epochs=1)
        assert (run.record.task, list(run.metrics)[-1]) == ("semantic", "miou")
        assert run.record.data.classes[:2] == ("background", "circle")
        picture = Image.new("RGB", (41, 20))
        exif = Image.Exif()
        exif[0x0112] = 6
        picture.save(tmp_path / "lies.jpg", exif=exif)
        (tmp_path / "broken.jpg").write_bytes(b"nothing")
        images = [
            tmp_path / "lies.jpg",
            picture,
            tmp_path / "broken.jpg",
            *sorted((fake.data / "images").rglob("*.jpg")),
        ]
        lies, given, broken, *others = run.predict(images, progress=False, skip_unreadable=True)
        assert (lies.width, lies.height, given.width, given.height) == (20, 41, 41, 20)
        assert "broken.jpg: can't be decoded" in broken.error
        assert given.class_map.mask("circle").getbbox() == (0, 0, 20, 10)
        assert given.class_map.shares == {"background": 1 - 200 / 820, "circle": 200 / 820}
        assert {found.label for found in (lies, given, *others)} == {"background"}
        with pytest.raises(vt.SpecError, match=r"^confidence: the model is for the task semantic"):
            run.predict(picture, confidence=0.5, progress=False)


def test_class_maps_on_the_command_line(tmp_path):
    with fake_framework(task="semantic") as fake:
        run = train(fake, epochs=1)
        source = tmp_path / "in" / "a.png"
        source.parent.mkdir()
        Image.new("RGB", (64, 64), (90, 90, 90)).save(source)
        command = ["predict", run.run_id, str(source.parent), "--save", str(tmp_path / "out")]
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
        assert done.stdout == f"{source}  background 75.0%  circle 25.0%\n"
        with Image.open(tmp_path / "out" / "a-classes.png") as written:
            assert (written.mode, written.getpixel((0, 0)), written.getpixel((63, 63))) == ("P", 1, 0)
        assert (tmp_path / "out" / "a.png").is_file()
        told = json.loads(
            CliRunner().invoke(app, ["predict", run.run_id, str(source), "--json"]).stdout.splitlines()[0]
        )
        assert (told["label"], told["shares"]) == ("background", {"background": 0.75, "circle": 0.25})


def test_a_classifier_is_asked_for_no_confidence():
    with fake_framework() as fake, pytest.raises(vt.SpecError, match=r"^confidence: "):
        train(fake, epochs=1).predict(fake.data, confidence=0.5, progress=False)


def test_a_batch_size_that_is_left_to_the_trainer_stays_so_in_the_record(monkeypatch):
    asked = []
    with fake_framework() as fake:
        start = starting.start_supervisor
        monkeypatch.setattr(starting, "start_supervisor", lambda launch: asked.append(launch.params) or start(launch))
        run = train(fake, epochs=1, batch_size="auto")
        assert run.record.spec["batch_size"] == "auto"
        assert run.resume(epochs=2, progress=False).record.spec["batch_size"] == "auto"
    assert [(params["auto_batch_size"], params["batch_size"]) for params in asked] == [(True, 4), (True, 4)]


def test_events_come_as_from_a_real_one():
    with fake_framework(steps=5, logs=["hello"]) as fake:
        handle = vt.start(fake.data, model="fake_model", epochs=2)
        events = list(handle.events(timeout=PATIENCE))
    assert [event.message for event in events if isinstance(event, LogEvent)] == ["hello"]
    assert {event.steps for event in events if isinstance(event, ProgressEvent)} == {5}
    assert [event.epoch for event in events if isinstance(event, MetricsEvent)] == [1, 2]


def test_metrics_and_output_are_those_that_were_declared():
    rows = [{"train_loss": 2.0, "accuracy": 0.9}, {"train_loss": math.nan, "accuracy": 0.1}]
    with fake_framework(metrics=rows, output="said by the trainer") as fake:
        run = train(fake)
        assert [row["accuracy"] for row in run.history] == [0.9, 0.1, 0.1]
        assert math.isnan(run.history[1]["train_loss"])
        assert run.metrics["accuracy"] == 0.9
        assert run.log.strip().endswith("said by the trainer")


@pytest.mark.parametrize(
    ("failure", "error", "says"),
    [
        (Failure("no luck"), vt.RunFailedError, "RuntimeError: no luck"),
        (Failure("no memory", error="torch.OutOfMemoryError"), vt.RunFailedError, "torch.OutOfMemoryError: no memory"),
        (Failure("no such device", error="DeviceError", instruction="Buy one."), vt.DeviceError, "Buy one"),
        (Failure("lr: is too high", error="SpecError"), vt.SpecError, "lr: is too high"),
        (Failure("9", error="ZeroDivisionError"), vt.RunFailedError, "ZeroDivisionError: 9"),
        (Crash(signal=signal.SIGKILL), vt.WorkerCrashedError, "SIGKILL"),
        (Crash(exit_code=7), vt.WorkerCrashedError, "exit code 7"),
    ],
)
def test_a_training_ends_as_declared(failure, error, says):
    with fake_framework(ends=failure) as fake:
        with pytest.raises(error, match=says):
            train(fake)
        assert vt.run().status == "failed"


def test_it_fails_where_it_was_told_to_and_goes_on_when_that_is_changed():
    with fake_framework(ends=Failure(epoch=2, step=3)) as fake:
        with pytest.raises(vt.RunFailedError):
            train(fake)
        assert [row["epoch"] for row in vt.run().history] == [1]
        fake.change()
        assert [row["epoch"] for row in vt.resume(progress=False).history] == [1, 2, 3]


def test_stop_and_resume():
    with fake_framework(step_seconds=0.02) as fake:
        handle = vt.start(fake.data, model="fake_model", epochs=500)
        until(lambda: handle.run.history, "an epoch")
        handle.stop()
        assert handle.wait(timeout=PATIENCE).status == "stopped"
        done = handle.run.record.last.epoch
        fake.change(step_seconds=0.0)
        assert vt.resume(handle.run_id, progress=False).history[-1]["epoch"] == 500
        assert done < 500


def test_a_session_with_a_home_of_its_own(tmp_path):
    data = make_sample("shapes", tmp_path / "data", images_per_class={"train": 1, "val": 1}, image_size=16)
    with fake_framework(["mine"]):
        session = vt.Session(tmp_path / "home")
        assert session.train(data, model="mine", epochs=1, progress=False).status == "completed"
    assert (tmp_path / "home" / "runs").is_dir()


def test_what_still_goes_on_at_the_end_is_killed_and_all_is_as_before():
    before = {name: os.environ.get(name) for name in ("VISIONTRAIN_HOME", VARIABLE)}
    with fake_framework(ends=Hang()) as fake:
        handle = vt.start(fake.data, model="fake_model")
        worker = until(lambda: handle.run.record.worker, "the worker answers").pid
        home = fake.home
    until(lambda: not alive(worker), "the worker ends")
    assert not home.exists()
    assert {name: os.environ.get(name) for name in before} == before
    assert "fake" not in [plugin.name for plugin in vt.Session(home).plugins()]


def test_what_waits_for_its_device_at_the_end_is_killed_too(tmp_path):
    with fake_framework(ends=Hang(), home=tmp_path / "home") as fake:
        first = vt.start(fake.data, model="fake_model", detach=True)
        waiting = vt.start(fake.data, model="fake_model", detach=True)
        until(lambda: waiting.status == "pending", "the second waits for the first")
    assert [handle.status for handle in (first, waiting)] == ["stopped", "stopped"]


def test_a_hanging_training_ends_only_by_killing():
    with fake_framework(ends=Hang(epoch=1, step=2)) as fake:
        handle = vt.start(fake.data, model="fake_model")
        until(lambda: handle.run.record.worker, "the worker answers")
        handle.kill()
        assert handle.wait(timeout=PATIENCE).status == "stopped"


def test_like_an_installed_framework(installed):
    installed("counter")
    with fake_framework(["resnet18"], like="tally") as fake:
        run = vt.train(fake.data, model="resnet18", steps=7, progress=False)
        assert run.record.framework == "counter"
        assert run.record.spec["options"]["steps"] == 7
        assert len(run.history) == 2  # counter's default
        with pytest.raises(vt.SpecError, match="stepz"):
            vt.train(fake.data, model="resnet18", stepz=7, progress=False)


def test_like_a_framework_that_is_not_there():
    with (
        pytest.raises(vt.SpecError, match="no installed plugin adds the framework 'nothing'"),
        fake_framework(like="nothing"),
    ):
        pass


@pytest.mark.parametrize(("field", "given"), [("steps", {"steps": 0}), ("task", {"task": "clasify"})])
def test_what_makes_no_training_is_refused(field, given):
    with pytest.raises(vt.SpecError, match=f"^{field}: "), fake_framework(**given):
        pass


def test_a_change_leaves_the_rest_as_it_was():
    with fake_framework("only_one", steps=5, output="once") as fake:
        fake.change(logs=["new"])
        run = vt.train(fake.data, model="only_one", epochs=1, progress=False)
        assert (run.history[-1]["step"], run.log.strip().splitlines()[-1]) == (5, "once")


def test_what_a_real_one_refuses_is_refused(tmp_path):
    with fake_framework() as fake:
        with pytest.raises(vt.UnknownModelError, match="other_model"):
            vt.train(fake.data, model="other_model", progress=False)
        with pytest.raises(vt.DeviceError):
            train(fake, device="cuda")
        with pytest.raises(vt.DatasetError):
            vt.train(tmp_path, model="fake_model", progress=False)


def test_it_needs_no_pytest():
    import subprocess

    code = (
        "import sys; from visiontrain.testing import fake_framework, Hang, make_sample; print('pytest' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=Path("/"))
    assert done.stdout.strip() == "False"
