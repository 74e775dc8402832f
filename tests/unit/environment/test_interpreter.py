import json
import sys
from pathlib import Path

import pytest

import visiontrain.environment.interpreter as module
from visiontrain.environment.definition import EnvironmentDefinition
from visiontrain.environment.interpreter import check_imports, choose, fits, inspect, installed_versions, own
from visiontrain.errors import EnvironmentBuildError


def script(path: Path, code: str) -> Path:
    path.write_text(f"#!{sys.executable} -I\n{code}\n")
    path.chmod(0o755)
    return path


def older(monkeypatch, version="3.9.1"):
    """The host's interpreter is another one."""
    interpreter = own().model_copy(update={"python_full_version": version})
    monkeypatch.setattr(module, "own", lambda: interpreter)


def listed(*entries):
    return json.dumps(
        [
            {"implementation": "cpython", "variant": "default", "version": version, "path": str(path)}
            for version, path in entries
        ]
    )


def test_own_is_what_inspecting_it_says():
    assert inspect(Path(sys.executable)) == own()
    assert own().python_full_version.startswith(".".join(str(part) for part in sys.version_info[:3]))


def test_markers_are_those_of_packaging():
    from packaging.markers import default_environment

    assert set(own().markers()) == {*default_environment(), "extra"}


def test_check_imports_gives_the_output():
    output = check_imports(Path(sys.executable), ["json", "os:path.join"], timeout=60)
    assert output == "checking import of json\nchecking import of os:path.join\n"


@pytest.mark.parametrize("name", ["no_such_module", "os:no_such_attribute", "os:path.no_such_attribute"])
def test_import_that_fails(name):
    with pytest.raises(EnvironmentBuildError, match=f"the import of {name} ended with exit code 1") as error:
        check_imports(Path(sys.executable), ["json", name], timeout=60)
    assert "Error: " in str(error.value)


def test_check_sees_nothing_of_the_host(tmp_path, monkeypatch):
    (tmp_path / "hostile.py").write_text("")
    (tmp_path / "json.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    check_imports(Path(sys.executable), ["json"], timeout=60)
    with pytest.raises(EnvironmentBuildError, match="the import of hostile"):
        check_imports(Path(sys.executable), ["hostile"], timeout=60)


def test_import_that_takes_too_long(tmp_path):
    python = script(
        tmp_path / "python", "import sys, time\nprint('checking import of slow', flush=True)\ntime.sleep(600)"
    )
    with pytest.raises(EnvironmentBuildError, match=r"the import of slow took more than 0.5 s"):
        check_imports(python, ["slow"], timeout=0.5)


def test_import_that_crashes(tmp_path):
    code = "import os, sys\nprint('checking import of crash', flush=True)\nos.kill(os.getpid(), 11)"
    with pytest.raises(
        EnvironmentBuildError, match=r"the import of crash was killed by signal 11 \(Segmentation fault\)"
    ):
        check_imports(script(tmp_path / "python", code), ["crash"], timeout=60)


def test_installed_versions():
    import pydantic

    found = installed_versions(Path(sys.executable), ["pydantic", "no-such-distribution"])
    assert found == {"pydantic": pydantic.VERSION, "no-such-distribution": None}


@pytest.mark.parametrize("code", ["print('hello')", "pass"])
def test_no_interpreter(tmp_path, code):
    with pytest.raises(EnvironmentBuildError, match="does not answer as a Python interpreter"):
        inspect(script(tmp_path / "python", code))


def test_interpreter_that_can_not_run(tmp_path):
    with pytest.raises(EnvironmentBuildError, match="can't be run"):
        inspect(tmp_path / "missing")
    with pytest.raises(EnvironmentBuildError, match="exit code 3"):
        inspect(script(tmp_path / "python", "raise SystemExit(3)"))


def test_the_hosts_own_comes_first(definition, fake_uv):
    assert choose(definition, fake_uv) == own()
    assert fake_uv.calls == []


def test_the_newest_that_fits(definition, fake_uv, monkeypatch, tmp_path):
    real = own().python_full_version
    older(monkeypatch)
    broken = script(tmp_path / "broken", "raise SystemExit(127)")
    fake_uv.answer("python list", stdout=listed(("3.9.2", "/too/old"), (real, sys.executable), ("3.99.1", broken)))
    chosen = choose(definition, fake_uv)
    assert chosen.executable == Path(sys.executable)
    assert chosen.python_full_version == real


def test_none_fits(definition, fake_uv, monkeypatch):
    older(monkeypatch)
    fake_uv.answer("python list", stdout="[]")
    with pytest.raises(
        EnvironmentBuildError, match=r"needs Python >=3\.10; this is Python 3\.9\.1.*\n.*uv python install 3.10"
    ):
        choose(definition, fake_uv)
    assert fake_uv.commands() == ["python list"]


def test_python_is_downloaded_where_that_is_allowed(definition, fake_uv, monkeypatch):
    older(monkeypatch)
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "auto")
    fake_uv.answer("python list", stdout="[]")
    with pytest.raises(EnvironmentBuildError):
        choose(definition, fake_uv)
    assert fake_uv.commands() == ["python list", "python install", "python list"]


def test_unusual_interpreters_do_not_fit(write_definition):
    definition = EnvironmentDefinition.load(write_definition(requires_python=">=3.8"))
    assert fits(definition, own())
    assert not fits(definition, own().model_copy(update={"python_full_version": "3.9.18"}))
    assert not fits(definition, own().model_copy(update={"implementation_name": "pypy"}))
    assert not fits(definition, own().model_copy(update={"abi": "cpython-313t-x86_64-linux-gnu"}))
