from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from visiontrain_harness.processes import alive, until
from visiontrain_harness.worker import Worker

LONG = {"steps": 100_000, "pause": 0.01}


@pytest.fixture
def worker(tmp_path):
    with Worker(tmp_path) as started:
        yield started


def error_of(answer):
    return answer["error"]["code"], answer["error"]["message"]


class TestRequests:
    def test_initialize_train_shutdown(self, worker):
        described = worker.initialize()["result"]
        assert described["protocol"] == 1
        assert described["versions"]["defects"] == "1.0"
        assert described["pid"] == worker.process.pid
        events, answer = worker.train(steps=2)
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        expected = {"status": "completed", "epochs": 1.0, "metrics": {"accuracy": 0.5}, "non_finite": {}}
        assert answer["result"] == expected
        assert (worker.run_dir / "checkpoints").is_dir()
        assert (worker.run_dir / "artifacts").is_dir()
        assert worker.shut_down() == 0

    def test_models(self, worker):
        worker.initialize()
        worker.send("models", number=2)
        assert worker.read()["result"] == [{"name": "defect", "tasks": ["classify"], "pretrained": []}]

    def test_one_run_after_the_other(self, worker):
        worker.initialize()
        for _ in range(2):
            events, answer = worker.train(steps=1)
            assert events[0]["seq"] == 1
            assert answer["result"]["status"] == "completed"

    def test_requests_are_answered_in_their_order(self, worker):
        worker.send("initialize", {"protocol": 1, "trainer": worker.trainer}, number=1)
        for number in range(2, 6):
            worker.send("models", number=number)
        assert [worker.read()["id"] for _ in range(5)] == [1, 2, 3, 4, 5]

    @pytest.mark.parametrize("method", ["models", "train"])
    def test_before_initialize_there_is_no_other(self, worker, method):
        worker.send(method, number=1)
        assert error_of(worker.read()) == (-32600, "the first request must be initialize")
        worker.send("initialize", {"protocol": 1, "trainer": worker.trainer}, number=2)
        assert "result" in worker.read()

    def test_another_version_is_refused_with_what_to_do(self, worker):
        worker.send("initialize", {"protocol": 2, "trainer": worker.trainer}, number=1)
        answer = worker.read()
        assert error_of(answer) == (-32600, "the host speaks protocol 2, this worker 1")
        assert "Upgrade" in answer["error"]["data"]["instruction"]

    def test_an_unknown_method(self, worker):
        worker.initialize()
        worker.send("divide", number=7)
        answer = worker.read()
        assert answer["id"] == 7
        assert error_of(answer) == (-32601, "this worker has no method 'divide'")

    def test_wrong_params_are_named(self, worker):
        worker.initialize()
        worker.send("train", {"run_id": 1}, number=2)
        code, message = error_of(worker.read())
        assert code == -32600
        assert "TrainParams" in message

    @pytest.mark.parametrize(
        "line", [b"\n", b"no json\n", b'{"jsonrpc":"2.0","id":1}\n', b'{"jsonrpc":"2.0","id":2,"x":NaN}\n', b"\xff\n"]
    )
    def test_what_is_no_message_is_answered_and_survived(self, worker, line):
        worker.write(line)
        answer = worker.read()
        assert answer["id"] is None
        assert answer["error"]["code"] == -32700
        assert "result" in worker.initialize()

    @pytest.mark.parametrize("rest", [b'"result":null}', b'"error":{"code":1,"message":"m"}}'])
    def test_an_answer_is_no_message_to_a_worker(self, worker, rest):
        worker.write(b'{"jsonrpc":"2.0","id":5,' + rest + b"\n")
        answer = worker.read()
        assert answer["id"] is None
        assert error_of(answer) == (-32600, "a worker asks for nothing, and was sent an answer (id 5)")
        assert "result" in worker.initialize()

    def test_an_unknown_notification_is_refused(self, worker):
        worker.send("later")
        answer = worker.read()
        assert answer["id"] is None
        assert error_of(answer) == (-32601, "this worker knows no notification 'later'")
        assert "result" in worker.initialize()

    @pytest.mark.parametrize("number", [1, 0, -1])
    def test_an_id_comes_once(self, worker, number):
        worker.initialize()
        worker.send("models", number=number)
        answer = worker.read()
        assert answer["id"] is None  # under the id it would be taken for the answer to the first request
        code, message = error_of(answer)
        assert code == -32600
        assert f"'models' has the id {number}, and 1 was used already: ids count up" in message
        worker.send("models", number=2)
        assert worker.read()["id"] == 2

    def test_initialize_comes_once(self, worker):
        worker.initialize()
        worker.send("initialize", {"protocol": 1, "trainer": worker.trainer}, number=2)
        assert error_of(worker.read()) == (-32600, "this worker is initialized already: initialize comes once")
        _, answer = worker.train(steps=1)
        assert answer["result"]["status"] == "completed"

    def test_initialize_that_failed_may_be_tried_again(self, worker):
        worker.send("initialize", {"protocol": 1, "trainer": "visiontrain_defects.raises:InDescribe"}, number=1)
        assert worker.read()["error"]["data"]["type"] == "ImportError"
        worker.send("models", number=2)
        assert error_of(worker.read()) == (-32600, "the first request must be initialize")
        worker.send("initialize", {"protocol": 1, "trainer": worker.trainer}, number=3)
        assert "result" in worker.read()

    def test_a_line_that_is_too_long_is_answered_before_its_end_and_survived(self, worker):
        worker.write(b"x" * (16 * 2**20 + 2**17))
        answer = worker.read()
        assert answer["id"] is None
        assert error_of(answer) == (-32700, "a line is longer than the 16,777,216 bytes that a message may have")
        worker.write(b"x" * 2**20 + b"\n")
        assert "result" in worker.initialize()

    def test_a_name_of_a_megabyte_is_not_repeated_whole(self, worker):
        worker.initialize()
        worker.send("x" * 2**20, number=2)
        worker.send("y" * 2**20)
        answers = [worker.read(), worker.read()]  # of the reader, and of the main thread
        assert {answer["id"] for answer in answers} == {2, None}
        assert max(len(error_of(answer)[1]) for answer in answers) < 200

    def test_a_trainer_that_is_not_there(self, worker):
        worker.send("initialize", {"protocol": 1, "trainer": "visiontrain_defects.base:Missing"}, number=1)
        answer = worker.read()
        assert answer["error"]["data"]["type"] == "PluginError"
        assert "has no class Missing" in answer["error"]["message"]


