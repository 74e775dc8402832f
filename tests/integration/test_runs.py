"""A session from end to end: a framework in a real environment, started, stopped, resumed, found again."""

from __future__ import annotations

import shutil
import threading
from contextlib import nullcontext

import pytest
from PIL import Image
from visiontrain_harness.processes import PATIENCE, until

from visiontrain.errors import (
    DatasetError,
    InputError,
    PluginError,
    RunBusyError,
    RunFailedError,
    SpecError,
    StorageError,
    UnknownModelError,
    UnknownRunError,
)
from visiontrain.observers import Silent
from visiontrain.protocol.events import (
    CheckpointEvent,
    LogEvent,
    MetricsEvent,
    ProgressEvent,
    ResumedEvent,
    StatusEvent,
)
from visiontrain.report.page import REPORT
from visiontrain.session import Session, follow_to_end

LONG = {"epochs": 1000, "steps": 100, "pause": 0.01}


class Listener(Silent):
    """Keeps what it is told."""

    def __init__(self):
        self.told = []
        self.events = []
        self.interrupt_at = None

    def indexing(self, progress):
        self.told.append("indexing")

    def building(self, progress):
        self.told.append("building")

    def planned(self, plan):
        self.told.append("planned")
        self.plan = plan

    def event(self, event):
        self.events.append(event)
        if self.interrupt_at is not None and isinstance(event, self.interrupt_at):
            self.interrupt_at = None
            raise KeyboardInterrupt

    def stopping(self, run_id):
        self.told.append("stopping")

    def ended(self, run):
        self.told.append("ended")


@pytest.fixture
def train(session, pictures):
    """Trains to the end without a word."""

    def train(model="count_small", data=pictures, **options):
        return session.train(data, model=model, progress=False, **options)

    return train


@pytest.fixture
def under_way(session, pictures):
    """A run that would go on for long."""
    handle = session.start(pictures, model="count_small", **LONG)
    until(lambda: b'"source":"worker"' in (handle.run_dir / "events.jsonl").read_bytes(), "the trainer reports")
    yield handle
    if handle.status == "running":
        handle.kill()
        to_the_end(handle)


def _refuse(run_dir):
    raise StorageError("no room")


def to_the_end(handle):
    return list(handle.events(timeout=PATIENCE))


class TestTrain:
    def test_one_line_trains(self, train):
        run = train(epochs=3, name="first")
        assert run.status == "completed"
        assert [row["epoch"] for row in run.history] == [1, 2, 3]
        assert run.metrics == {"accuracy": pytest.approx(1 - 1 / 9)}
        assert run.last_checkpoint.is_file()
        assert run.best_checkpoint is None
        assert run.raise_for_status() is run
        assert run.run_id in repr(run)

    def test_the_record_says_what_was_asked_for_and_what_it_ran_on(self, train, session, pictures):
        record = train(epochs=1, seed=7, steps=4).record
        assert (record.framework, record.task, record.model, record.attempt) == (
            "counter",
            "classify",
            "count_small",
            1,
        )
        assert record.spec["epochs"] == 1
        assert record.spec["seed"] == 7
        assert record.spec["options"] == {"steps": 4, "pause": 0.0, "fail_at": 0}
        assert record.spec["batch_size"] == 2
        assert record.data.path == str(pictures)
        assert record.data.splits == {"train": 4, "val": 4}
        assert record.data.classes == ("cat", "dog")
        (generation,) = session.environments()
        assert record.environment.generation == generation.id
        assert record.environment.python == str(generation.python)
        assert record.worker.versions["counter"] == "1.0"
        assert record.created_at <= record.started_at <= record.ended_at

    def test_at_the_end_its_page_is_there(self, train):
        run = train(epochs=3)
        page = run.run_dir / REPORT
        assert "Best epoch: 3" in page.read_text(encoding="utf-8")
        page.unlink()
        assert run.report() == page
        assert "Best epoch: 3" in page.read_text(encoding="utf-8")

    def test_a_page_that_can_not_be_written_harms_no_run(self, train, monkeypatch):
        monkeypatch.setattr("visiontrain.handles.write_report", _refuse)
        with pytest.warns(UserWarning, match="the report of the run .* could not be written: no room"):
            assert train(epochs=1).status == "completed"

    def test_an_observer_is_told_everything(self, session, pictures):
        listener = Listener()
        handle = session.start(pictures, model="count_small", observer=listener)
        run = follow_to_end(handle, listener)
        kinds = list(dict.fromkeys(listener.told))
        assert kinds.index("planned") == len(kinds) - 2
        assert {"indexing", "building"} <= set(kinds)
        assert kinds[-1] == "ended"
        assert listener.plan.framework.manifest.name == "counter"
        seen = {type(event) for event in listener.events}
        assert {StatusEvent, LogEvent, ProgressEvent, MetricsEvent, CheckpointEvent} <= seen
        assert run.status == "completed"

    def test_the_person_s_folder_is_not_written_to(self, train, tmp_path, pictures):
        data = tmp_path / "data"
        shutil.copytree(pictures, data)
        before = sorted((path, path.stat().st_mtime_ns) for path in data.rglob("*"))
        train(data=data)
        assert sorted((path, path.stat().st_mtime_ns) for path in data.rglob("*")) == before

    def test_an_alias_of_the_framework(self, train):
        assert train(framework="tally").record.framework == "counter"

    def test_a_tag_of_published_weights(self, train):
        assert train("count_small.v1").record.model == "count_small.v1"

    def test_a_trainer_that_fails(self, train, session):
        with pytest.raises(RunFailedError, match="ValueError: step 5 failed") as caught:
            train(fail_at=5)
        run = session.run()
        assert run.status == "failed"
        assert caught.value.run_id == run.run_id
        assert "trainer.py" in caught.value.remote_traceback
        assert f"visiontrain resume {run.run_id}" in caught.value.instruction
        assert [row["epoch"] for row in run.history] == [1]


