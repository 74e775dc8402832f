from __future__ import annotations

import dataclasses
import errno
import os

import pytest
from visiontrain_harness.processes import alive
from visiontrain_harness.runs import command

from visiontrain.errors import (
    DeviceError,
    InputError,
    PluginError,
    ProtocolError,
    RunFailedError,
    SpecError,
    WorkerCrashedError,
)
from visiontrain.protocol.messages import ErrorInfo
from visiontrain.runners.connection import WorkerConnection, remote_error


def test_questions_and_answers(tmp_path):
    with WorkerConnection(command(tmp_path, "base:Steady")) as worker:
        described = worker.initialize()
        assert described.versions["defects"] == "1.0"
        assert worker.request("models") == [{"name": "defect", "tasks": ["classify"], "pretrained": []}]
        assert worker.request("ping") is None
    assert not alive(described.pid)


def test_an_error_leaves_the_connection_usable(tmp_path):
    with WorkerConnection(command(tmp_path, "base:Steady")) as worker:
        with pytest.raises(ProtocolError, match="the first request must be initialize"):
            worker.request("models")
        worker.initialize()
        with pytest.raises(ProtocolError, match="no method"):
            worker.request("divide")
        assert worker.request("models")


@pytest.mark.parametrize(
    ("trainer", "error", "words"),
    [
        ("raises:InDescribe", RunFailedError, "ImportError: no framework here"),
        ("dies:InDescribe", WorkerCrashedError, "exit code 4"),
        ("base:Missing", PluginError, "no class Missing"),
    ],
)
def test_a_worker_that_fails(tmp_path, trainer, error, words):
    with pytest.raises(error, match=words) as caught, WorkerConnection(command(tmp_path, trainer)) as worker:
        worker.initialize()
    if error is WorkerCrashedError:
        assert "last words" in caught.value.log_tail


@pytest.mark.parametrize("missing", ["socket.socketpair", "tempfile.mkdtemp", "subprocess.Popen"])
def test_one_that_can_not_be_started(tmp_path, monkeypatch, missing):
    def refuse(*_, **__):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    asked = command(tmp_path, "base:Steady")
    monkeypatch.setattr(missing, refuse)
    with (
        pytest.raises(WorkerCrashedError, match=r"the worker could not be started: .*Too many open files"),
        WorkerConnection(asked),
    ):
        pass


def test_one_that_does_not_answer_in_time(tmp_path):
    asked = dataclasses.replace(command(tmp_path, "base:Steady"), argv=("/bin/sleep", "600"))
    with (
        pytest.raises(WorkerCrashedError, match=r"no answer within 0\.2 s"),
        WorkerConnection(asked, timeout=0.2) as worker,
    ):
        worker.initialize()


def test_one_that_does_not_end_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr("visiontrain.runners.connection.SHUTDOWN", 0.2)
    with WorkerConnection(command(tmp_path, "will_not_stop:Lingers")) as worker:
        pid = worker.initialize().pid
        worker.request("models")
    assert not alive(pid)


def test_a_program_that_is_not_there(tmp_path):
    asked = dataclasses.replace(command(tmp_path, "base:Steady"), argv=(str(tmp_path / "none"),))
    with pytest.raises(WorkerCrashedError, match="could not be started"), WorkerConnection(asked) as worker:
        worker.initialize()


def test_outside_its_with_statement_it_is_of_no_use(tmp_path):
    with pytest.raises(ProtocolError, match="outside its with statement"):
        WorkerConnection(command(tmp_path, "base:Steady")).initialize()


class TestRemoteError:
    @pytest.mark.parametrize("cls", [DeviceError, PluginError])
    def test_errors_of_ours_are_themselves(self, cls):
        made = remote_error(ErrorInfo(1, "reason", cls.__name__, "Do this."), run_id="r")
        assert type(made) is cls
        assert (made.reason, made.instruction) == ("reason", "Do this.")
        assert str(made) == "reason\nDo this."

    def test_a_spec_error_knows_its_field(self):
        made = remote_error(ErrorInfo(1, "image_size: must be more", "SpecError", "Do this."))
        assert isinstance(made, SpecError)
        assert (made.field, str(made)) == ("image_size", "image_size: must be more\nDo this.")

    def test_any_other_is_a_failed_run_with_the_traceback(self):
        made = remote_error(ErrorInfo(1, "m", "torch.OutOfMemoryError", None, "Traceback..."), run_id="r")
        assert isinstance(made, RunFailedError)
        assert (made.reason, made.remote_traceback, made.run_id) == ("torch.OutOfMemoryError: m", "Traceback...", "r")

    def test_one_without_a_message_is_its_class(self):
        assert remote_error(ErrorInfo(1, "", "MemoryError")).reason == "MemoryError"

    def test_a_failure_shows_the_log_too(self):
        made = remote_error(ErrorInfo(1, "m", "ValueError", None, "Traceback...", "last words"))
        assert (made.remote_traceback, made.log_tail) == ("Traceback...", "last words")

    def test_a_crash_shows_the_log(self):
        made = remote_error(ErrorInfo(0, "killed", "WorkerCrashedError", log_tail="last words"), run_id="r")
        assert isinstance(made, WorkerCrashedError)
        assert (made.reason, made.log_tail) == ("killed", "last words")

    @pytest.mark.parametrize("name", ["annotations", "InputErrors", "__name__", "os.system"])
    def test_a_name_that_is_no_error_of_ours_makes_none(self, name):
        assert not isinstance(remote_error(ErrorInfo(1, "m", name)), InputError)