class TestWhileBusy:
    def test_a_ping_is_answered(self, worker):
        worker.initialize()
        worker.send("train", training(worker, **LONG), number=2)
        worker.read()
        worker.send("ping", number=3)
        _, answer = worker.until(3)
        assert answer["result"] is None

    def test_a_stop_is_taken(self, worker):
        worker.initialize()
        worker.send("train", training(worker, **LONG), number=2)
        worker.read()
        worker.send("stop")
        events, answer = worker.until(2)
        assert answer["result"]["status"] == "stopped"
        assert events[-1]["type"] == "checkpoint"

    def test_a_second_training_waits_for_its_turn(self, worker):
        worker.initialize()
        worker.send("train", training(worker, steps=20, pause=0.01), number=2)
        worker.send("train", training(worker, steps=1), number=3)
        for number in (2, 3):
            events, answer = worker.until(number)
            assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
            assert answer["result"]["status"] == "completed"

    def test_a_stop_that_comes_early_is_for_the_next_run_alone(self, worker):
        worker.initialize()
        worker.send("stop")
        _, first = worker.train(**LONG)
        assert first["result"]["status"] == "stopped"
        _, second = worker.train(steps=1)
        assert second["result"]["status"] == "completed"

    def test_an_interrupt_ends_the_request_and_not_the_worker(self, worker):
        worker.initialize()
        worker.send("train", training(worker, **LONG), number=2)
        worker.read()
        os.kill(worker.process.pid, signal.SIGINT)
        _, answer = worker.until(2)
        assert answer["error"]["data"]["type"] == "KeyboardInterrupt"
        _, answer = worker.train(steps=1)
        assert answer["result"]["status"] == "completed"

    def test_an_interrupt_between_requests_is_for_nobody(self, worker):
        worker.initialize()
        for number in range(2, 22):
            os.kill(worker.process.pid, signal.SIGINT)
            worker.send("models", number=number)
            answer = worker.read()  # it may have met the request itself; it must not have swallowed it
            assert answer["id"] == number
            assert "result" in answer or answer["error"]["data"]["type"] == "KeyboardInterrupt"

    def test_shutdown_waits_for_the_request_under_way(self, worker):
        worker.initialize()
        worker.send("train", training(worker, steps=5, pause=0.01), number=2)
        worker.send("shutdown", number=3)
        _, answer = worker.until(2)
        assert answer["result"]["status"] == "completed"
        assert worker.read() == {"jsonrpc": "2.0", "id": 3, "result": None}
        assert worker.process.wait() == 0