class TestRefused:
    @pytest.mark.parametrize(
        ("options", "error", "words"),
        [
            ({"stepz": 3}, SpecError, "stepz: the framework counter has no such option"),
            ({"steps": 0}, SpecError, "steps: must be at least 1, not 0"),
            ({"steps": "x"}, SpecError, "steps: must be of type int"),
            ({"task": "detect"}, SpecError, "task: the framework counter can't detect; it can: classify"),
            ({"batch_size": "auto"}, SpecError, "batch_size: can't be auto: the framework counter does not find one"),
            ({"framework": "none"}, SpecError, "framework: no installed plugin adds 'none'"),
            ({"environment": "other"}, SpecError, "environment: "),
            ({"environment": "counter@none"}, InputError, "is not a generation of environment counter"),
            ({"weights": "/none.pt"}, SpecError, "weights: there is no file"),
            ({"model": "count_smal"}, UnknownModelError, "count_smal"),
            ({"model": "unheard_of"}, UnknownModelError, "unheard_of"),
            ({"data": "/none"}, DatasetError, "/none"),
        ],
    )
    def test_nothing_is_started(self, session, pictures, options, error, words):
        request = {"data": pictures, "model": "count_small", **options}
        with pytest.raises(error, match=words) as caught:
            session.start(request.pop("data"), **request)
        assert caught.value.instruction or error is SpecError
        assert session.runs() == []
        assert list(session.home.runs.glob("*")) == []

    def test_the_environment_is_held_until_the_supervisor_holds_it(self, session, pictures, monkeypatch):
        def start(launch):
            (environment,) = session.environments()
            with pytest.raises(InputError, match="is in use by a run"):
                session.remove_environment(environment.name, environment.id)
            raise RuntimeError("looked")

        monkeypatch.setattr("visiontrain.runners.starting.start_supervisor", start)
        with pytest.raises(RuntimeError, match="looked"):
            session.start(pictures, model="count_small")
        assert list(session.home.runs.glob("*")) == []

    def test_near_matches_of_an_option(self, session, pictures):
        with pytest.raises(SpecError) as caught:
            session.start(pictures, model="count_small", stepz=3)
        assert "steps" in caught.value.instruction

    def test_near_matches_of_a_model(self, session, pictures):
        session.build_environment("counter")
        with pytest.raises(UnknownModelError) as caught:
            session.start(pictures, model="count_smal")
        assert "Did you mean count_small" in caught.value.instruction

    def test_a_broken_plugin_harms_no_other(self, installed, session, train):
        installed("crashes_on_import", "no_environment")
        assert {plugin.name: bool(plugin.error) for plugin in session.plugins()}["crashes_on_import"]
        assert train(epochs=1).status == "completed"
        assert {model.framework for model in session.models("count_*")} == {"counter"}

    def test_a_plugin_without_its_environment_says_so_when_it_is_used(self, installed, session, pictures):
        installed("no_environment")
        with pytest.raises(PluginError, match=r"environment\.toml does not exist"):
            session.start(pictures, model="homeless_net")


