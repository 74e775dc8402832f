"""The store with a uv that installs nothing; tests/integration/test_environments.py has the real one."""

import json
import sys

import pytest

from visiontrain.environment.store import EnvironmentStore
from visiontrain.errors import EnvironmentBuildError, InputError


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


def moved(definition):
    return definition.model_copy(update={"lock": "# moved on\n"})


def test_resolve_before_and_after_build(store, definition, fake_uv):
    assert store.resolve(definition) is None
    assert store.generations() == []
    built = store.build(definition)
    assert store.resolve(definition) == built
    assert store.ensure(definition) == built
    assert store.generations() == [built]
    assert built.current
    assert not built.pinned
    assert not built.stale
    assert fake_uv.commands().count("pip sync") == 1


@pytest.mark.parametrize("damage", ["stamp", "interpreter"])
def test_damaged_generation_is_built_anew(store, definition, damage):
    built = store.build(definition)
    (built.path / "old").touch()
    if damage == "stamp":
        (built.path / "stamp.json").write_text("{")
    else:
        built.python.unlink()
    assert store.resolve(definition) is None
    assert store.generations() == []
    again = store.ensure(definition)
    assert again.id == built.id
    assert not (again.path / "old").exists()


def test_a_lock_that_moved_is_a_new_generation(store, definition):
    first = store.build(definition)
    second = store.ensure(moved(definition))
    assert first.id != second.id
    assert [(generation.id, generation.current) for generation in store.generations("tiny")] == [
        (second.id, True),
        (first.id, False),
    ]
    assert store.resolve(definition).id == first.id
    assert store.ensure(definition).current
    assert [generation.id for generation in store.generations() if generation.current] == [first.id]


def test_use_pins_and_build_unpins(store, definition):
    first = store.build(definition)
    second = store.build(moved(definition))
    pinned = store.use("tiny", first.id[:6])
    assert (pinned.id, pinned.pinned, pinned.current) == (first.id, True, True)
    found = store.ensure(moved(definition))
    assert (found.id, found.pinned, found.stale) == (first.id, True, True)
    assert store.resolve(definition).stale is False
    assert store.build(moved(definition)).id == second.id
    assert store.resolve(moved(definition)).pinned is False


def test_a_named_generation(store, definition):
    first = store.build(definition)
    store.build(moved(definition))
    found = store.ensure(moved(definition), generation=first.id[:8])
    assert (found.id, found.stale, found.current) == (first.id, True, False)


@pytest.mark.parametrize("generation", ["ffff", "", "..", "../tiny", "x"])
def test_no_such_generation(store, definition, generation):
    built = store.build(definition)
    if built.id.startswith(generation or "x"):
        pytest.fail("the test needs another prefix")
    for call in (
        lambda: store.resolve(definition, generation=generation),
        lambda: store.use("tiny", generation),
        lambda: store.remove("tiny", generation),
    ):
        with pytest.raises(InputError, match="is not a generation") as error:
            call()
        assert built.id in str(error.value)


def test_a_prefix_of_several(store, definition):
    built = store.build(definition)
    built.path.with_name(built.id[:4] + "0" * 12).mkdir()
    with pytest.raises(InputError, match="names several generations"):
        store.use("tiny", built.id[:4])


@pytest.mark.parametrize("name", ["../tiny", "", "Tiny", "a/b", ".lock"])
def test_names_are_checked(store, name):
    for call in (store.generations, store.remove, lambda name: store.use(name, "0")):
        with pytest.raises(InputError, match="is not an environment's name"):
            call(name)


def test_pinned_and_damaged_is_an_error(store, definition):
    built = store.build(definition)
    store.use("tiny", built.id)
    (built.path / "stamp.json").unlink()
    with pytest.raises(EnvironmentBuildError, match="damaged"):
        store.ensure(moved(definition))
    assert store.build(moved(definition)).current


def test_remove(store, definition):
    first = store.build(definition)
    second = store.build(moved(definition))
    assert store.remove("tiny", second.id) == (second.id,)
    assert [generation.id for generation in store.generations()] == [first.id]
    assert store.resolve(moved(definition)) is None
    assert store.remove("tiny") == (first.id,)
    assert listing(store._shelf.folder("tiny")) == [".current.lock", ".lock"]
    with pytest.raises(InputError, match="no generation"):
        store.remove("tiny")


def test_one_in_use_is_not_removed(store, definition):
    first = store.build(definition)
    second = store.build(moved(definition))
    with store.hold(first):
        with pytest.raises(InputError, match=f"{first.id} of environment tiny is in use"):
            store.remove("tiny")
        assert len(store.generations("tiny")) == 2
        store.remove("tiny", second.id)
    store.remove("tiny", first.id)
    with pytest.raises(EnvironmentBuildError, match="removed meanwhile"):
        store.hold(first)


def test_a_damaged_one_can_be_removed(store, definition):
    built = store.build(definition)
    for name in ("stamp.json", "in-use.lock"):
        (built.path / name).unlink()
    store.remove("tiny", built.id)
    assert not built.path.exists()


def test_read_only_store(store, definition):
    built = store.build(definition)
    store.build(moved(definition))
    folder = store._shelf.folder("tiny")
    (folder / ".current.lock").unlink()
    (folder / ".current.lock").mkdir()  # stands for a folder that can't be written to; root may write anywhere
    found = store.ensure(definition)
    assert (found.id, found.current) == (built.id, False)
    with store.hold(found):
        pass


def test_another_interpreter_is_another_generation(store, definition, monkeypatch):
    from visiontrain.environment import interpreter

    first = store.build(definition)
    newer = interpreter.own().model_copy(update={"python_full_version": "3.98.1"})
    monkeypatch.setattr(interpreter, "own", lambda: newer)
    assert store.resolve(definition) is None
    second = store.build(definition)
    assert (second.python_version, second.id != first.id) == ("3.98.1", True)
    assert len(store.generations()) == 2


def test_path_is_searched_once(tmp_path, fake_uv, definition, monkeypatch):
    import visiontrain.environment.store as module
    from visiontrain.environment import interpreter

    real = interpreter.own()
    older = real.model_copy(update={"python_full_version": "3.9.1"})
    monkeypatch.setattr(interpreter, "own", lambda: older)
    monkeypatch.setattr(module, "own", lambda: older)
    entry = {"implementation": "cpython", "version": real.python_full_version, "path": sys.executable}
    fake_uv.answer("python list", stdout=json.dumps([entry]))
    store = EnvironmentStore(tmp_path / "environments", uv=fake_uv)
    built = store.ensure(definition)
    before = fake_uv.commands().count("python list")
    assert store.ensure(definition).id == built.id
    assert fake_uv.commands().count("python list") == before
