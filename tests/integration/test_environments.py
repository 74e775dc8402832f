"""Environments with the real uv, real processes and real signals; the one package comes from a wheel made here."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import random
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from visiontrain.environment import interpreter
from visiontrain.environment.definition import EnvironmentDefinition
from visiontrain.environment.lock import lock_environment
from visiontrain.environment.store import EnvironmentStore
from visiontrain.environment.uv import Uv
from visiontrain.errors import EnvironmentBuildError, InputError

FILES = [".current.lock", ".lock"]

#: Ensures an environment in a process of its own: root, definition's folder, and where to kill itself.
ENSURE = """\
import os, signal, sys
from pathlib import Path
from visiontrain.environment import builder, store
from visiontrain.environment.definition import EnvironmentDefinition

root, folder, moment = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def progress(event):
    print(event.phase, flush=True)
    if event.phase == moment:
        die()

def dying_after(function):
    def call(*args):
        function(*args)
        die()
    return call

if moment == "before-stamp":
    builder.write_whole = die
elif moment == "before-rename":
    builder.write_whole = dying_after(builder.write_whole)
elif moment == "after-rename":
    builder.flush_folder = die
elif moment == "before-pointer":
    store.point = die
print(store.EnvironmentStore(root).ensure(EnvironmentDefinition.load(folder), progress=progress).id)
"""


def make_wheel(folder: Path, name: str, *, tag: str = "py3-none-any", code: str = "ANSWER = 42\n") -> str:
    """Write a wheel with one module and one command; returns its lock line."""
    folder.mkdir(exist_ok=True)
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(text)}\n"
    wheel = folder / f"{name}-1.0-{tag}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in {**files, f"{info}/RECORD": record + f"{info}/RECORD,,\n"}.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


def make_source(folder: Path, name: str, *, backend: str) -> str:
    """Write a source distribution that brings its own build backend; returns its lock line."""
    source = folder / f"{name}-1.0.tar.gz"
    files = {
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": backend,
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
    }
    with tarfile.open(source, "w:gz") as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(f"{name}-1.0/{path}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(source.read_bytes()).hexdigest()}\n"


def write_definition(folder: Path, *, requirements: list[str], imports: list[str], lock: str) -> Path:
    folder.mkdir(exist_ok=True)
    fields = {"name": "tiny", "requires-python": ">=3.10", "requirements": requirements, "imports": imports}
    (folder / "environment.toml").write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in fields.items()))
    (folder / "requirements.lock").write_text(lock)
    return folder


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(folder)): (path.lstat().st_mtime_ns, path.lstat().st_size) for path in folder.rglob("*")
    }


def run_inside(python: Path, code: str) -> str:
    return subprocess.run([python, "-I", "-B", "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def ensure_process(root: Path, folder: Path, moment: str = "never") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", ENSURE, str(root), str(folder), moment]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(autouse=True)
def _index(tmp_path, monkeypatch):
    """No network: packages come from a folder of wheels, the cache is the test's own."""
    for name in list(os.environ):
        if name.startswith("UV_") or name == "VISIONTRAIN_TORCH_BACKEND":
            monkeypatch.delenv(name)
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "wheels"))
    (tmp_path / "wheels").mkdir()


@pytest.fixture
def root(tmp_path):
    return tmp_path / "environments"


@pytest.fixture
def store(root):
    return EnvironmentStore(root)


@pytest.fixture
def folder(tmp_path):
    line = make_wheel(tmp_path / "wheels", "tinypackage", code="ANSWER = 42\n\ndef main(): print(ANSWER)\n")
    return write_definition(
        tmp_path / "definition", requirements=["tinypackage"], imports=["tinypackage:ANSWER"], lock=line
    )


@pytest.fixture
def definition(folder):
    return EnvironmentDefinition.load(folder)


