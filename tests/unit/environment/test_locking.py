import os
import subprocess
import sys

import pytest

import visiontrain.environment.locking as module
from visiontrain.environment.locking import UseLock, exclusive
from visiontrain.errors import EnvironmentBuildError


def test_exclusive_waits_and_says_for_whom(tmp_path):
    path = tmp_path / "lock"
    code = (
        "import sys\nfrom pathlib import Path\nfrom visiontrain.environment.locking import exclusive\n"
        "with exclusive(Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout.readline() == "held\n"
        waited_for = []

        def on_wait(who):
            waited_for.append(who)
            holder.kill()  # a killed holder frees the lock

        with exclusive(path, on_wait=on_wait):
            assert path.read_text() == f"process {os.getpid()}"
    assert waited_for == [f"process {holder.pid}"]


def test_exclusive_does_not_wait_for_itself(tmp_path):
    waited = []
    for _ in range(3):
        with exclusive(tmp_path / "lock", on_wait=waited.append):
            pass
    assert waited == []


def test_many_use_and_none_removes(tmp_path):
    path = tmp_path / "in-use.lock"
    path.touch()
    with UseLock(path, shared=True), UseLock(path, shared=True), pytest.raises(BlockingIOError):
        UseLock(path, shared=False)
    with UseLock(path, shared=False):
        pass


def test_a_child_keeps_what_it_inherited(tmp_path):
    path = tmp_path / "in-use.lock"
    path.touch()
    with UseLock(path, shared=True) as lock:
        child = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, pass_fds=[lock.fileno()]
        )
    with child:
        with pytest.raises(BlockingIOError):
            UseLock(path, shared=False)
        child.stdin.close()
        child.wait()
        UseLock(path, shared=False).close()


def test_removed_while_the_lock_was_taken(tmp_path, monkeypatch):
    path = tmp_path / "in-use.lock"
    path.touch()
    flock = module.fcntl.flock

    def replaced(descriptor, mode):
        path.unlink()
        path.touch()
        flock(descriptor, mode)

    monkeypatch.setattr(module.fcntl, "flock", replaced)
    with pytest.raises(FileNotFoundError):
        UseLock(path, shared=True)


def test_closing_twice_is_harmless(tmp_path):
    path = tmp_path / "in-use.lock"
    path.touch()
    lock = UseLock(path, shared=True)
    lock.close()
    lock.close()


def test_file_system_without_locks(tmp_path, monkeypatch):
    def flock(_descriptor, _mode):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("visiontrain.storage.fcntl.flock", flock)
    with pytest.raises(EnvironmentBuildError, match="VISIONTRAIN_HOME"), exclusive(tmp_path / "lock"):
        pass