class TestResume:
    def test_a_completed_run_needs_more_epochs(self, session, train):
        run = train(epochs=2)
        with pytest.raises(SpecError, match="is completed: all its 2 epochs are done") as caught:
            session.resume()
        assert "--epochs 7" in caught.value.instruction
        with pytest.raises(SpecError, match="2 epochs are done already; the new total must be more, not 2"):
            session.resume(epochs=2)
        resumed = session.resume(run.run_id, epochs=4).wait(timeout=PATIENCE)
        assert resumed.status == "completed"
        assert resumed.record.attempt == 2
        assert resumed.record.spec["epochs"] == 4
        assert [row["epoch"] for row in resumed.history] == [1, 2, 3, 4]

    @pytest.mark.parametrize("epochs", [2.5, "many", True, -1])
    def test_epochs_that_are_no_number_of_them(self, session, train, epochs):
        train(epochs=1)
        with pytest.raises(SpecError, match="epochs: "):
            session.resume(epochs=epochs)

    def test_a_stopped_run_goes_on_where_it_was(self, session, under_way):
        under_way.stop()
        to_the_end(under_way)
        done = under_way.run.record.last.step
        assert done >= 1
        handle = session.resume(under_way.run_id)
        until(lambda: b'"resumed"' in (handle.run_dir / "events.jsonl").read_bytes(), "the trainer goes on")
        handle.stop()
        events = to_the_end(handle)
        # A handle tells of its own attempt alone.
        assert [event.attempt for event in events if isinstance(event, StatusEvent)] == [2, 2]
        (resumed,) = [event for event in events if isinstance(event, ResumedEvent)]
        assert resumed.step == done
        assert resumed.checkpoint == "checkpoints/last.json"
        assert handle.run.record.last.step >= done

    def test_as_a_method_of_the_run(self, train, monkeypatch):
        run = train(epochs=1)
        monkeypatch.setattr(Session, "_observer", lambda self, *, progress: nullcontext(Silent()))
        assert run.resume(epochs=2).history[-1]["epoch"] == 2

    def test_a_failed_run_goes_on_from_its_last_checkpoint(self, session, train):
        with pytest.raises(RunFailedError):
            train(epochs=3, fail_at=5)
        with pytest.raises(RunFailedError):  # step 4 and then the same failure
            session.resume().wait(timeout=PATIENCE)
        run = session.run()
        assert run.record.attempt == 2
        assert [row["epoch"] for row in run.history] == [1]

    def test_of_a_run_that_is_going_on_is_refused(self, session, under_way):
        with pytest.raises(RunBusyError, match="is going on") as caught:
            session.resume(under_way.run_id)
        assert "runs follow" in caught.value.instruction
        assert under_way.status == "running"

    def test_of_a_run_that_somebody_goes_on_with_meanwhile_is_refused(self, session, train):
        train(epochs=1)

        class Slow(Silent):
            def planned(self, plan):
                session.resume(epochs=2).wait(timeout=PATIENCE)

        with pytest.raises(RunBusyError, match="gone on with the run meanwhile"):
            session.resume(epochs=3, observer=Slow())
        run = session.run()
        assert (run.status, run.record.attempt, run.record.spec["epochs"]) == ("completed", 2, 2)
        assert [row["epoch"] for row in run.history] == [1, 2]

    def test_of_changed_data_is_refused(self, session, train, tmp_path, pictures):
        data = tmp_path / "data"
        shutil.copytree(pictures, data)
        train(data=data, epochs=1)
        Image.new("RGB", (16, 16), (1, 2, 3)).save(data / "train" / "cat" / "new.png")
        with pytest.raises(DatasetError, match="is not what it was when the run began") as caught:
            session.resume(epochs=2)
        assert "start a new run" in caught.value.instruction
        (data / "train" / "cat" / "new.png").unlink()
        assert session.resume(epochs=2).wait(timeout=PATIENCE).status == "completed"

    def test_in_another_session_from_another_folder(self, session, train, tmp_path, monkeypatch):
        run = train(epochs=1, name="mine")
        monkeypatch.chdir(tmp_path)
        other = Session(session.home.root)
        assert other.resume("mine", epochs=2).wait(timeout=PATIENCE).run_id == run.run_id

    def test_a_checkpoint_that_is_gone_is_no_new_beginning(self, session, train):
        run = train(epochs=1)
        run.last_checkpoint.unlink()
        with pytest.raises(InputError, match="is gone"):
            session.resume(epochs=2)
        assert [row["epoch"] for row in run.history] == [1]

    def test_of_a_run_that_is_not_there(self, session):
        with pytest.raises(UnknownRunError):
            session.resume("none")