def training(worker, **options):
    from visiontrain_harness.runs import params

    from visiontrain.protocol.structure import unstructure

    return unstructure(params("run", worker.run_dir, **options))


def test_a_result_that_is_no_number_is_null_and_named(tmp_path):
    with Worker(tmp_path, "says_nonsense:ReturnsNan") as worker:
        worker.initialize()
        _, answer = worker.train()
        expected = {"metrics": {"accuracy": None}, "non_finite": {"accuracy": "NaN"}}
        assert answer["result"] == {"status": "completed", "epochs": 1.0, **expected}
        assert worker.shut_down() == 0


class TestFailures:
    @pytest.mark.parametrize(
        ("trainer", "kind", "words"),
        [
            ("raises:WithCause", "ValueError", "the failure"),
            ("raises:WeightsMissing", "WeightsError", "there are no weights"),
            ("raises:Unprintable", "visiontrain_defects.raises._UnprintableError", "can't be shown"),
            ("says_nonsense:ReturnsObject", "ProtocolError", "not representable as strict JSON"),
        ],
    )
    def test_they_are_answers(self, tmp_path, trainer, kind, words):
        with Worker(tmp_path, trainer) as worker:
            worker.initialize()
            _, answer = worker.train()
            assert answer["error"]["data"]["type"] == kind
            assert words in answer["error"]["message"]
            assert worker.shut_down() == 0

    def test_sys_exit_is_one_of_them(self, tmp_path):
        with Worker(tmp_path, "dies:Trainer") as worker:
            worker.initialize()
            _, answer = worker.train(how="sys.exit")
            assert answer["error"]["data"]["type"] == "SystemExit"
            assert worker.shut_down() == 0

    def test_causes_and_notes_travel(self, tmp_path):
        with Worker(tmp_path, "raises:WithCause") as worker:
            worker.initialize()
            _, answer = worker.train()
            text = answer["error"]["data"]["traceback"]
            assert "KeyError: 'the cause'" in text
            assert ("a note" in text) == hasattr(BaseException, "add_note")

    def test_a_report_that_is_no_json_is_the_trainers_to_handle(self, tmp_path):
        with Worker(tmp_path, "says_nonsense:ReportsObject") as worker:
            worker.initialize()
            events, answer = worker.train()
            assert [event["seq"] for event in events] == [1, 2, 3, 4]
            assert answer["result"]["status"] == "completed"


class TestEnd:
    def test_without_a_host_it_ends_with_its_children(self, tmp_path):
        with Worker(tmp_path, "leaves_children:Trainer") as worker:
            worker.initialize()
            worker.send("train", training(worker, then="go on"), number=2)
            path = worker.run_dir / "artifacts" / "pids"
            pids = [int(pid) for pid in until(lambda: path.exists() and path.read_text().split(), "the children")]
            worker.process.stdin.close()
            assert worker.process.wait() == -signal.SIGKILL
            itself, child, in_session, forked, spawned, orphan = pids
            until(lambda: not any(map(alive, (child, forked, spawned))), "the group ends")
            for pid in (in_session, orphan):  # sessions of their own: their supervisor's to find
                os.kill(pid, signal.SIGKILL)
            assert itself == worker.process.pid

    def test_noise_lands_in_the_log(self, tmp_path):
        with Worker(tmp_path, "noisy:Trainer") as worker:
            worker.initialize()
            events, answer = worker.train()
            assert [event["message"] for event in events] == ["input() met the end"]
            assert answer["result"]["status"] == "completed"
            assert worker.shut_down() == 0
            assert b"printed\n" in worker.log
            assert worker.log.endswith(b"no newline")

    def test_eighty_thousand_events_of_four_threads(self, tmp_path):
        with Worker(tmp_path, "floods:Trainer") as worker:
            worker.initialize()
            events, _ = worker.train(threads=4, each=20_000)
            assert [event["seq"] for event in events] == list(range(1, 80_001))


def test_importing_the_module_starts_nothing():
    code = "import visiontrain.worker.serve, threading; print(threading.active_count())"
    done = subprocess.run([sys.executable, "-c", code], input=b"x\n", capture_output=True, check=True)
    assert done.stdout == b"1\n"
