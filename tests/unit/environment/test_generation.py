import json
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest

from visiontrain.environment.generation import Fingerprint, Stamp, generation_id, read_generation, read_stamp
from visiontrain.environment.interpreter import own


@pytest.fixture
def fingerprint(definition):
    return Fingerprint.of_build(definition, own(), torch_backend=None)


@pytest.fixture
def folder(tmp_path, fingerprint):
    path = tmp_path / generation_id(fingerprint)
    (path / "venv" / "bin").mkdir(parents=True)
    (path / "venv" / "bin" / "python").symlink_to(sys.executable)
    stamp = Stamp(
        digest=fingerprint.digest,
        fingerprint=fingerprint,
        created=datetime(2026, 1, 2, tzinfo=timezone.utc),
        python="venv/bin/python",
        check_output="",
        size_bytes=10,
        exclusive_bytes=4,
        warnings=("a warning",),
        uv_version="0.9.1",
    )
    (path / "stamp.json").write_text(stamp.model_dump_json())
    return path


def change(folder, **fields):
    table = json.loads((folder / "stamp.json").read_text())
    table["fingerprint"].update(fields)
    (folder / "stamp.json").write_text(json.dumps(table))


def test_read(folder, fingerprint):
    generation = read_generation(folder)
    assert (generation.name, generation.id, generation.path) == ("tiny", folder.name, folder)
    assert generation.python == folder / "venv" / "bin" / "python"
    assert len(generation.digest) == 64
    assert generation.digest.startswith(generation.id)
    assert generation.locked
    assert generation.python_version == own().python_full_version
    assert generation.platform == own().platform
    assert generation.torch_backend is None
    assert (generation.size_bytes, generation.exclusive_bytes) == (10, 4)
    assert generation.warnings == ("a warning",)
    assert (generation.current, generation.pinned, generation.stale) == (False, False, False)
    assert generation.catalog_path == folder / "catalog.json"
    assert generation.fingerprint == fingerprint


def test_interpreter_that_is_gone(folder):
    (folder / "venv" / "bin" / "python").unlink()
    (folder / "venv" / "bin" / "python").symlink_to("/no/such/python")
    assert read_stamp(folder) is not None
    assert read_generation(folder) is None


@pytest.mark.parametrize("fields", [{"lock_sha256": "0" * 64}, {"format": 0}, {"python_version": "3.9.9"}])
def test_stamp_whose_digest_does_not_hold(folder, fields):
    change(folder, **fields)
    assert read_generation(folder) is None


def test_format_of_another_release(folder):
    table = json.loads((folder / "stamp.json").read_text())
    fingerprint = Fingerprint.model_validate({**table["fingerprint"], "format": 0})
    table.update(digest=fingerprint.digest, fingerprint=fingerprint.model_dump())
    (folder / "stamp.json").write_text(json.dumps(table))
    other = folder.rename(folder.with_name(generation_id(fingerprint)))
    assert read_generation(other) is None


def test_folder_of_another_name(folder):
    assert read_generation(folder.rename(folder.with_name("0" * 16))) is None


@pytest.mark.parametrize("text", ["", "{", "{}", "[]"])
def test_damaged_stamp(folder, text):
    (folder / "stamp.json").write_text(text)
    assert read_generation(folder) is None


def test_no_stamp(tmp_path):
    assert read_generation(tmp_path / "missing") is None


@pytest.mark.parametrize(
    "fields",
    [
        {"lock": "# another"},
        {"requirements": ("numpy",)},
        {"requires_python": ">=3.11"},
        {"imports": ("json", "os")},
        {"name": "other"},
    ],
)
def test_each_part_of_the_definition_counts(definition, fingerprint, fields):
    changed = definition.model_copy(update=fields)
    assert Fingerprint.of_build(changed, own(), torch_backend=None).digest != fingerprint.digest


@pytest.mark.parametrize(
    "fields",
    [
        {"python_full_version": "3.12.99"},
        {"implementation_name": "pypy"},
        {"platform": "linux-riscv64"},
        {"platform_machine": "riscv64"},
        {"abi": "cpython-312t"},
    ],
)
def test_each_part_of_the_interpreter_counts(definition, fingerprint, fields):
    changed = own().model_copy(update=fields)
    assert Fingerprint.of_build(definition, changed, torch_backend=None).digest != fingerprint.digest


def test_kernel_and_place_of_the_interpreter_do_not_count(definition, fingerprint):
    changed = own().model_copy(update={"platform_release": "7.0", "executable": Path("/elsewhere/python")})
    assert Fingerprint.of_build(definition, changed, torch_backend=None) == fingerprint


def test_cost_does_not_count(definition, fingerprint):
    from visiontrain.environment.definition import Cost

    changed = definition.model_copy(update={"cost": Cost(download=1, disk=1)})
    assert Fingerprint.of_build(changed, own(), torch_backend=None) == fingerprint


def test_torch_backend_counts(definition, fingerprint):
    cpu = Fingerprint.of_build(definition, own(), torch_backend="cpu")
    assert cpu.digest != fingerprint.digest
    assert not cpu.is_stale(definition, torch_backend=None)
    assert cpu.is_stale(definition, torch_backend="cu128")
    assert cpu.is_build_of(definition, torch_backend="cpu")
    assert not cpu.is_build_of(definition, torch_backend=None)


def test_stale(definition, fingerprint):
    assert not fingerprint.is_stale(definition, torch_backend=None)
    assert fingerprint.is_stale(definition.model_copy(update={"lock": "# moved"}), torch_backend=None)


def test_adopted_does_not_depend_on_the_lock(definition):
    adopted = Fingerprint.of_adoption(definition, own(), python=Path("/opt/python"))
    assert adopted != Fingerprint.of_adoption(definition, own(), python=Path("/opt/other"))
    assert not adopted.is_stale(definition.model_copy(update={"lock": "# moved"}), torch_backend="cpu")
    assert adopted.is_stale(definition.model_copy(update={"requirements": ("numpy",)}), torch_backend=None)
    assert not adopted.is_build_of(definition, torch_backend=None)