class TestStop:
    def test_ctrl_c_stops_the_run_and_is_passed_on(self, session, pictures):
        listener = Listener()
        listener.interrupt_at = MetricsEvent
        handle = session.start(pictures, model="count_small", **{**LONG, "steps": 3}, observer=listener)
        with pytest.raises(KeyboardInterrupt):
            follow_to_end(handle, listener)
        assert "stopping" in listener.told
        assert listener.told[-1] == "ended"
        assert handle.status == "stopped"
        assert handle.run.last_checkpoint.is_file()

    def test_a_second_one_ends_it_at_once(self, session, pictures):
        listener = Listener()
        listener.interrupt_at = MetricsEvent

        def again(_):
            raise KeyboardInterrupt

        listener.stopping = again
        handle = session.start(pictures, model="count_small", **{**LONG, "steps": 3}, observer=listener)
        with pytest.raises(KeyboardInterrupt):
            follow_to_end(handle, listener)
        assert handle.status == "stopped"

    def test_from_another_session(self, session, under_way):
        Session(session.home.root).run(under_way.run_id).stop()
        to_the_end(under_way)
        assert under_way.status == "stopped"

    def test_a_handle_that_is_dropped_does_not_stop_its_run(self, session, pictures):
        run_id = session.start(pictures, model="count_small", epochs=2, pause=0.05).run_id
        assert session.follow(run_id).wait(timeout=PATIENCE).status == "completed"


class TestEnvironmentInUse:
    def test_while_a_run_goes_on_it_is_not_removed(self, session, under_way):
        (environment,) = session.environments()
        for generation in (None, environment.id):
            with pytest.raises(InputError, match="is in use by a run") as caught:
                Session(session.home.root).remove_environment("counter", generation)
            assert "Stop the run first" in caught.value.instruction
        assert under_way.status == "running"
        under_way.stop()
        to_the_end(under_way)
        assert session.remove_environment("counter") == (environment.id,)
        assert not environment.path.exists()

    def test_another_generation_of_it_is(self, session, under_way):
        (environment,) = session.environments()
        kept = environment.path.parent / ("0" * len(environment.id))
        shutil.copytree(environment.path, kept, symlinks=True)
        assert session.remove_environment("counter", kept.name) == (kept.name,)
        assert environment.path.exists()
        assert under_way.status == "running"


class TestThings:
    def test_models(self, session):
        session.build_environment("counter")
        assert [model.name for model in session.models(framework="counter")] == ["count_small", "count_large"]
        (model,) = session.models("*_small", framework="counter")
        assert (model.framework, model.tasks, model.pretrained) == ("counter", ("classify",), ("v1",))
        assert session.models("none*", framework="counter") == []

    def test_models_are_kept_with_the_environment(self, session, monkeypatch):
        session.build_environment("counter")
        monkeypatch.setattr("visiontrain.runners.catalog.WorkerConnection", None)  # no worker is asked again
        assert len(Session(session.home.root).models(framework="counter")) == 2

    def test_models_are_asked_for_again_where_the_plugin_is_another(self, session):
        path = session.build_environment("counter").catalog_path
        others = path.read_text().replace('"count_small"', '"count_old"')
        path.write_text(others.replace('"edition":"', '"edition":"before '))
        assert [model.name for model in session.models(framework="counter")] == ["count_small", "count_large"]
        assert "count_old" not in path.read_text()

    def test_runs_newest_first_and_by_every_name(self, session, train):
        first, second = train(epochs=1, name="one"), train(epochs=1, name="two")
        assert {run.run_id for run in session.runs()} == {first.run_id, second.run_id}
        assert session.run().run_id == second.run_id
        assert session.run("one").run_id == first.run_id
        assert session.run(first.run_id).run_id == first.run_id

    def test_threads_share_a_session(self, session, pictures):
        runs, failures = [], []

        def work(number):
            try:
                runs.append(session.train(pictures, model="count_small", progress=False, epochs=1, seed=number))
            except BaseException as error:
                failures.append(error)
                raise

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert sorted(run.record.spec["seed"] for run in runs) == list(range(6))
        assert {run.status for run in runs} == {"completed"}
        assert len(session.environments()) == 1
