"""Building, with a uv that installs nothing."""

import json

import pytest

from visiontrain.environment import builder
from visiontrain.environment.definition import LOCK_FILE, Cost
from visiontrain.errors import EnvironmentBuildError, SpecError

HASH = "--hash=sha256:" + "0" * 64


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


def names(store, definition):
    return sorted(
        path.name for path in (store._shelf.folder(definition.name)).iterdir() if not path.name.startswith(".")
    )


def test_what_a_generation_holds(store, definition, tmp_path):
    built = store.build(definition)
    assert built.path == tmp_path / "environments" / "tiny" / built.id
    assert listing(built.path) == ["in-use.lock", "requirements.lock", "stamp.json", "venv"]
    assert (built.path / LOCK_FILE).read_text() == definition.lock
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


def test_torch_backend(store, torch_definition, fake_uv, monkeypatch):
    derived = f"torch==2.15.0+cpu {HASH}\n"
    fake_uv.answer("pip compile", lock=derived)
    default = store.build(torch_definition)
    assert fake_uv.commands().count("pip compile") == 0
    cpu = store.build(torch_definition, torch_backend="cpu")
    assert cpu.id != default.id
    assert cpu.torch_backend == "cpu"
    assert (cpu.path / LOCK_FILE).read_text() == derived
    assert (default.path / LOCK_FILE).read_text() == torch_definition.lock
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
