"""Trained models in use, from end to end: evaluations, predictions and exports, with real supervisors and workers."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from PIL import Image
from visiontrain_harness.processes import PATIENCE, alive, until

from visiontrain.errors import (
    DatasetError,
    DeviceError,
    ExportError,
    ImageError,
    InputError,
    PluginError,
    SpecError,
    WorkerCrashedError,
)
from visiontrain.protocol.events import StatusEvent
from visiontrain.runners import predicting
from visiontrain.session import Session

MAIN = "from visiontrain.cli.main import main; main()"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """One home for all: its environment is built once."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def session(installed, home):
    installed("counter")
    with Session(home) as made:
        yield made


@pytest.fixture
def trained(session, pictures):
    """A training that is completed, the newest one."""
    runs = [run for run in session.runs() if run.record.name == "mine" and run.record.data.path == str(pictures)]
    return runs[0] if runs else session.train(pictures, model="count_small", name="mine", progress=False)


@pytest.fixture
def slow(session, pictures):
    """One whose evaluation takes a second an image."""
    return session.train(pictures, model="count_small", epochs=1, steps=1, pause=1.0, progress=False)


@pytest.fixture
def image(tmp_path):
    """Writes an image file."""

    def image(name="a.png", size=(5, 4)):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (9, 8, 7)).save(path, format="PNG")
        return path

    return image


