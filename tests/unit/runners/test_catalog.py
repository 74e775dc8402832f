from __future__ import annotations

from dataclasses import replace

import pytest
from visiontrain_harness.runs import command

from visiontrain.errors import RunFailedError, StorageError, WorkerCrashedError
from visiontrain.protocol.codec import dumps
from visiontrain.protocol.messages import InitializeResult, ModelInfo
from visiontrain.protocol.structure import unstructure
from visiontrain.runners.catalog import Catalog, load_catalog, read_catalog

CATALOG = Catalog("1", InitializeResult(1, "m:C", {}), (ModelInfo("net", (), ("v1",)), ModelInfo("net.large", ())))


def test_a_model_is_found_with_and_without_a_tag():
    assert CATALOG.names == {"net", "net.v1", "net.large"}
    assert CATALOG.find("net").name == "net"
    assert CATALOG.find("net.v1").name == "net"
    assert CATALOG.find("net.large").name == "net.large"
    assert CATALOG.find("net.v2") is None
    assert CATALOG.find("other") is None


def test_it_is_read_once_and_kept(tmp_path):
    path = tmp_path / "catalog.json"
    read = read_catalog(command(tmp_path, "base:Steady"), path, "1")
    assert [model.name for model in read.models] == ["defect"]
    assert load_catalog(path, "1") == read


def test_its_names_are_made_of_the_file_again_only_where_that_changed(tmp_path):
    path = tmp_path / "catalog.json"
    path.write_bytes(dumps(unstructure(CATALOG)))
    first = load_catalog(path, "1")
    assert load_catalog(path, "1") is first
    path.write_bytes(dumps(unstructure(replace(CATALOG, models=()))))
    assert load_catalog(path, "1").models == ()


def test_another_version_of_the_plugin_reads_it_anew(tmp_path):
    path = tmp_path / "catalog.json"
    read_catalog(command(tmp_path, "base:Steady"), path, "1")
    assert load_catalog(path, "2") is None


@pytest.mark.parametrize("data", [b"", b"{}", b"nonsense"])
def test_a_damaged_one_is_none(tmp_path, data):
    (tmp_path / "catalog.json").write_bytes(data)
    assert load_catalog(tmp_path / "catalog.json", "1") is None


def test_none_is_kept_of_a_worker_that_fails(tmp_path):
    path = tmp_path / "catalog.json"
    with pytest.raises(RunFailedError, match="no framework here"):
        read_catalog(command(tmp_path, "raises:InDescribe"), path, "1")
    with pytest.raises(WorkerCrashedError, match="exit code 4"):
        read_catalog(command(tmp_path, "dies:InDescribe"), path, "1")
    assert not path.exists()


def test_one_that_can_not_be_read_is_told(tmp_path):
    (tmp_path / "catalog.json").symlink_to("catalog.json")
    with pytest.raises(StorageError, match="models can't be read: Too many levels of symbolic links"):
        load_catalog(tmp_path / "catalog.json", "1.0")
