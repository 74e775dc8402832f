from __future__ import annotations

import dataclasses
import threading

import pytest
from visiontrain_harness.runs import record

from visiontrain.errors import ProtocolError
from visiontrain.protocol.codec import dumps
from visiontrain.protocol.messages import Cpu, Device, ErrorInfo, InitializeResult
from visiontrain.protocol.structure import unstructure
from visiontrain.supervisor.record import CheckpointRecord, read_record, write_atomically, write_record

FULL = dataclasses.replace(
    record("r", name="a name", status="failed"),
    spec={"epochs": 3, "options": {"x": None}, "data": "/d\udcff"},
    worker=InitializeResult(1, "m:C", {"python": "3.10"}, (Device("cpu"),), Cpu(4, "AVX512", None, ("avx2",)), 7),
    metrics={"accuracy": 0.5, "val_loss": None},
    best=CheckpointRecord("checkpoints/best.pt", 10, 1.0),
    last=CheckpointRecord("checkpoints/last.pt", 15, 1.5, exact=False),
    error=ErrorInfo(1, "m", "T", "i", "t"),
)


def test_a_record_comes_back_as_it_was(tmp_path):
    path = tmp_path / "run.json"
    write_record(path, FULL)
    assert read_record(path) == FULL
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.json"]


def test_fields_of_a_later_version_are_ignored(tmp_path):
    path = tmp_path / "run.json"
    path.write_bytes(dumps({**unstructure(FULL), "later": 1}))
    assert read_record(path) == FULL


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"run_id":1}'])
def test_what_is_no_record_is_told(tmp_path, data):
    (tmp_path / "run.json").write_bytes(data)
    with pytest.raises(ProtocolError):
        read_record(tmp_path / "run.json")


def test_no_record(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_record(tmp_path / "run.json")


def test_a_reader_sees_the_old_or_the_new_one_whole(tmp_path):
    path = tmp_path / "run.json"
    records = [dataclasses.replace(FULL, reason="x" * size) for size in (1, 200_000)]
    write_record(path, records[0])
    over = threading.Event()

    def write():
        for number in range(60):
            write_record(path, records[number % 2])
        over.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not over.is_set():
        assert read_record(path) in records
    writer.join()


def test_threads_that_write_at_once(tmp_path):
    path = tmp_path / "run.json"
    failures = []

    def write(size):
        try:
            for _ in range(20):
                write_atomically(path, b"x" * size)
        except OSError as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(size,)) for size in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.json"]


def test_a_write_that_fails_leaves_the_old_one_and_no_litter(tmp_path):
    path = tmp_path / "run.json"
    write_record(path, FULL)
    with pytest.raises(TypeError):
        write_atomically(path, "no bytes")
    assert read_record(path) == FULL
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.json"]
