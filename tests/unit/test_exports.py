from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest
from visiontrain_harness.runs import record

from visiontrain.errors import PluginError, StorageError
from visiontrain.exports import delivered
from visiontrain.protocol.codec import dumps
from visiontrain.protocol.events import ArtifactEvent, event_to_json


@pytest.fixture
def export(tmp_path):
    """A run of an export that told of these files."""

    def export(*artifacts, metrics=None, output=None):
        run_dir = tmp_path / "run"
        (run_dir / "artifacts").mkdir(parents=True)
        lines = []
        for number, (name, kind) in enumerate(artifacts, start=1):
            (run_dir / "artifacts" / name).write_text(name, encoding="ascii")
            event = ArtifactEvent(
                run_id="run", seq=number, time=0.0, monotonic=0.0, path=f"artifacts/{name}", kind=kind
            )
            lines.append(dumps(event_to_json(event)) + b"\n")
        (run_dir / "events.jsonl").write_bytes(b"".join(lines))
        kept = dataclasses.replace(record("run"), kind="export", spec={"format": "onnx", "output": output})
        return SimpleNamespace(
            run_dir=run_dir, record=kept, metrics={"export_difference": 1e-7} if metrics is None else metrics
        )

    return export


FILES = (("model.onnx", "export"), ("matrix.json", "confusion_matrix"), ("model.json", "export"))


def test_the_files_in_their_order_and_the_difference(export, tmp_path):
    found = delivered(export(*FILES))
    assert found.files == (tmp_path / "run/artifacts/model.onnx", tmp_path / "run/artifacts/model.json")
    assert found.path == found.files[0]
    assert (found.run_id, found.format, found.difference) == ("run", "onnx", 1e-7)


def test_copies_where_the_person_wants_them(export, tmp_path):
    found = delivered(export(*FILES, output=str(tmp_path / "new/place")))
    assert [file.read_text(encoding="ascii") for file in found.files] == ["model.onnx", "model.json"]
    assert found.path.parent == tmp_path / "new/place"


@pytest.mark.parametrize(
    ("artifacts", "metrics", "words"), [((), None, "no exported file"), (FILES, {}, "no export_difference")]
)
def test_what_a_plugin_forgets_is_told(export, artifacts, metrics, words):
    with pytest.raises(PluginError, match=words):
        delivered(export(*artifacts, metrics=metrics))


def test_files_that_can_not_be_copied_are_still_there(export, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"which are in .*run/artifacts, can't be copied"):
        delivered(export(*FILES, output=str(tmp_path / "file")))