@pytest.fixture
def command(session, home, tmp_path):
    """Starts a command line in a process of its own."""
    started = []

    def command(*arguments, code=MAIN, **options):
        env = {**os.environ, "VISIONTRAIN_HOME": str(home), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        process = subprocess.Popen(
            [sys.executable, "-X", "dev", "-W", "error", "-c", code, *map(str, arguments)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, cwd=tmp_path, **options,
        )  # fmt: skip
        started.append(process)
        return process

    yield command
    for process in started:
        process.kill()
        process.communicate()


def done(process):
    """Exit code, stdout and stderr of a process that is about to end."""
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out.decode("utf-8", "surrogateescape"), err.decode("utf-8", "surrogateescape")


def worker_of(session):
    """The process id of the worker that is kept for predictions."""
    keeper = session._warm_worker()._connection._process.pid
    return until(lambda: _below(keeper), "the worker runs")


def _below(pid):
    """The process at the end of the line of single children below one."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return _below(int(children[0])) if children else pid


class TestEvaluate:
    def test_gives_a_run_of_its_own(self, session, trained, pictures):
        run = session.evaluate("mine", progress=False)
        assert run.metrics["accuracy"] == trained.metrics["accuracy"]
        assert run.metrics["val_loss"] != run.metrics["val_loss"]  # not a number, and kept as that
        record = run.record
        assert (record.kind, record.parent, record.status) == ("evaluate", trained.run_id, "completed")
        assert record.spec["splits"] == ["val"]
        assert record.spec["checkpoint"] == str(trained.last_checkpoint)
        assert record.data.path == str(pictures)
        # "last" is what was trained, for those who use it, and what was done, for those who look.
        assert session.evaluate(progress=False).record.parent == session.evaluate("last", progress=False).record.parent
        assert session.run("last").record.kind == "evaluate"
        assert run.best_checkpoint is run.last_checkpoint is None

    def test_on_other_data(self, session, trained, tmp_path):
        for label in ("dog", "cat"):
            (tmp_path / "flat" / label).mkdir(parents=True)
            for number in range(5):
                Image.new("RGB", (8, 8), (number * 40, 9, ord(label[0]))).save(tmp_path / f"flat/{label}/{number}.png")
        run = trained.evaluate(tmp_path / "flat", progress=False)
        # Nothing of it was trained on: the part that would be carved off for validation means nothing.
        assert sorted(run.record.spec["splits"]) == ["train", "val"]
        assert sum(run.record.data.splits.values()) == 10
        with pytest.raises(SpecError, match="has no split val; it has none"):
            trained.evaluate(tmp_path / "flat", split="val", progress=False)
        for path in (tmp_path / "flat" / "dog").iterdir():
            path.unlink()
        (tmp_path / "flat" / "dog").rmdir()
        one_class = trained.evaluate(tmp_path / "flat", split="all", batch_size=3, progress=False)
        assert one_class.record.data.classes == ("cat",)
        assert one_class.record.spec["batch_size"] == 3
        (tmp_path / "held-out" / "test").mkdir(parents=True)
        (tmp_path / "flat" / "cat").rename(tmp_path / "held-out" / "test" / "cat")
        assert trained.evaluate(tmp_path / "held-out", progress=False).record.spec["splits"] == ["test"]

    def test_what_can_not_be_is_refused_before_there_is_a_run(self, session, trained, tmp_path, pictures, image):
        (tmp_path / "wide" / "cat").mkdir(parents=True)
        (tmp_path / "wide" / "cow").mkdir()
        image("wide/cat/1.png"), image("wide/cow/2.png", (6, 4))
        image("list/3.png", (7, 4))
        evaluation = session.evaluate("mine", progress=False).run_id
        before = len(session.runs())
        for options, error, words, instruction in [
            ({"split": "test"}, SpecError, "split: .* has no split test; it has: train, val", "all"),
            ({"split": "dev"}, SpecError, "split: ", None),
            (
                {"data": tmp_path / "wide"},
                DatasetError,
                "the class cow, which the run .* was not trained on",
                "cat, dog",
            ),
            ({"data": tmp_path / "list"}, DatasetError, "list", None),
            ({"data": tmp_path / "none"}, DatasetError, "none", None),
            ({"device": "cuda"}, DeviceError, "can't compute on cuda", "cpu"),
            ({"checkpoint": "best"}, InputError, "has no best checkpoint: it is completed", "--checkpoint last"),
            ({"batch_size": 0}, SpecError, "batch_size: ", None),
            ({"splits": "val"}, SpecError, "splits", None),
            ({"run": evaluation}, SpecError, "is no training: it is of kind evaluate", trained.run_id),
        ]:
            with pytest.raises(error, match=words) as caught:
                session.evaluate(**{"run": "mine", "progress": False, **options})
            assert instruction is None or instruction in caught.value.instruction
        assert len(session.runs()) == before

    def test_data_that_changed_moved_or_went_is_told(self, session, tmp_path, image):
        for name in ("train/cat/1", "train/dog/2", "val/cat/3", "val/dog/4"):
            image(f"own/{name}.png", (4 + int(name[-1]), 4))
        run = session.train(tmp_path / "own", model="count_small", epochs=1, progress=False)
        (tmp_path / "own").rename(tmp_path / "moved")
        with pytest.raises(DatasetError, match=r"own, is gone") as caught:
            run.evaluate(progress=False)
        assert f"visiontrain evaluate {run.run_id} DATA" in caught.value.instruction
        with pytest.raises(DatasetError, match="is gone") as caught:
            run.export("text", progress=False)
        assert f"visiontrain export {run.run_id} --data DATA" in caught.value.instruction
        assert run.evaluate(tmp_path / "moved", progress=False).record.spec["splits"] == ["val"]
        (tmp_path / "moved").rename(tmp_path / "own")
        image("own/train/cat/5.png", (3, 3))
        with pytest.raises(DatasetError, match="is not what it was") as caught:
            run.evaluate(progress=False)
        assert f"visiontrain evaluate {run.run_id} {tmp_path / 'own'}" in caught.value.instruction
        assert run.export("text", progress=False).difference < 1e-5  # any images will do to compare two models
        kept = run.last_checkpoint.read_bytes()
        run.last_checkpoint.unlink()
        with pytest.raises(InputError, match=r"the checkpoint .* is gone"):
            run.predict(tmp_path / "own", progress=False)
        run.last_checkpoint.write_bytes(kept)

    def test_of_a_training_that_goes_on(self, session, pictures, home):
        handle = session.start(pictures, model="count_small", epochs=1000, steps=1, pause=0.5)
        try:
            with pytest.raises(InputError, match="has no checkpoint: it is running") as caught:
                session.evaluate(handle.run_id, progress=False)
            assert "Wait" in caught.value.instruction
            until(lambda: handle.run.record.last, "a checkpoint")
            with Session(home, max_runs_per_device=2) as beside:
                evaluation = beside.start_evaluation(handle.run_id)
                evaluation.stop()
                evaluation.wait(timeout=PATIENCE)
            assert evaluation.status == "stopped"
            assert evaluation.run.metrics == {}
            assert handle.status == "running"
        finally:
            handle.kill()
            handle.wait(timeout=PATIENCE)

    def test_ctrl_c_stops_it(self, slow, command):
        process = command("evaluate", slow.run_id, "--json")
        for line in process.stdout:
            if json.loads(line)["type"] == "worker":
                break
        process.send_signal(signal.SIGINT)
        code, out, err = done(process)
        assert code == 130
        result = json.loads(out.splitlines()[-1])
        assert (result["status"], result["kind"], result["parent"]) == ("stopped", "evaluate", slow.run_id)
        assert "Ctrl-C once more" in err
        assert "checkpoint to" not in err and "leaves a checkpoint" not in err  # noqa: PT018


class TestPredict:
    def test_images_in_every_shape(self, trained, pictures, image):
        numpy_like = memoryview(bytes([200] * 4 * 6 * 3)).cast("B", (4, 6, 3))
        turned = Image.new("RGB", (2, 3))
        turned.getexif()[0x0112] = 6
        given = [pictures / "val", str(image()), Image.new("L", (7, 3), 50), numpy_like, turned]
        found = trained.predict(given, progress=False)
        assert [each.path and each.path.name for each in found] == [
            "0.png", "1.png", "0.png", "1.png", "a.png", None, None, None,
        ]  # fmt: skip
        assert [(each.width, each.height) for each in found[4:]] == [(5, 4), (7, 3), (6, 4), (3, 2)]
        for each in found:
            assert list(each.probabilities) == ["cat", "dog"]
            assert sum(each.probabilities.values()) == pytest.approx(1)
            assert each.top5[0] == (each.label, each.probability)
        assert trained.predict([], progress=False) == []
        assert trained.predict(image(), progress=False)[0] == found[4]

    @pytest.mark.parametrize("mode", ["1", "P", "PA", "LA", "La", "RGBa", "I", "I;16", "F", "CMYK", "HSV", "YCbCr"])
    def test_pil_images_of_every_mode_are_handed_on(self, trained, mode):
        (found,) = trained.predict(Image.new(mode, (3, 2)), progress=False)
        assert found.error is None

    def test_what_can_not_be_read_is_named_and_the_others_go_on(self, trained, tmp_path, image):
        whole, broken, torn = image(), tmp_path / "broken.png", tmp_path / "torn.png"
        broken.write_bytes(b"nothing")
        Image.effect_noise((64, 64), 90).save(torn)
        torn.write_bytes(torn.read_bytes()[:900])
        with Image.open(torn) as cut:
            found = trained.predict([broken, whole, cut, cut, whole], progress=False, skip_unreadable=True)
            assert [each.error is None for each in found] == [False, True, False, False, True]
            assert str(broken) in found[0].error
            assert str(torn) in found[2].error
            with pytest.raises(ImageError, match="torn"):
                trained.predict(cut, progress=False)
        with pytest.raises(ImageError, match="broken") as caught:
            trained.predict([whole, broken], progress=False)
        assert "skip_unreadable" in caught.value.instruction

    def test_what_is_no_image_is_refused(self, trained, tmp_path):
        (tmp_path / "empty").mkdir()
        floats = memoryview(bytes(4 * 4 * 4)).cast("f", (4, 4))
        for given, error, words in [
            (3, SpecError, "a value of type int is neither"),
            ([[]], SpecError, "a value of type list is neither"),
            (b"png", SpecError, "holds a file, not pixels"),
            ([(tmp_path / "x").open("wb")], SpecError, "BufferedWriter holds a file, not pixels"),
            (floats, SpecError, "must be uint8 .* 'f' and is 4 x 4"),
            (tmp_path / "none.png", ImageError, "there is no file or folder"),
            ("n" * 300, ImageError, "there is no file or folder"),
            (tmp_path / "empty", ImageError, "there is no image in the folder"),
        ]:
            with pytest.raises(error, match=words):
                trained.predict(given, progress=False)
            if isinstance(given, list) and given[0]:
                given[0].close()

    def test_a_generator_is_asked_as_images_are_needed(self, trained, monkeypatch):
        asked = []

        def images():
            for number in range(10_000):
                asked.append(number)
                yield Image.new("RGB", (20, 20), (number % 256, 0, 0))

        found = trained.iter_predict(images(), batch_size=8)
        next(found)
        assert len(asked) == 8
        monkeypatch.setattr(predicting, "PIXELS", 5 * 20 * 20 * 3)
        for _ in range(8):
            next(found)
        assert len(asked) == 8 + 5  # no more pixels than that at once
        found.close()

    def test_an_answer_that_does_not_fit_is_the_plugin_s_fault(self, trained, image):
        for name, words in [
            ("skipped.png", "gave 1 predictions for 2 images"),
            ("few.png", "gave 1 probabilities for 2 classes"),
            ("neither.png", "neither probabilities nor an error"),
        ]:
            with pytest.raises(PluginError, match=words):
                trained.predict([image(), image(name)], progress=False)


class TestWarmWorker:
    def test_one_worker_answers_until_it_dies_or_is_closed(self, session, trained, image):
        trained.predict(image(), progress=False)
        first = worker_of(session)
        began = time.monotonic()
        trained.predict(image(), progress=False)
        assert worker_of(session) == first
        assert time.monotonic() - began < 1.0
        (environment,) = session.environments()
        with pytest.raises(InputError, match="is in use"):
            session.remove_environment(environment.name, environment.id)
        with pytest.raises(WorkerCrashedError, match="SIGKILL") as caught:
            trained.predict(image("kills.png"), progress=False)
        assert "another worker" in caught.value.instruction
        trained.predict(image(), progress=False)
        second = worker_of(session)
        assert second != first
        os.kill(second, signal.SIGKILL)
        until(lambda: not alive(second), "it is dead")
        with pytest.raises(WorkerCrashedError):
            trained.predict(image(), progress=False)
        trained.predict(image(), progress=False)
        third = worker_of(session)
        session.close()
        session.close()
        assert not alive(third)
        trained.predict(image(), progress=False)  # a session that was closed can still be used

    def test_it_ends_when_nobody_asks_for_long(self, session, trained, image):
        session._warm_worker()._idle = 0.2
        trained.predict(image(), progress=False)
        worker = worker_of(session)
        until(lambda: not alive(worker), "it is ended")
        assert trained.predict(image(), progress=False)[0].label

    def test_threads_take_turns(self, session, trained, image, pictures):
        given = [image(), pictures]
        expected = [each.label for each in trained.predict(given, progress=False)]
        found = []

        def predict():
            found.append([each.label for each in trained.predict(given, batch_size=2, progress=False)])

        threads = [threading.Thread(target=predict) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert found == [expected] * 4

    @pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
    def test_a_forked_child_starts_one_of_its_own(self, session, trained, image):
        path = image()
        (before,) = trained.predict(path, progress=False)
        ours = worker_of(session)
        receiver, sender = multiprocessing.Pipe(duplex=False)

        def child():
            (found,) = trained.predict(path, progress=False)
            sender.send((found.label, worker_of(session)))
            session.close()

        session._warm_worker()._lock.acquire()  # as by another thread, at the moment of the fork
        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        session._warm_worker()._lock.release()
        assert receiver.poll(PATIENCE)
        label, theirs = receiver.recv()
        process.join(PATIENCE)
        assert (process.exitcode, label) == (0, before.label)
        assert theirs != ours
        assert not alive(theirs)
        trained.predict(path, progress=False)
        assert worker_of(session) == ours

    def test_nothing_is_left_when_the_interpreter_ends(self, trained, command, image):
        code = (
            "import sys, visiontrain as vt; run = vt.run(sys.argv[1]); print(run.predict(sys.argv[2])[0].label);"
            "print(run._actions._warm_worker()._connection._process.pid, flush=True)"
        )
        code, out, err = done(command(trained.run_id, image(), code=code))
        label, keeper = out.split()
        assert (code, err) == (0, "")
        assert label in ("cat", "dog")
        assert not alive(int(keeper))

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_an_interrupt_ends_it_at_once(self, trained, command, image, number):
        begun = image("lasts.png").with_suffix(".begun")
        process = command("predict", trained.run_id, begun.with_suffix(".png"), "--json")
        until(begun.exists, "it computes")
        keeper = _below(process.pid)
        began = time.monotonic()
        process.send_signal(number)
        got, out, err = done(process)
        assert (got, err) == (128 + number, "")
        assert time.monotonic() - began < 4.0  # it is not waited for, as one is that could hear
        assert json.loads(out) == {"type": "result", "status": "stopped", "images": 0, "unreadable": 0, "error": None}
        assert not alive(keeper)


class TestPredictCommand:
    def test_lines_tables_and_copies(self, trained, command, image, tmp_path):
        image("in/a\nb.png"), image("in/deep/c.png", (60, 40))
        (tmp_path / os.fsdecode(b"in/\xff.png")).write_bytes(image().read_bytes())
        (tmp_path / "in/broken.jpg").write_bytes(b"")
        (tmp_path / "in/unheard.heic").write_bytes(b"")
        code, out, err = done(command("predict", "mine", "in", "a.png", "--save", "out", "--top", "1"))
        assert code == 1
        names = [line.rpartition("  ")[0].removeprefix(f"{tmp_path}/") for line in out.splitlines()]
        assert names == ["in/a\\nb.png", "in/deep/c.png", "in/\\udcff.png", "a.png"]
        assert "6 images, 2 can't be read" in err
        assert err.count("Warning: ") == 2
        drawn = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.png"))
        assert drawn == sorted(["a\nb.png", "deep/c.png", "\udcff.png", "a.png"])
        table = (tmp_path / "out/predictions.csv").read_text(encoding="utf-8", errors="surrogateescape")
        assert table.startswith("image,label,probability,drawn,error\n")
        code, out, err = done(command("predict", "mine", "in", "--save", "out"))
        assert (code, out) == (2, "")
        assert "has a predictions.csv already" in err
        # Into the folder of the images themselves: they stay as they are, and a copy gets another name.
        before = {path: path.read_bytes() for path in (tmp_path / "in/deep").iterdir()}
        code, _, err = done(command("predict", "mine", "in/deep", "--save", "in/deep"))
        assert code == 0, err
        assert {path: path.read_bytes() for path in before} == before
        assert sorted(path.name for path in (tmp_path / "in/deep").iterdir()) == ["c-2.png", "c.png", "predictions.csv"]

    def test_json_ends_with_a_result_whatever_happens(self, trained, command, image):
        code, out, err = done(command("predict", "mine", image(), "--json"))
        line, result = map(json.loads, out.splitlines())
        assert (code, err) == (0, "")
        assert line["image"].endswith("a.png")
        assert line["label"] == line["top"][0]["label"] == line["labels"][0]
        assert result == {"type": "result", "status": "completed", "images": 1, "unreadable": 0, "error": None}
        code, out, err = done(command("predict", "none", image(), "--json"))
        result = json.loads(out)
        assert (code, result["status"], result["error"]["type"]) == (2, "failed", "UnknownRunError")
        assert "no run answers to 'none'" in err

    def test_nobody_reads_on(self, trained, command, pictures):
        process = command("predict", "mine", *[pictures] * 300, "--json")
        process.stdout.readline()
        process.stdout.close()
        process.stdout = None
        _, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, err) == (141, b"")


class TestExport:
    def test_files_and_difference(self, session, trained, tmp_path):
        exported = trained.export("text", output=tmp_path / "new" / "folder", progress=False)
        assert [path.relative_to(tmp_path) for path in exported.files] == [
            Path("new/folder/model.txt"), Path("new/folder/model.json"),
        ]  # fmt: skip
        assert exported.path.read_bytes() == trained.last_checkpoint.read_bytes()
        assert (exported.format, exported.difference) == ("text", 1e-6)
        run = session.run(exported.run_id)
        assert (run.record.kind, run.record.parent, run.status) == ("export", trained.run_id, "completed")
        assert (run.run_dir / "artifacts" / "model.txt").is_file()
        before = len(session.runs())
        with pytest.raises(SpecError, match="format: the framework counter can't export onnx; it offers: text"):
            trained.export(progress=False)
        with pytest.raises(SpecError, match=r"output: .* is no empty folder"):
            trained.export("text", output=tmp_path / "new" / "folder", progress=False)
        assert len(session.runs()) == before

    def test_a_difference_that_is_too_large_is_an_error(self, trained):
        with pytest.raises(ExportError, match="differs by 1e-06, more than 1e-07") as caught:
            trained.export("text", tolerance=1e-7, progress=False)
        assert "Allow more" in caught.value.instruction

    def test_the_command_names_the_files(self, trained, command, tmp_path):
        code, out, err = done(command("export", "mine", "--format", "text", "--output", "e", "--json"))
        assert code == 0, err
        result = json.loads(out.splitlines()[-1])
        assert result["files"] == [str(tmp_path / "e/model.txt"), str(tmp_path / "e/model.json")]
        assert (result["status"], result["kind"], result["difference"]) == ("completed", "export", 1e-6)


class TestRunsOfOtherKinds:
    def test_are_shown_followed_and_not_gone_on_with(self, session, trained, command):
        evaluation = session.evaluate("mine", progress=False)
        code, out, err = done(command("runs", "show", evaluation.run_id))
        assert (code, err) == (0, "")
        assert f"evaluate of {trained.run_id}" in out
        assert f"visiontrain runs show {trained.run_id}" in out
        handle = session.follow(evaluation.run_id)
        assert [event.status for event in handle.events() if isinstance(event, StatusEvent)] == ["running", "completed"]
        handle.stop()  # nobody works on it: it is left as it is
        with pytest.raises(SpecError, match="is no training: it is of kind evaluate") as caught:
            session.resume(evaluation.run_id)
        assert trained.run_id in caught.value.instruction