def test_build(store, definition, root):
    assert store.resolve(definition) is None
    events = []
    built = store.ensure(definition, progress=events.append)
    assert store.resolve(definition) == built
    assert run_inside(built.python, "import tinypackage; print(tinypackage.ANSWER)") == "42"
    assert [event.phase for event in events][-2:] == ["checking", "ready"]
    installed = next(event for event in events if event.message.startswith("Installed 1 package"))
    assert (installed.done, installed.total) == (1, 1)
    (module,) = built.path.glob("venv/lib/python3.*/site-packages/tinypackage.py")
    assert list(module.parent.glob("__pycache__/tinypackage.*.pyc"))
    assert module.stat().st_nlink > 1, "not hardlinked from uv's cache"
    assert built.exclusive_bytes < built.size_bytes
    command = built.python.with_name("tinypackage")
    assert subprocess.run([command], check=True, capture_output=True, text=True).stdout == "42\n"
    assert ".building-" not in command.read_text()
    assert sorted(path.name for path in (root / "tiny").iterdir()) == [*FILES, built.id, "current.json"]


def test_no_requirements(store, tmp_path):
    empty = EnvironmentDefinition.load(write_definition(tmp_path / "empty", requirements=[], imports=["json"], lock=""))
    built = store.build(empty)
    code = "import importlib.metadata as m, sys; print(sorted(d.name for d in m.distributions()), sys.prefix)"
    assert run_inside(built.python, code) == f"[] {built.path / 'venv'}"


