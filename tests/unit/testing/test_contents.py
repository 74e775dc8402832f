"""What is in a checkpoint, value by value."""

from __future__ import annotations

import json
import zipfile

from visiontrain.testing.worker.contents import contents


def test_an_archive_s_members_are_compared_and_not_their_times(tmp_path):
    found = []
    for year in (1990, 2000):
        path = tmp_path / f"{year}.npz"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(zipfile.ZipInfo("weights.npy", (year, 1, 1, 0, 0, 0)), b"\0\1")
            archive.writestr("step.npy", str(year))
        found.append(contents(path))
    assert found[0].keys() == found[1].keys() == {"weights.npy", "step.npy"}
    assert found[0]["weights.npy"] == found[1]["weights.npy"]
    assert found[0]["step.npy"] != found[1]["step.npy"]


def test_json_is_read_by_its_places(tmp_path):
    path = tmp_path / "last.json"
    path.write_text(json.dumps({"step": 3, "rows": [{"loss": 0.5}, {"loss": float("nan")}]}), encoding="utf-8")
    assert contents(path) == {"step": "3", "rows.0.loss": "0.5", "rows.1.loss": "nan"}


def test_any_other_file_is_one_value(tmp_path):
    path = tmp_path / "last.bin"
    path.write_bytes(b"\x80\x02")
    (digest,) = contents(path).values()
    path.write_bytes(b"\x80\x03")
    assert contents(path) != {"last.bin": digest}
