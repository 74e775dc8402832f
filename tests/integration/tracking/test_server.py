"""Nothing is lost where a server is down, slow, or refuses; and no password is kept."""

from __future__ import annotations

import base64
import contextlib
import http.client
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from visiontrain_harness.processes import until

from visiontrain.errors import TrackingError
from visiontrain.protocol.events import MetricsEvent
from visiontrain.rundir.events import EVENTS, read_events


class Proxy:
    """Stands before a real server: lets it be slow, asks for a password, counts what comes."""

    def __init__(self, behind, *, delay=0.0, password=None):
        self.requests = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def handle_any(self):
                proxy.requests.append(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                time.sleep(proxy.delay)
                given = self.headers.get("Authorization")
                if proxy.password and given != "Basic " + base64.b64encode(proxy.password.encode()).decode():
                    self.answer(401, b"You are not authenticated.")
                    return
                connection = http.client.HTTPConnection("127.0.0.1", behind, timeout=60)
                headers = {name: value for name, value in self.headers.items() if name != "Host"}
                connection.request(self.command, self.path, body, headers)
                answer = connection.getresponse()
                self.answer(answer.status, answer.read())
                connection.close()

            def answer(self, status, body):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - as the base class calls them

        self.delay, self.password = delay, password
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def proxy():
    made = []

    def start(behind, **how):
        made.append(Proxy(behind, **how))
        return made[-1]

    yield start
    for each in made:
        each.close()


def command_of(process):
    with contextlib.suppress(OSError):  # it has ended
        return (process / "cmdline").read_bytes()
    return b""


def expected(run, name):
    """Points of a metric as the run's own record has them."""
    events = [event for event in read_events(run.run_dir / EVENTS) if isinstance(event, MetricsEvent)]
    return [[event.step, repr(event.values[name]), round(event.time * 1000)] for event in events]


def test_a_server_that_is_killed_in_the_middle_of_a_run_and_started_again_has_all_of_it(tracked, port):
    server = tracked.serve(port)
    address = f"http://127.0.0.1:{port}"
    handle = tracked.start(epochs=60, steps=2, pause=0.2, tracking=address)
    run = handle.run
    until(lambda: (tracked.state(run).reached or {}).get("accuracy", 0) >= 6, "some was sent", within=120)
    tracked.kill(server)
    done = len(run.history)
    until(lambda: tracked.state(run).error is not None, "the failure is told", within=120)
    until(lambda: len(run.history) >= done + 5, "the training goes on all the while")
    tracked.serve(port)
    handle.wait(timeout=120)
    tracked.until_sent(run)
    found = tracked.read(address)[run.run_id]
    for name in ("accuracy", "train_loss"):
        assert found["points"][name] == expected(run, name)
    assert len(found["points"]["accuracy"]) == 60
    assert (found["status"], tracked.state(run).error) == ("FINISHED", None)
    assert run.tracking.url.startswith(address)


def test_a_server_that_takes_ten_seconds_to_answer_has_all_of_it_and_the_training_waits_for_none(tracked, port, proxy):
    tracked.serve(port)
    slow = proxy(port, delay=10.0)
    began = time.monotonic()
    run = tracked.train(epochs=3, tracking=slow.address)
    took = time.monotonic() - began
    assert run.status == "completed"
    assert len(slow.requests) <= took / 10 + 1, "the training has waited"
    assert not tracked.state(run).reached
    until(lambda: len(slow.requests) > 3, "three slow answers were waited for", within=120)
    assert tracked.state(run).error is None
    slow.delay = 0.0  # the others sooner: nothing else would be seen
    tracked.until_sent(run)
    found = tracked.read(f"http://127.0.0.1:{port}")[run.run_id]
    assert found["points"]["accuracy"] == expected(run, "accuracy")


def test_a_wrong_password_is_told_and_kept_nowhere_and_the_right_one_sends_what_was_missed(
    tracked, port, proxy, monkeypatch
):
    tracked.serve(port)
    guarded = proxy(port, password="ann:right-and-secret")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", guarded.address)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ann")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong-and-secret")
    run = tracked.train(epochs=2)
    assert run.status == "completed"
    until(lambda: tracked.state(run).error is not None, "the refusal is told", within=120)
    commands = b"".join(map(command_of, Path("/proc").glob("[0-9]*")))
    assert run.run_id.encode() in commands, "the process that sends the run is there"
    assert "401" in run.tracking.error
    assert "MLFLOW_TRACKING_PASSWORD" in run.tracking.instruction
    with pytest.raises(TrackingError, match="401"):
        # The process of the run itself still tries; this one does so when that lets go.
        tracked.session.sync(run.run_id, progress=False)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "right-and-secret")
    (sent,) = tracked.session.sync(progress=False)
    assert (sent.run_id, run.tracking.complete, run.tracking.error) == (run.run_id, True, None)
    found = tracked.read(f"http://127.0.0.1:{port}")[run.run_id]
    assert found["points"]["accuracy"] == expected(run, "accuracy")
    kept = b"".join(
        path.read_bytes() for path in tracked.home.rglob("*") if path.is_file() and "mlflow" not in str(path)
    )
    assert b"and-secret" not in kept + commands


