"""The store with a uv that installs nothing; tests/integration/test_environments.py has the real one."""

import json
import sys
from pathlib import Path

import pytest

from visiontrain.environments import builder
from visiontrain.environments.definition import Cost, EnvironmentDefinition
from visiontrain.environments.store import EnvironmentStore
from visiontrain.errors import EnvironmentBuildError, InputError, SpecError

HASH = "--hash=sha256:" + "0" * 64


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def store(tmp_path, fake_uv):
    return EnvironmentStore(tmp_path / "environments", uv=fake_uv)


def moved(definition):
    return definition.model_copy(update={"lock": "# moved on\n"})


def names(store, definition):
    return sorted(
        path.name for path in (store._shelf.folder(definition.name)).iterdir() if not path.name.startswith(".")
    )


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


def test_what_a_generation_holds(store, definition, tmp_path):
    built = store.build(definition)
    assert built.path == tmp_path / "environments" / "tiny" / built.id
    assert listing(built.path) == ["in-use.lock", "requirements.lock", "stamp.json", "venv"]
    assert built.lock_path.read_text() == definition.lock
    assert built.python == built.path / "venv" / "bin" / "python"
    stamp = json.loads((built.path / "stamp.json").read_text())
    assert stamp["check_output"] == "checking import of json\n"
    assert listing(built.path.parent) == [".current.lock", ".lock", built.id, "current.json"]


def test_progress_and_cost(store, definition, fake_uv):
    fake_uv.answer("pip sync", stderr="Downloading torch (846.9MiB)\n")
    costly = definition.model_copy(update={"cost": Cost(download="2 GB", disk=10**18)})
    events = []
    store.build(costly, progress=events.append)
    phases = [event.phase for event in events]
    assert phases == ["interpreter", "interpreter", "creating", "downloading", "downloading", "checking", "ready"]
    assert events[0].cost.download_bytes == 2 * 10**9
    assert events[0].cost.packages == 0
    assert events[0].cost.free_bytes > 0
    assert "at most 2.0 GB to download" in events[0].message
    assert [event.warning for event in events] == [False, True, False, False, False, False, False]
    assert (events[4].message, events[4].done, events[4].total) == ("Downloading torch (846.9MiB)", 0, 1)
    events.clear()
    store.build(costly, progress=events.append)
    assert [event.phase for event in events] == ["ready"]


@pytest.mark.parametrize("command", ["venv --relocatable", "pip sync"])
def test_uv_fails(store, definition, fake_uv, command):
    fake_uv.answer(command, code=2, stderr="error: it broke\n")
    if command.startswith("venv"):
        fake_uv.answer("venv --no-project", code=2, stderr="error: it broke\n")
        fake_uv.answer("venv", code=2, stderr="error: it broke\n")
    with pytest.raises(EnvironmentBuildError, match="it broke"):
        store.build(definition)
    assert store.resolve(definition) is None
    assert names(store, definition) == []
    assert not list(store._shelf.folder("tiny").glob(".building-*"))


def test_import_fails(store, definition):
    broken = definition.model_copy(update={"imports": ("json", "no_such_module")})
    with pytest.raises(EnvironmentBuildError, match="the import of no_such_module"):
        store.build(broken)
    assert store.generations() == []


def test_interrupt_leaves_nothing(store, definition):
    def interrupt(event):
        if event.phase == "checking":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.build(definition, progress=interrupt)
    assert listing(store._shelf.folder("tiny")) == [".lock"]


def test_listener_that_is_gone(store, definition):
    def gone(_event):
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        store.build(definition, progress=gone)


def test_leftovers_are_removed_and_never_used(store, definition):
    folder = store._shelf.folder("tiny")
    (folder / ".building-0123" / "venv" / "bin").mkdir(parents=True)
    (folder / ".trash-0123" / "venv").mkdir(parents=True)
    built = store.build(definition)
    assert listing(folder) == [".current.lock", ".lock", built.id, "current.json"]


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


