"""The store of environments on a disk that refuses: at every write, in every way."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from visiontrain_harness.faults import HOWS, every_fault

from visiontrain.environment import adoption, builder, store
from visiontrain.environment.files import write_whole
from visiontrain.environment.pointer import read_pointer
from visiontrain.environment.store import EnvironmentStore
from visiontrain.environment.uv import Uv
from visiontrain.errors import EnvironmentBuildError

#: What a disk's refusal may leave beside generations: it goes with the next build.
LEFTOVERS = (".building-*", ".trash-*")


class InstantUv(Uv):
    """Makes virtualenvs of nothing but a link to this interpreter, in this process, so that each write can fail."""

    def __init__(self) -> None:
        super().__init__(Path(sys.executable))

    def version(self):
        return "uv 1.0"

    def create(self, venv, *, python, on_line):
        (venv / "bin").mkdir(parents=True)
        (venv / "bin" / "python").symlink_to(sys.executable)

    def sync(self, lock, *, python, torch_backend, on_line):
        assert lock.exists()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(builder, "check_imports", lambda *_, **__: "")
    found = store.own()
    monkeypatch.setattr(EnvironmentStore, "_choose", lambda *_: found)
    monkeypatch.setattr(adoption, "check_imports", lambda *_, **__: "")
    monkeypatch.setattr(adoption, "inspect", lambda _: found)
    monkeypatch.setattr(adoption, "installed_versions", lambda *_: {})


def at(root):
    return EnvironmentStore(root / "environments", uv=InstantUv())


def check(root, definition):
    """The next command reads what is there, builds what is not, and leaves nothing of the last one."""
    shop = at(root)
    known = shop.generations()
    assert all(generation.python.exists() for generation in known)
    generation = shop.ensure(definition)
    assert shop.resolve(definition) == generation
    if generation.locked:
        assert shop.build(definition) == generation
    else:
        shop.build(definition)
    folder = generation.path.parent
    assert [path.name for pattern in LEFTOVERS for path in folder.glob(pattern)] == []
    with shop.hold(generation):
        pass
    return generation


@pytest.mark.parametrize("how", HOWS)
def test_a_build_is_done_or_done_again(how, tmp_path, definition):
    for case in every_fault(how, tmp_path, operation=lambda root: at(root).build(definition)):
        assert case.error is None or isinstance(case.error, EnvironmentBuildError), case
        if case.error is not None:
            assert case.error.instruction
            assert "VISIONTRAIN_HOME" in case.error.instruction
        check(case.root, definition)


@pytest.mark.parametrize("how", HOWS)
def test_an_adoption_is_done_or_done_again(how, tmp_path, definition):
    def adopt(root):
        return at(root).adopt(definition, Path(sys.executable))

    for case in every_fault(how, tmp_path, operation=adopt):
        assert case.error is None or isinstance(case.error, EnvironmentBuildError), case
        check(case.root, definition)
        adopted = adopt(case.root)
        assert (adopted.locked, adopted.pinned) == (False, True)


@pytest.mark.parametrize("how", HOWS)
def test_the_current_generation_is_the_one_before_or_the_new_one(how, tmp_path, definition):
    other = definition.model_copy(update={"imports": ("os",)})
    ids = {}

    def prepare(root):
        shop = at(root)
        ids["new"] = shop.build(other).id
        ids["old"] = shop.build(definition).id

    def use(root):
        at(root).use("tiny", ids["new"])

    for case in every_fault(how, tmp_path, prepare=prepare, operation=use):
        pointer = read_pointer(case.root / "environments" / "tiny")
        assert pointer.generation in ids.values(), case
        assert len(at(case.root).generations()) == 2
        use(case.root)
        assert at(case.root).resolve(definition).id == ids["new"]


@pytest.mark.parametrize("how", HOWS)
def test_a_removal_is_done_or_done_again(how, tmp_path, definition):
    for case in every_fault(
        how,
        tmp_path,
        prepare=lambda root: at(root).build(definition),
        operation=lambda root: at(root).remove("tiny"),
    ):
        assert case.error is None or isinstance(case.error, EnvironmentBuildError), case
        check(case.root, definition)
        assert at(case.root).remove("tiny")
        assert at(case.root).generations() == []


@pytest.mark.parametrize("how", HOWS)
def test_a_stamp_is_the_old_or_the_new_one(how, tmp_path):
    for case in every_fault(
        how,
        tmp_path,
        prepare=lambda root: write_whole(root / "stamp.json", "old"),
        operation=lambda root: write_whole(root / "stamp.json", "new" * 5000),
    ):
        assert (case.root / "stamp.json").read_text() in ("old", "new" * 5000), case
        write_whole(case.root / "stamp.json", "next")
        assert [path.name for path in case.root.iterdir()] == ["stamp.json"]