def test_a_password_in_the_address_is_not_kept_and_needed_again(tracked, port, proxy, monkeypatch):
    tracked.serve(port)
    guarded = proxy(port, password="ann:right-and-secret")
    whole = guarded.address.replace("://", "://ann:right-and-secret@")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", whole)
    run = tracked.train(epochs=1)
    tracked.until_sent(run)
    assert run.tracking.uri == guarded.address.replace("://", "://ann:***@")
    assert "secret" not in (run.run_dir / "tracking.json").read_text() + (run.run_dir / "run.json").read_text()
    with pytest.raises(Exception, match="must not hold a password"):
        tracked.train(epochs=1, tracking=whole)


def test_what_an_earlier_run_has_left_is_sent_by_the_next_one(tracked, port):
    address = f"http://127.0.0.1:{port}"
    first = tracked.train(epochs=1, tracking=address)
    until(lambda: tracked.state(first).error is not None, "the failure is told", within=120)
    tracked.end_follower(first)
    tracked.serve(port)
    second = tracked.train(epochs=1, tracking=address)
    tracked.until_sent(second)
    tracked.until_sent(first)
    assert {first.run_id, second.run_id} == set(tracked.read(address))


def test_a_server_that_never_comes_back_keeps_no_run_of_another_from_being_sent(tracked, port):
    address = f"http://127.0.0.1:{port}"
    for uri in ("http://127.0.0.1:9", address):
        run = tracked.train(epochs=1, tracking=uri)
        until(lambda: tracked.state(run).error is not None, "the failure is told", within=120)  # noqa: B023 - at once
        tracked.end_follower(run)
    tracked.serve(port)
    with pytest.raises(TrackingError, match=r"1 of 2 runs were sent.*127\.0\.0\.1:9 can't be reached") as caught:
        tracked.session.sync(progress=False)
    assert "whether the server runs" in caught.value.instruction
    assert set(tracked.read(address)) == {run.run_id}


def test_a_process_that_dies_between_sending_and_keeping_that_it_has_sent_sends_no_point_twice(tracked, port):
    tracked.serve(port)
    address = f"http://127.0.0.1:{port}"
    run = tracked.train(epochs=5, tracking=address)
    tracked.until_sent(run)
    # What is on disk then: the cursor before the piece, and word that the piece may be there.
    state = tracked.state(run)
    tracked.set_state(run, offset=0, samples=0, reached={}, again={}, tracked=None, status=None, uncertain=True)
    tracked.session.sync(run.run_id, progress=False)
    (found,) = tracked.read(address).values()
    assert found["id"] == state.tracked
    for name in ("accuracy", "train_loss"):
        assert found["points"][name] == expected(run, name)


def test_a_run_that_was_deleted_there_is_left_alone_until_it_is_asked_for_by_name(tracked, port):
    tracked.serve(port)
    address = f"http://127.0.0.1:{port}"
    run = tracked.train(epochs=1, tracking=address)
    tracked.until_sent(run)
    tracked.client(address, f"client.delete_run({run.tracking.id!r})")
    tracked.session.resume(run.run_id, epochs=2).wait(timeout=60)
    until(lambda: tracked.state(run).gone, "it is seen to be gone", within=120)
    assert tracked.read(address) == {}
    tracked.until_let_go(run)
    tracked.session.sync(run.run_id, progress=False)
    assert [step for step, *_ in tracked.read(address)[run.run_id]["points"]["accuracy"]] == [3, 6]


def test_a_run_that_was_deleted_after_all_of_it_was_there_is_sent_anew_when_it_is_asked_for_by_name(tracked, port):
    tracked.serve(port)
    address = f"http://127.0.0.1:{port}"
    run = tracked.train(epochs=2, tracking=address)
    tracked.until_sent(run)
    tracked.client(address, f"client.delete_run({run.tracking.id!r})")
    assert tracked.session.sync(progress=False) == []
    assert tracked.read(address) == {}
    (sent,) = tracked.session.sync(run.run_id, progress=False)
    (found,) = tracked.read(address).values()
    assert sent.url.endswith(found["id"])
    assert found["points"]["accuracy"] == expected(run, "accuracy")
    assert "report.html" in found["files"]
    tracked.session.sync(run.run_id, progress=False)
    assert [each["id"] for each in tracked.read(address).values()] == [found["id"]]