def test_what_lies_around_has_no_say(store, definition, tmp_path, monkeypatch):
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    (hostile / "uv.toml").write_text('find-links = ["/nowhere"]\nrequire-hashes = "no such setting"\n')
    (hostile / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1"\nrequires-python = "==2.7.*"\n')
    (hostile / "tinypackage.py").write_text("raise SystemExit('the wrong one')")
    (hostile / "json.py").write_text("raise SystemExit('the wrong one')")
    monkeypatch.chdir(hostile)
    monkeypatch.setenv("PYTHONPATH", str(hostile))
    monkeypatch.setenv("VIRTUAL_ENV", str(hostile))
    monkeypatch.setenv("UV_NO_VERIFY_HASHES", "1")
    monkeypatch.setenv("UV_REQUIRE_HASHES", "0")
    assert run_inside(store.build(definition).python, "import tinypackage; print(tinypackage.ANSWER)") == "42"
    with pytest.raises(EnvironmentBuildError, match="Hash mismatch"):
        store.build(definition.model_copy(update={"lock": "tinypackage==1.0 --hash=sha256:" + "0" * 64}))


def test_the_users_own_configuration_of_uv_holds(store, definition, tmp_path, monkeypatch):
    monkeypatch.delenv("UV_FIND_LINKS")
    with pytest.raises(EnvironmentBuildError, match="UV_OFFLINE"):
        store.build(definition)
    (tmp_path / "config" / "uv").mkdir(parents=True)
    (tmp_path / "config" / "uv" / "uv.toml").write_text(f"find-links = [{json.dumps(str(tmp_path / 'wheels'))}]\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert store.build(definition).current


def test_wheel_for_another_platform(store, tmp_path):
    line = make_wheel(tmp_path / "wheels", "elsewhere", tag="cp39-cp39-win_arm64")
    folder = write_definition(tmp_path / "other", requirements=["elsewhere"], imports=[], lock=line)
    with pytest.raises(EnvironmentBuildError) as error:
        store.build(EnvironmentDefinition.load(folder))
    assert "pip sync" in str(error.value)
    assert "elsewhere" in str(error.value)
    assert error.value.instruction
    assert store.generations() == []


def test_a_build_that_fails(store, tmp_path):
    line = make_source(tmp_path / "wheels", "unbuildable", backend="raise OSError('no compiler: cc1plus not found')\n")
    folder = write_definition(tmp_path / "unbuildable", requirements=["unbuildable"], imports=[], lock=line)
    with pytest.raises(EnvironmentBuildError) as error:
        store.build(EnvironmentDefinition.load(folder))
    # The command, its output, and what to try.
    assert "pip sync" in error.value.reason
    assert "--require-hashes" in error.value.reason
    assert "unbuildable" in error.value.reason
    assert "cc1plus not found" in error.value.reason
    assert error.value.instruction
    assert store.generations() == []
    assert not list((store._shelf.folder("tiny")).glob(".building-*"))


def test_import_that_fails(store, tmp_path):
    line = make_wheel(
        tmp_path / "wheels", "broken", code="raise OSError('libGL.so.1: cannot open shared object file')\n"
    )
    folder = write_definition(tmp_path / "broken", requirements=["broken"], imports=["broken"], lock=line)
    with pytest.raises(EnvironmentBuildError, match=r"the import of broken(.|\n)*libGL\.so\.1") as error:
        store.build(EnvironmentDefinition.load(folder))
    assert "python -I -B" in error.value.reason.replace("'", "")
    assert "libgl" in str(error.value.instruction).lower()
    assert store.generations() == []
    assert not list((store._shelf.folder("tiny")).glob(".building-*"))


def test_lock_then_build(store, folder):
    before = (folder / "requirements.lock").read_text().split("--hash=")[1].strip()
    (folder / "requirements.lock").unlink()
    definition = lock_environment(folder)
    text = (folder / "requirements.lock").read_text()
    assert f"tinypackage==1.0 \\\n    --hash={before}\n" in text
    assert str(folder.parent) not in text
    assert lock_environment(folder) == definition
    assert store.build(definition).locked


def test_sixteen_processes_build_it_once(root, folder, store):
    processes = [ensure_process(root, folder) for _ in range(16)]
    outputs = [process.communicate(timeout=240) for process in processes]
    assert [process.returncode for process in processes] == [0] * 16, outputs
    lines = [output.split() for output, _ in outputs]
    (built,) = store.generations()
    assert {line[-1] for line in lines} == {built.id}
    assert sum(line.count("creating") for line in lines) == 1
    assert any("waiting-for-lock" in line for line in lines)


@pytest.mark.parametrize(
    "moment",
    [
        *("interpreter", "creating", "downloading", "installing", "checking"),
        *("before-stamp", "before-rename", "after-rename", "before-pointer"),
    ],
)
def test_killed_at_each_step(root, folder, definition, store, moment):
    process = ensure_process(root, folder, moment)
    process.communicate(timeout=120)
    assert process.returncode == -9
    found = store.resolve(definition)
    # From the rename on it is whole, and is used.
    assert (found is not None) == (moment in ("after-rename", "before-pointer"))
    built = store.ensure(definition)
    assert built.current
    assert run_inside(built.python, "import tinypackage; print(tinypackage.ANSWER)") == "42"
    assert store.build(definition) == built
    assert sorted(path.name for path in (root / "tiny").iterdir()) == [*FILES, built.id, "current.json"]


def test_killed_at_any_time(root, folder, definition, tmp_path):
    generator = random.Random(7)
    for attempt in range(6):
        home = root / str(attempt)
        process = ensure_process(home, folder)
        assert process.stdout.readline() == "interpreter\n"
        time.sleep(generator.uniform(0, 0.3))
        process.kill()
        process.communicate()
        built = EnvironmentStore(home).ensure(definition)
        assert run_inside(built.python, "import tinypackage; print(tinypackage.ANSWER)") == "42"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with the one that started it")
def test_uv_ends_with_its_builder(tmp_path):
    uv = tmp_path / "uv"
    code = "import os, sys, time\nprint(os.getpid(), file=sys.stderr, flush=True)\ntime.sleep(600)\n"
    uv.write_text(f"#!{sys.executable} -I\n{code}")
    uv.chmod(0o755)
    code = (
        "import sys\nfrom pathlib import Path\nfrom visiontrain.environment.uv import Uv\n"
        "Uv(Path(sys.argv[1])).sync(Path('x'), python=Path('y'), on_line=lambda line: print(line, flush=True))"
    )
    builder = subprocess.Popen([sys.executable, "-c", code, str(uv)], stdout=subprocess.PIPE, text=True)
    with builder:
        child = int(builder.stdout.readline())
        builder.kill()
    deadline = time.monotonic() + 30
    while is_running(child):
        assert time.monotonic() < deadline, "uv outlives its builder"
        time.sleep(0.01)


def test_a_lock_that_moves_leaves_the_old_generation_as_it_is(store, folder, definition, tmp_path):
    first = store.build(definition)
    before = snapshot(first.path)
    line = make_wheel(tmp_path / "wheels", "second")
    (folder / "requirements.lock").write_text(definition.lock + line)
    moved = EnvironmentDefinition.load(folder)
    second = store.ensure(moved)
    assert second.id != first.id
    assert snapshot(first.path) == before
    assert run_inside(second.python, "import second; print(second.ANSWER)") == "42"
    assert store.use("tiny", first.id).pinned
    assert store.ensure(moved).python == first.python


@pytest.mark.parametrize(
    "change",
    [
        {"requirements": ["tinypackage>=1"]},
        {"imports": ["tinypackage"]},
        {"requires-python": ">=3.10,<4"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_definition_that_changes_gets_a_generation_of_its_own(store, folder, definition, change):
    first = store.build(definition)
    before = snapshot(first.path)
    fields = {
        "name": "tiny",
        "requires-python": ">=3.10",
        "requirements": ["tinypackage"],
        "imports": ["tinypackage:ANSWER"],
    }
    lines = (f"{key} = {json.dumps(value)}\n" for key, value in {**fields, **change}.items())
    (folder / "environment.toml").write_text("".join(lines))
    changed = EnvironmentDefinition.load(folder)
    assert store.resolve(changed) is None
    second = store.ensure(changed)
    assert second.id != first.id
    assert snapshot(first.path) == before


def test_another_interpreter_gets_a_generation_of_its_own(store, definition, tmp_path, monkeypatch):
    first = store.build(definition)
    before = snapshot(first.path)
    mine = interpreter.own()
    # The same program, found under another ABI: what an upgrade of the host's Python looks like.
    monkeypatch.setattr(
        "visiontrain.environment.store.choose", lambda *_, **__: mine.model_copy(update={"abi": "other"})
    )
    monkeypatch.setattr("visiontrain.environment.store.own", lambda: mine.model_copy(update={"abi": "other"}))
    assert store.resolve(definition) is None
    second = store.ensure(definition)
    assert second.id != first.id
    assert second.current
    assert snapshot(first.path) == before


@pytest.mark.parametrize("what", ["stamp.json", "venv/bin/python"])
def test_a_generation_that_lost_a_part_is_built_anew(store, definition, what):
    built = store.build(definition)
    (built.path / what).unlink()
    assert store.resolve(definition) is None
    again = store.ensure(definition)
    assert again.id == built.id
    assert run_inside(again.python, "import tinypackage; print(tinypackage.ANSWER)") == "42"


def test_an_environment_in_use_is_not_removed(store, definition):
    built = store.build(definition)
    with store.hold(built) as lock:
        child = subprocess.Popen(
            [built.python, "-I", "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, pass_fds=[lock.fileno()]
        )
    with child:
        with pytest.raises(InputError, match="in use"):
            store.remove("tiny")
        child.kill()
        child.wait()
        assert store.remove("tiny") == (built.id,)
    assert not built.path.exists()


def test_an_adopted_interpreter_is_not_written_to(store, definition, tmp_path):
    venv = tmp_path / "existing"
    Uv().create(venv, python=Path(sys.executable))
    with pytest.raises(EnvironmentBuildError, match="the import of tinypackage:ANSWER"):
        store.adopt(definition, venv / "bin" / "python")
    (site,) = venv.glob("lib/python3.*/site-packages")
    (site / "tinypackage.py").write_text("ANSWER = 43\n")
    before = snapshot(venv)
    adopted = store.adopt(definition, venv / "bin" / "python")
    assert snapshot(venv) == before
    assert adopted.warnings == ("tinypackage is required, and no installed distribution has that name",)
    assert store.ensure(definition) == adopted
    assert run_inside(adopted.python, "import tinypackage; print(tinypackage.ANSWER)") == "43"
    store.remove("tiny", adopted.id)
    assert snapshot(venv) == before
    assert store.ensure(definition).locked
