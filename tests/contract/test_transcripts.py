"""Recorded sessions, replayed against both ends: what one side says is still what the other understands.

A line of a transcript is ``{"from": "host" | "worker", "line": TEXT}``; times, process ids, folders, the interpreter's
version and tracebacks were replaced when it was recorded, and are not compared.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from visiontrain_harness.runs import bare_python

import visiontrain
from visiontrain.protocol.codec import decode, encode
from visiontrain.protocol.messages import Notification, Request, Response
from visiontrain.runners.command import WORKER_BOOTSTRAP
from visiontrain.supervisor.inbox import Inbox, RawEvents

HERE = Path(__file__).parent
TRANSCRIPTS = sorted((HERE / "transcripts").glob("*.jsonl"))
TRAINER = HERE.parent / "docs" / "visiontrain_tiny"

RUNS = "/data/visiontrain/runs"
VARYING = {"time", "monotonic", "pid", "python", "traceback"}


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def comparable(value):
    """Without what is another each time."""
    if isinstance(value, dict):
        return {key: None if key in VARYING else comparable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [comparable(item) for item in value]
    return value


@pytest.fixture(params=TRANSCRIPTS, ids=lambda path: path.stem)
def transcript(request):
    return read(request.param)


def test_a_worker_says_what_it_said(transcript, tmp_path):
    links = tmp_path / "links"
    links.mkdir()
    (links / "visiontrain").symlink_to(Path(visiontrain.__file__).parent)
    (links / "visiontrain_tiny").symlink_to(TRAINER)
    runs = tmp_path / "runs"
    for entry in transcript:
        if f"{RUNS}/" in entry["line"]:
            (runs / entry["line"].partition(f"{RUNS}/")[2][:20]).mkdir(parents=True, exist_ok=True)
    worker = subprocess.Popen(
        [str(bare_python()), "-I", "-X", "utf8", "-c", WORKER_BOOTSTRAP, str(links)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={},
    )
    with worker:
        for entry in transcript:
            if entry["from"] == "host":
                worker.stdin.write(entry["line"].replace(RUNS, str(runs)).encode() + b"\n")
                worker.stdin.flush()
            else:
                said = worker.stdout.readline().decode().replace(str(runs), RUNS)
                assert comparable(json.loads(said)) == comparable(json.loads(entry["line"]))
        assert worker.stdout.read() == b""
        assert worker.wait() == 0


@pytest.mark.parametrize("spelling", [None, {}, {"indent": None, "sort_keys": True}])
def test_a_supervisor_understands_what_a_worker_said(transcript, spelling):
    lines = [entry["line"] for entry in transcript if entry["from"] == "worker"]
    messages = [json.loads(line) for line in lines]
    if spelling is not None:  # another implementation may put spaces between, and fields in another order
        lines = [json.dumps(message, **spelling) for message in messages]
    events = [message["params"] for message in messages if "method" in message]
    reader, writer = os.pipe()
    os.write(writer, "".join(f"{line}\n" for line in lines).encode())
    os.close(writer)
    inbox = Inbox(reader, events[0]["run_id"] if events else "none")
    found = inbox.read()
    os.close(reader)
    taken = [message for message in found if isinstance(message, RawEvents)]
    assert [json.loads(line) for message in taken for line in message.lines.split(b"\n")] == events
    assert all(message.value in (None, json.loads(message.lines.split(b"\n")[0])) for message in taken)
    answers = [message for message in found if isinstance(message, Response)]
    assert [answer.id for answer in answers] == [message["id"] for message in messages if "id" in message]


def test_each_line_is_one_that_this_version_would_write(transcript):
    for entry in transcript:
        try:
            message = json.loads(entry["line"], parse_constant=pytest.fail)
        except (ValueError, pytest.fail.Exception):
            assert entry["from"] == "host"  # wrong on purpose
            continue
        again = decode(entry["line"].encode())
        assert isinstance(again, (Request, Notification) if "method" in message else Response)
        assert encode(again) == entry["line"].encode() + b"\n"


def test_the_sessions_hold_every_kind_of_message():
    lines = [json.loads(entry["line"]) for path in TRANSCRIPTS for entry in read(path) if entry["from"] == "worker"]
    events = {line["params"]["type"] for line in lines if "method" in line}
    assert events == {"artifact", "checkpoint", "log", "metrics", "progress", "resumed"}
    assert {line["error"]["code"] for line in lines if "error" in line} == {-32700, -32600, -32601, -32000}
