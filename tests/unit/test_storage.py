from __future__ import annotations

import errno
import fcntl
import os

import pytest

from visiontrain.errors import StorageError
from visiontrain.storage import advice, explained, flock

NO_LOCKS = [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EIO]


@pytest.fixture
def file(tmp_path):
    with (tmp_path / "lock").open("w") as file:
        yield file


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (errno.ENOSPC, "Free some space"),
        (errno.EDQUOT, "Free some space"),
        (errno.EFBIG, "ulimit -f"),
        (errno.EROFS, "a folder that you can write to"),
        (errno.EACCES, "a folder that you can write to"),
        (errno.EIO, "the system's log"),
        (errno.ENOTDIR, None),
    ],
)
def test_advice_follows_the_error(code, hint):
    given = advice(OSError(code, "why"))
    assert (given is None) == (hint is None)
    assert hint is None or hint in given


def test_an_error_of_the_disk_is_told_with_its_file_and_what_to_do(tmp_path):
    with pytest.raises(StorageError) as caught, explained("it can't be kept"):
        (tmp_path / "no such folder" / "file").write_text("")
    assert caught.value.reason == f"it can't be kept: No such file or directory: {tmp_path}/no such folder/file"
    assert caught.value.instruction
    assert isinstance(caught.value.__cause__, FileNotFoundError)


def test_other_errors_pass():
    with pytest.raises(ValueError, match="other"), explained("it can't be kept"):
        raise ValueError("other")


@pytest.mark.parametrize("operation", [fcntl.LOCK_EX | fcntl.LOCK_NB, fcntl.LOCK_EX, fcntl.LOCK_SH | fcntl.LOCK_NB])
@pytest.mark.parametrize("code", NO_LOCKS, ids=errno.errorcode.get)
def test_a_file_system_without_locks_is_told(file, tmp_path, monkeypatch, code, operation):
    def refuse(_descriptor, _operation):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("visiontrain.storage.fcntl.flock", refuse)
    with pytest.raises(StorageError, match=f"can't be locked: {os.strerror(code)}") as caught:
        flock(file.fileno(), operation, tmp_path / "lock")
    assert "VISIONTRAIN_HOME to a folder on a local disk" in caught.value.instruction
    assert str(tmp_path / "lock") in caught.value.reason


def test_a_lock_that_another_holds_is_no_error(file, tmp_path):
    with (tmp_path / "lock").open() as other:
        assert flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB, tmp_path / "lock")
        assert not flock(other.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB, tmp_path / "lock")
