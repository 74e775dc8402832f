"""What is made before a run, on a disk that refuses: at every write, in every way."""

from __future__ import annotations

import pytest
from visiontrain_harness.faults import HOWS, every_fault

from visiontrain.errors import StorageError, VisiontrainError
from visiontrain.protocol.messages import InitializeResult, ModelInfo
from visiontrain.protocol.structure import unstructure
from visiontrain.rundir.directory import RunDirectories
from visiontrain.runners import catalog
from visiontrain.runners.links import link_folder


def told(case):
    """The error, if any, is one of ours and says what to do."""
    assert case.error is None or isinstance(case.error, StorageError), case
    return case.error is None or case.error.instruction


@pytest.mark.parametrize("how", HOWS)
def test_a_folder_of_links_is_whole_or_made_again(how, tmp_path):
    def operation(root):
        return link_folder(root / "links", ["visiontrain", "pydantic"])

    for case in every_fault(how, tmp_path, operation=operation):
        assert told(case)
        made = operation(case.root)
        assert sorted(path.name for path in made.iterdir()) == ["pydantic", "visiontrain"], case
        assert all((path / "__init__.py").is_file() for path in made.iterdir())
        if how in ("once", "full"):
            assert list(made.parent.iterdir()) == [made], case


class _Worker:
    """Answers at once, without a process."""

    def __init__(self, _command):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def initialize(self):
        return InitializeResult(1, "m:C", {"python": "3.12"})

    def request(self, _method):
        return [unstructure(ModelInfo(f"model_{number}", ("classify",), ("a",))) for number in range(300)]


@pytest.mark.parametrize("how", HOWS)
def test_a_catalogue_is_whole_or_read_again(how, tmp_path, monkeypatch):
    monkeypatch.setattr(catalog, "WorkerConnection", _Worker)

    def operation(root):
        return catalog.read_catalog(None, root / "catalog.json", "1.0")

    for case in every_fault(how, tmp_path, operation=operation):
        assert told(case)
        kept = catalog.load_catalog(case.root / "catalog.json", "1.0")
        assert kept is None or len(kept.models) == 300, case
        assert len(operation(case.root).models) == 300
        assert len(catalog.load_catalog(case.root / "catalog.json", "1.0").models) == 300


@pytest.mark.parametrize("how", HOWS)
def test_a_run_that_gets_no_folder_is_no_run(how, tmp_path):
    def directories(root):
        return RunDirectories(root / "runs")

    for case in every_fault(how, tmp_path, operation=lambda root: directories(root).create()):
        assert told(case)
        assert list(directories(case.root).paths()) == []
        with pytest.raises(VisiontrainError):
            directories(case.root).find("last")
        assert directories(case.root).create()[1].is_dir()
