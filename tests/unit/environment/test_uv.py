import sys
from pathlib import Path

import pytest

import visiontrain.environment.uv as module
from visiontrain.environment.uv import FoundPython, Uv
from visiontrain.errors import EnvironmentBuildError

PYTHON = Path("/some/python")


def arguments(fake_uv):
    (call,) = fake_uv.calls
    return call["arguments"]


def test_create(fake_uv, tmp_path):
    fake_uv.create(tmp_path / "venv", python=PYTHON)
    assert arguments(fake_uv) == [
        "venv",
        "--no-project",
        "--relocatable",
        "--python=/some/python",
        "--",
        str(tmp_path / "venv"),
    ]


def test_sync(fake_uv):
    fake_uv.sync(Path("/x/requirements.lock"), python=PYTHON)
    assert arguments(fake_uv) == [
        *("pip", "sync", "--python=/some/python", "--require-hashes", "--compile-bytecode"),
        *("--allow-empty-requirements", "--", "/x/requirements.lock"),
    ]


def test_sync_for_a_torch_backend(fake_uv):
    fake_uv.sync(Path("/x/requirements.lock"), python=PYTHON, torch_backend="cu128")
    assert "--torch-backend=cu128" in arguments(fake_uv)


def test_lock(fake_uv, tmp_path):
    output = tmp_path / "out.lock"
    fake_uv.lock(Path("/x/requirements.in"), output, python_version="3.10", upgrade=True)
    assert arguments(fake_uv) == [
        *(
            "pip",
            "compile",
            "--generate-hashes",
            "--no-header",
            "--no-annotate",
            "--universal",
            "--python-version=3.10",
        ),
        *(f"--output-file={output}", "--upgrade", "--", "/x/requirements.in"),
    ]


def test_nothing_of_the_working_folder_or_of_secrets(fake_uv, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET_TOKEN", "1")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://mirror/simple")
    fake_uv.create(tmp_path / "venv", python=PYTHON)
    (call,) = fake_uv.calls
    assert call["cwd"] == "/"
    assert "SECRET_TOKEN" not in call["variables"]
    assert call["variables"]["UV_DEFAULT_INDEX"] == "https://mirror/simple"


def test_lines_are_passed_on(fake_uv):
    fake_uv.answer("pip sync", stderr="Resolved 1 package\n\n + numpy==2.1\n")
    lines = []
    fake_uv.sync(Path("/x"), python=PYTHON, on_line=lines.append)
    assert lines == ["Resolved 1 package", " + numpy==2.1"]


def test_failure_has_command_output_and_advice(fake_uv):
    fake_uv.answer("pip sync", stderr="error: failed\n  cause: No space left on device (os error 28)\n", code=2)
    with pytest.raises(EnvironmentBuildError) as error:
        fake_uv.sync(Path("/x/requirements.lock"), python=PYTHON)
    text = str(error.value)
    assert "uv failed with exit code 2" in text
    assert "pip sync --python=/some/python" in text
    assert "cause: No space left on device" in text
    assert "The disk is full" in error.value.instruction


def test_only_the_end_of_a_long_output_is_shown(fake_uv):
    fake_uv.answer("pip sync", stderr="".join(f"line {number}\n" for number in range(1000)), code=1)
    with pytest.raises(EnvironmentBuildError) as error:
        fake_uv.sync(Path("/x"), python=PYTHON)
    assert "line 999" in str(error.value)
    assert "line 900\n" not in str(error.value)


def test_an_interrupted_uv_is_ended(tmp_path, monkeypatch):
    path = tmp_path / "uv"
    path.write_text(
        f"#!{sys.executable} -I\nimport sys, time\nprint('on', file=sys.stderr, flush=True)\ntime.sleep(600)\n"
    )
    path.chmod(0o755)
    started = []
    real = module.subprocess.Popen

    def start(*args, **kwargs):
        started.append(real(*args, **kwargs))
        return started[-1]

    monkeypatch.setattr(module.subprocess, "Popen", start)

    def interrupt(_line):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Uv(path).sync(Path("/x"), python=PYTHON, on_line=interrupt)
    assert started[0].returncode == -15


def test_uv_that_can_not_be_started(tmp_path):
    with pytest.raises(EnvironmentBuildError, match="can't be started"):
        Uv(tmp_path / "missing").version()


def test_uv_of_the_dependency():
    assert Uv().executable.name == "uv"
    assert Uv().version()[0].isdigit()


def test_uv_is_not_installed(monkeypatch):
    def find():
        raise FileNotFoundError("no uv")

    monkeypatch.setattr("uv.find_uv_bin", find)
    with pytest.raises(EnvironmentBuildError, match="--force-reinstall uv"):
        _ = Uv().executable


def test_pythons(fake_uv):
    fake_uv.answer(
        "python list",
        stdout="""[
        {"implementation": "cpython", "variant": "default", "version": "3.12.1", "path": "/a/python"},
        {"implementation": "cpython", "variant": "freethreaded", "version": "3.13.1", "path": "/b/python"},
        {"implementation": "pypy", "variant": "default", "version": "3.11.1", "path": "/c/python"},
        {"implementation": "cpython", "variant": "default", "version": "3.14.0", "path": null}]""",
    )
    assert fake_uv.pythons() == (FoundPython("3.12.1", Path("/a/python")),)
