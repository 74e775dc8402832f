from __future__ import annotations

import errno
import fcntl
import os
import threading
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest
from visiontrain_harness.runs import record

from visiontrain.errors import UnknownRunError
from visiontrain.rundir.directory import RunDirectories, is_being_worked_on, read_current_record
from visiontrain.supervisor.record import write_record


@pytest.fixture
def directories(tmp_path):
    return RunDirectories(tmp_path / "runs")


@pytest.fixture
def add(directories):
    """Makes a run with an id of its own choice."""

    def add(run_id, **fields):
        path = directories.root / run_id
        path.mkdir(parents=True)
        write_record(path / "run.json", record(run_id, **{"status": "completed", **fields}))
        return path

    return add


@pytest.fixture
def lock():
    """Holds a run's lock, as its supervisor does."""
    held = []

    def lock(path):
        file = (path / "lock").open("w")
        fcntl.flock(file, fcntl.LOCK_EX)
        held.append(file)

    yield lock
    for file in held:
        file.close()


class TestCreate:
    def test_threads_get_different_folders(self, directories):
        made = []
        threads = [threading.Thread(target=lambda: made.append(directories.create())) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({run_id for run_id, _ in made}) == 20
        assert all(path.is_dir() and path.name == run_id for run_id, path in made)

    def test_runs_of_one_moment_get_different_folders(self, directories, monkeypatch):
        moments = iter([datetime(2026, 1, 1, tzinfo=timezone.utc).replace(microsecond=n) for n in (0, 0, 0, 999_999)])
        monkeypatch.setattr("visiontrain.rundir.directory.datetime", SimpleNamespace(now=lambda _: next(moments)))
        made = [directories.create()[0] for _ in range(2)]
        assert made == ["20260101-000000-0000", "20260101-000000-ffff"]

    def test_the_last_of_one_second_is_the_newest(self, directories):
        made = [directories.create()[0] for _ in range(20)]
        assert made == sorted(made)

    def test_a_folder_without_a_record_is_no_run(self, directories):
        directories.create()
        assert list(directories.paths()) == []


class TestFind:
    def test_by_id_prefix_and_name(self, directories, add):
        first = add("20260101-000000-aaaa", name="first try")
        second = add("20260102-000000-bbbb", name="second")
        assert directories.find("20260101-000000-aaaa") == first
        assert directories.find("20260102") == second
        assert directories.find("first try") == first

    def test_an_id_that_is_the_prefix_of_another_is_itself(self, directories, add):
        add("20260101-000000-aaaab")
        exact = add("20260101-000000-aaaa")
        assert directories.find("20260101-000000-aaaa") == exact

    @pytest.mark.parametrize("reference", ["2026", "same"])
    def test_several_are_listed(self, directories, add, reference):
        add("20260101-000000-aaaa", name="same")
        add("20260102-000000-bbbb", name="same")
        with pytest.raises(UnknownRunError, match="2 runs answer to") as caught:
            directories.find(reference)
        assert "20260102-000000-bbbb, 20260101-000000-aaaa" in caught.value.reason
        assert caught.value.instruction

    @pytest.mark.parametrize("reference", ["", "nothing", "..", "../runs", "20260101-000000-aaaa/", "/"])
    def test_none_is_told_with_what_to_do(self, directories, add, reference):
        add("20260101-000000-aaaa")
        with pytest.raises(UnknownRunError, match="no run answers to") as caught:
            directories.find(reference)
        assert "visiontrain runs" in caught.value.instruction

    def test_last_is_the_newest(self, directories, add):
        newest = add("20260101-000000-ffff")
        add("20260101-000000-aaaa")
        assert directories.find("last") == newest

    def test_last_where_there_is_none(self, directories):
        with pytest.raises(UnknownRunError, match="there is no run yet"):
            directories.find("last")

    @pytest.mark.parametrize("damage", [b"", b"{}", b'{"run_id":', b"\xff"])
    def test_a_damaged_record_is_in_nobodys_way(self, directories, add, damage):
        good = add("20260101-000000-aaaa", name="good")
        bad = add("20260102-000000-bbbb")
        (bad / "run.json").write_bytes(damage)
        assert directories.find("good") == good
        assert directories.find("last") == good
        with pytest.raises(UnknownRunError, match="can't be read"):
            read_current_record(directories.find("20260102"))

    def test_a_folder_that_the_disk_does_not_give_is_in_nobodys_way(self, directories, add, monkeypatch):
        good = add("20260101-000000-aaaa")
        bad = add("20260102-000000-bbbb")
        is_file = Path.is_file

        def fail(path):
            if path.parent == bad:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return is_file(path)

        monkeypatch.setattr(Path, "is_file", fail)
        assert list(directories.paths()) == [bad, good]


class TestStatus:
    def test_running_means_that_the_lock_is_held(self, add, lock):
        path = add("r", status="running", supervisor_pid=1)
        assert not is_being_worked_on(path)
        interrupted = read_current_record(path)
        assert interrupted.status == "interrupted"
        assert interrupted.supervisor_pid is None
        assert interrupted.reason
        lock(path)
        assert is_being_worked_on(path)
        assert read_current_record(path).status == "running"

    @pytest.mark.parametrize("status", ["completed", "failed", "stopped", "interrupted"])
    def test_what_has_ended_stays_as_it_is(self, add, status):
        assert read_current_record(add("r", status=status)).status == status

    def test_pending_is_no_more_than_that_either(self, add):
        assert read_current_record(add("r", status="pending")).status == "interrupted"

    def test_a_run_that_is_taken_up_between_two_looks_is_not_interrupted(self, add, lock, monkeypatch):
        path = add("r", status="stopped")
        looks = []

        def look(run_dir):
            looks.append(is_being_worked_on(run_dir))
            if len(looks) == 1:  # now its supervisor comes
                lock(path)
                write_record(path / "run.json", record("r", status="running"))
            return looks[-1]

        monkeypatch.setattr("visiontrain.rundir.directory.is_being_worked_on", look)
        assert read_current_record(path).status == "running"

    def test_asking_holds_up_no_supervisor(self, add, lock):
        path = add("r")
        (path / "lock").touch()
        for _ in range(10):
            is_being_worked_on(path)
        lock(path)
