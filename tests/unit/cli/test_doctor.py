import errno
import os

import pytest
from visiontrain_harness.json_lines import lines_of

from visiontrain.cli import checks
from visiontrain.cli.checks import examine, nvidia_driver
from visiontrain.environment.uv import Uv
from visiontrain.errors import EnvironmentBuildError
from visiontrain.plugin.discovery import Plugin
from visiontrain.plugin.trackers import TrackerManifest
from visiontrain.session import Session


@pytest.fixture
def only_counter(counting, monkeypatch):
    plugins = tuple(plugin for plugin in Session().plugins() if plugin.name == "counter")
    monkeypatch.setattr("visiontrain.plugin.discovery.discover", lambda: plugins)
    monkeypatch.setattr(checks, "nvidia_driver", lambda: None)
    return counting


def found(name):
    return next(check for check in examine(Session()) if check.name == name)


def test_a_healthy_installation(only_counter):
    before = only_counter("doctor")
    assert before.exit_code == 0, before.output
    assert "warn environment counter: not built yet" in before.stdout
    assert "     Build it: visiontrain env build counter" in before.stdout
    only_counter("env", "build", "counter")
    done = only_counter("doctor")
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    assert "(locked): counter 1.0, python" in done.stdout
    assert "devices: cpu" in done.stdout
    assert {line["level"] for line in lines_of(only_counter("doctor", "--json").stdout)} <= {"ok", "warn"}


def test_a_gpu_that_torch_can_not_use_fails(only_counter, monkeypatch):
    only_counter("env", "build", "counter")
    monkeypatch.setattr(checks, "nvidia_driver", lambda: "470.10")
    done = only_counter("doctor")
    assert done.exit_code == 1
    assert "fail GPU in counter: " in done.stdout
    assert "driver 470.10" in done.stdout
    assert "--torch-backend auto" in done.stdout


def test_a_worker_that_does_not_start_fails(only_counter, monkeypatch):
    only_counter("env", "build", "counter")
    (generation,) = Session().environments()
    generation.python.unlink()
    generation.python.write_text("#!/bin/sh\nexit 3\n", encoding="ascii")
    generation.python.chmod(0o755)
    check = found("environment counter")
    assert (check.level, check.instruction) == ("fail", "Build it: visiontrain env build counter")


def test_a_tracker_s_environment_is_looked_at_too(only_counter, monkeypatch, tmp_path):
    lines = ('name = "notes"', 'requires-python = ">=3.10"', "requirements = []", 'imports = ["json"]')
    (tmp_path / "environment.toml").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "requirements.lock").touch()
    tracker = TrackerManifest(
        name="notes",
        summary="Notes",
        licence="Apache-2.0",
        environment=tmp_path,
        tracker="visiontrain_tiny_notes.tracker:Notes",
        uri_variable="NOTES_URI",
        experiment_variable="NOTES_EXPERIMENT",
        pages=("-m", "notes"),
    )
    plugin = Plugin(name="notes", distribution="visiontrain-notes", version="2", trackers=(tracker,))
    monkeypatch.setattr("visiontrain.plugin.discovery.discover", lambda: (plugin,))
    check = found("environment notes")
    assert (check.level, check.instruction) == ("warn", "Build it: visiontrain env build notes")
    assert "the first run that is tracked builds it" in check.message


def test_a_broken_plugin_fails(only_counter, monkeypatch):
    broken = Plugin(name="odd", distribution="visiontrain-odd", version="2", error="ImportError: no")
    monkeypatch.setattr("visiontrain.plugin.discovery.discover", lambda: (broken,))
    check = found("plugin odd")
    assert (check.level, check.message) == ("fail", "ImportError: no")
    assert check.instruction == "Upgrade or uninstall visiontrain-odd."


def test_no_plugin_fails(only_counter, monkeypatch):
    monkeypatch.setattr("visiontrain.plugin.discovery.discover", lambda: ())
    assert found("plugins").level == "fail"


def test_a_home_that_can_not_be_made_fails(only_counter, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("VISIONTRAIN_HOME", str(tmp_path / "file" / "home"))
    check = found("home")
    assert check.level == "fail"
    assert "VISIONTRAIN_HOME" in check.instruction


def test_little_space_is_a_warning(only_counter, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10**9})())
    check = found("home")
    assert (check.level, "1.0 GB free" in check.message) == ("warn", True)


def test_a_cache_on_another_disk_is_a_warning(only_counter, monkeypatch):
    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refuse)
    check = found("uv's cache")
    assert check.level == "warn"
    assert "Invalid cross-device link" in check.message


def test_no_uv_fails(only_counter, monkeypatch):
    def missing(*_):
        raise EnvironmentBuildError("uv was not found", instruction="Install it again.")

    monkeypatch.setattr(Uv, "version", missing)
    monkeypatch.setattr(Uv, "cache_folder", missing)
    assert (found("uv").level, found("uv").instruction) == ("fail", "Install it again.")


def test_a_home_without_locks_fails(only_counter, home, monkeypatch):
    def refuse(_descriptor, _operation):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("visiontrain.storage.fcntl.flock", refuse)
    check = found("home")
    assert check.level == "fail"
    assert "can't be locked" in check.message
    assert "local disk" in check.instruction


def test_the_home_is_left_as_it_was(only_counter, home):
    home.mkdir()
    list(examine(Session()))
    assert list(home.iterdir()) == []


def test_the_driver_comes_from_the_kernel(tmp_path, monkeypatch):
    version = tmp_path / "version"
    version.write_text(
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19\nGCC 12.2\n", encoding="ascii"
    )
    monkeypatch.setattr(checks, "_DRIVER", version)
    assert nvidia_driver() == "535.104.05"


@pytest.mark.parametrize(("script", "driver"), [("echo 550.1", "550.1"), ("exit 9", None)])
def test_or_from_the_vendors_tool(tmp_path, monkeypatch, script, driver):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n", encoding="ascii")
    tool.chmod(0o755)
    monkeypatch.setattr(checks, "_DRIVER", tmp_path / "none")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert nvidia_driver() == driver


def test_or_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(checks, "_DRIVER", tmp_path / "none")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert nvidia_driver() is None
