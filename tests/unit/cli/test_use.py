"""``visiontrain evaluate``, ``predict`` and ``export``, as a person sees them."""

from __future__ import annotations

import csv
import json
import shutil

import pytest
from PIL import Image

from visiontrain.session import Session


@pytest.fixture
def trained(counting, shapes):
    done = counting("train", shapes, "--model", "count_small", "--name", "mine")
    assert done.exit_code == 0, done.output
    return Session().run("mine")


@pytest.fixture
def png(tmp_path):
    path = tmp_path / "seen.png"
    Image.new("RGB", (30, 20)).save(path)
    return path


def test_an_evaluation_s_metrics_go_to_stdout(counting, trained, shapes):
    done = counting("evaluate", "mine")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        f"  {'val_loss':<22}nan",
        f"  {'accuracy':<22}0.8333",
    ]
    for text in (
        f"model         count_small of the run {trained.run_id}, last.json",
        f"data          {shapes}: val 6",
        "Completed after",
    ):
        assert text in done.stderr
    assert "checkpoint " not in done.stderr
    rows = [line.split()[:3] for line in counting("runs").stdout.splitlines()]
    assert rows[1][1:] == ["evaluate", "completed"]
    assert rows[2] == [trained.run_id, "train", "completed"]


def test_an_evaluation_as_json(counting, trained):
    lines = [
        json.loads(line) for line in counting("evaluate", "last", "--split", "train", "--json").stdout.splitlines()
    ]
    assert {"status", "worker", "progress"} <= {line["type"] for line in lines}
    result = lines[-1]
    assert (result["type"], result["kind"], result["parent"]) == ("result", "evaluate", trained.run_id)
    assert result["metrics"] == {"accuracy": pytest.approx(5 / 6), "val_loss": None}
    assert result["non_finite"] == {"val_loss": "NaN"}
    assert result["checkpoint"] is None


def test_predictions_are_a_line_an_image(counting, trained, png, tmp_path):
    torn = tmp_path / "torn.png"
    torn.write_bytes(b"no image")
    done = counting("predict", "mine", png, torn, "--top", "2", "--save", tmp_path / "seen")
    assert done.exit_code == 1
    (line,) = done.stdout.splitlines()
    assert line.startswith(f"{png}  ")
    assert len(line.split("  ")) == 3
    assert f"Warning: {torn}: can't be decoded" in done.stderr
    assert "2 images, 1 can't be read" in done.stderr
    assert f"Saved in {tmp_path / 'seen'}" in done.stderr
    with (tmp_path / "seen/predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["image"], row["drawn"], bool(row["error"])) for row in rows] == [
        (str(png), "seen.png", False),
        (str(torn), "", True),
    ]


REFUSED = [
    (("evaluate", "mine", "--split", "test"), "split: "),
    (("evaluate", "nobody"), "no run answers to 'nobody'"),
    (("predict", "mine", "nowhere.png"), "there is no file or folder"),
    (("predict", "mine", "{png}", "--device", "cuda:0"), "can't compute on cuda:0"),
    (("predict", "mine", "{png}", "--batch-size", "0"), "batch_size: "),
    (("predict", "mine", "{png}", "--save", "{png}"), "is no folder"),
    (("predict", "mine", ""), "images: is empty"),
    (("predict", "mine", "{png}", "--save", ""), "save: is empty"),
    (("export", "mine", "--format", "text", "--output", ""), "output: is empty"),
    (("export", "mine"), "can't export onnx; it offers: text"),
    (("export", "mine", "--format", "text", "--tolerance", "2"), "tolerance: "),
]


def test_what_can_not_be_done_is_said_and_leaves_no_run(counting, trained, png):
    for arguments, words in REFUSED:
        done = counting(*(str(argument).format(png=png) for argument in arguments))
        assert (done.exit_code, done.stdout) == (2, ""), done.output
        assert words in done.stderr
    assert len(Session().runs()) == 1


def test_an_export_names_its_files_and_their_difference(counting, trained, tmp_path, shapes):
    shutil.move(shapes, tmp_path / "moved")
    try:
        done = counting("export", "mine", "--format", "text")
        assert done.exit_code == 2
        assert f"visiontrain export {trained.run_id} --data DATA" in done.stderr
        done = counting(
            "export", "mine", "--format", "text", "--data", tmp_path / "moved", "--output", tmp_path / "out"
        )
    finally:
        shutil.move(tmp_path / "moved", shapes)
    assert (done.exit_code, done.stdout) == (0, "")
    for text in ("Largest difference: 1e-06", f"written       {tmp_path / 'out' / 'model.txt'}"):
        assert text in done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["model.json", "model.txt"]


def test_an_export_that_differs_fails_with_exit_code_1(counting, trained):
    done = counting("export", "mine", "--format", "text", "--tolerance", "1e-9", "--json")
    assert done.exit_code == 1
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["status"], result["error"]["type"]) == ("failed", "ExportError")
    assert "Allow more." in done.stderr