@pytest.mark.parametrize("point", ["flush_file_system", "write_whole", "flush_folder"])
def test_disk_full(store, definition, monkeypatch, point):
    def full(*_args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(builder, point, full)
        with pytest.raises(EnvironmentBuildError, match=r"No space left on device(.|\n)*VISIONTRAIN_HOME"):
            store.build(definition)
    assert not list(store._shelf.folder("tiny").glob(".building-*"))
    assert store.ensure(definition) == store.resolve(definition)


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


def test_adopt(store, definition, fake_uv):
    adopted = store.adopt(definition, Path(sys.executable))
    assert adopted.python == Path(sys.executable)
    assert not adopted.locked
    assert adopted.warnings == ()
    assert (adopted.current, adopted.pinned, adopted.size_bytes) == (True, True, 0)
    assert store.ensure(moved(definition)).id == adopted.id
    assert fake_uv.calls == []
    assert store.build(definition).id != adopted.id
    assert store.resolve(definition).locked


def test_adopt_keeps_the_link_of_a_virtualenv(store, definition, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    assert store.adopt(definition, tmp_path / "bin" / "python").python == tmp_path / "bin" / "python"


def test_adopt_says_what_does_not_fit(store, write_definition):
    lock = f"pydantic==99.1 {HASH}\nno-such-distribution==1 {HASH}\npluggy==1.5 {HASH}\n"
    requirements = ["pydantic>=99", "no-such-distribution", "pluggy", "other; python_version < '3'"]
    definition = EnvironmentDefinition.load(
        write_definition(requires_python=">=3.30", requirements=requirements, lock=lock + f"other==1 {HASH}\n")
    )
    warnings = store.adopt(definition, Path(sys.executable)).warnings
    assert len(warnings) == 3
    assert "is outside of >=3.30" in warnings[0]
    assert warnings[1].startswith("pydantic>=99 is required, ")
    assert warnings[2] == "no-such-distribution is required, and no installed distribution has that name"


def test_adopt_again_checks_again(store, definition):
    first = store.adopt(definition, Path(sys.executable))
    first.catalog_path.write_text("{}")
    with store.hold(first):
        second = store.adopt(definition, Path(sys.executable))
        assert second.id == first.id
        assert second.created > first.created
        assert not second.catalog_path.exists()
        with pytest.raises(InputError, match="in use"):
            store.remove("tiny", first.id)


def test_adopt_what_is_not_healthy(store, definition, tmp_path):
    broken = definition.model_copy(update={"imports": ("no_such_module",)})
    with pytest.raises(EnvironmentBuildError, match="no_such_module"):
        store.adopt(broken, Path(sys.executable))
    with pytest.raises(EnvironmentBuildError, match="can't be run"):
        store.adopt(definition, tmp_path / "missing")
    assert store.generations() == []


def test_torch_backend(store, torch_definition, fake_uv, monkeypatch):
    derived = f"torch==2.15.0+cpu {HASH}\n"
    fake_uv.answer("pip compile", lock=derived)
    default = store.build(torch_definition)
    assert fake_uv.commands().count("pip compile") == 0
    cpu = store.build(torch_definition, torch_backend="cpu")
    assert cpu.id != default.id
    assert cpu.torch_backend == "cpu"
    assert cpu.lock_path.read_text() == derived
    assert default.lock_path.read_text() == torch_definition.lock
    compile_call = next(call for call in fake_uv.calls if call["arguments"][:2] == ["pip", "compile"])
    sync_call = [call for call in fake_uv.calls if call["arguments"][:2] == ["pip", "sync"]][-1]
    assert "--torch-backend=cpu" in compile_call["arguments"]
    assert "--generate-hashes" in compile_call["arguments"]
    assert "--universal" not in compile_call["arguments"]
    assert compile_call["constraints"].splitlines() == ["torch==2.15.0", 'numpy==2.5.5; python_version >= "3.8"']
    assert "--torch-backend=cpu" in sync_call["arguments"]
    assert "--require-hashes" in sync_call["arguments"]
    monkeypatch.setenv("VISIONTRAIN_TORCH_BACKEND", "cpu")
    assert store.resolve(torch_definition).id == cpu.id
    monkeypatch.delenv("VISIONTRAIN_TORCH_BACKEND")
    assert store.resolve(torch_definition).id == default.id
    with pytest.raises(SpecError):
        store.build(torch_definition, torch_backend="--index-url=evil")


def test_another_interpreter_is_another_generation(store, definition, monkeypatch):
    from visiontrain.environments import interpreter

    first = store.build(definition)
    newer = interpreter.own().model_copy(update={"python_full_version": "3.98.1"})
    monkeypatch.setattr(interpreter, "own", lambda: newer)
    assert store.resolve(definition) is None
    second = store.build(definition)
    assert (second.python_version, second.id != first.id) == ("3.98.1", True)
    assert len(store.generations()) == 2


def test_path_is_searched_once(tmp_path, fake_uv, definition, monkeypatch):
    import visiontrain.environments.store as module
    from visiontrain.environments import interpreter

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
