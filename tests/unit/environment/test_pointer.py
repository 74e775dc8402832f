import pytest

from visiontrain.environment.pointer import Pointer, forget, point, read_pointer
from visiontrain.errors import EnvironmentBuildError

FIRST, SECOND = "0" * 16, "1" * 16


def test_nothing_is_current(tmp_path):
    assert read_pointer(tmp_path) is None
    assert read_pointer(tmp_path / "missing") is None


def test_point_and_forget(tmp_path):
    point(tmp_path, Pointer(generation=FIRST, pinned=True))
    assert read_pointer(tmp_path) == Pointer(generation=FIRST, pinned=True)
    forget(tmp_path, {SECOND})
    assert read_pointer(tmp_path) is not None
    forget(tmp_path, {FIRST, SECOND})
    assert read_pointer(tmp_path) is None


def test_keep_pinned(tmp_path):
    point(tmp_path, Pointer(generation=FIRST, pinned=False), keep_pinned=True)
    point(tmp_path, Pointer(generation=FIRST, pinned=True), keep_pinned=True)
    point(tmp_path, Pointer(generation=SECOND, pinned=False), keep_pinned=True)
    assert read_pointer(tmp_path) == Pointer(generation=FIRST, pinned=True)
    point(tmp_path, Pointer(generation=SECOND, pinned=False))
    assert read_pointer(tmp_path) == Pointer(generation=SECOND, pinned=False)


@pytest.mark.parametrize("text", ["", "{}", '{"generation": "../../x", "pinned": true}', "[1]"])
def test_damaged(tmp_path, text):
    (tmp_path / "current.json").write_text(text)
    with pytest.raises(EnvironmentBuildError, match="Remove that file"):
        read_pointer(tmp_path)
