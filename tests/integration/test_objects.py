"""Objects that a model finds, from end to end: session, worker, command line, and answers that are wrong."""

from __future__ import annotations

import csv
import json
from contextlib import contextmanager
from unittest import mock

import pytest
from PIL import Image
from typer.testing import CliRunner

import visiontrain as vt
from visiontrain.cli.main import app
from visiontrain.datasets.masks import Mask
from visiontrain.plugin.discovery import Plugin
from visiontrain.testing import fake_framework


@pytest.fixture
def image(tmp_path):
    def image(name, size=(64, 48)):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (120, 120, 120)).save(path)
        return path

    return image


@contextmanager
def finds_badly(task):
    """A model whose answers are wrong where an image's name says so."""
    with fake_framework(task=task) as fake:
        changes = {
            "trainer": "visiontrain_defects.finds_badly:FindsBadly",
            "packages": ("visiontrain", "visiontrain_defects"),
        }
        manifest = fake.manifest.model_copy(update=changes)
        plugin = Plugin(name="fake", distribution="visiontrain", version="fake", frameworks=(manifest,))
        with mock.patch("visiontrain.plugin.discovery.discover", return_value=(plugin,)):
            yield vt.train(fake.data, model="fake_model", epochs=1, progress=False)


WRONG = {
    "classify": {
        "objects": "the framework fake gave objects for the task classify",
        "neither": "neither probabilities nor an error",
    },
    "detect": {
        "label": "an object of the class 99, where there are 5, counted from 0",
        "score": "an object of the score 1.25, where scores are from 0 to 1",
        "not-finite": "has a number that is not finite",
        "outside": "the box 0, 0, 1e+06, 1, where .* inside of 64 x 48 pixels are due",
        "turned-round": "the box 3, 0, 1, 1",
        "a-turned-box": "an object with a turned box for the task detect",
        "worst-first": "objects that are not in the order of their scores, the best first",
        "probabilities": "probabilities for the task detect",
        "neither": "neither objects nor an error for the task detect",
        "too-few": "1 predictions for 2 images",
    },
    "segment": {
        "small-mask": "a mask of 63 x 48 pixels for an image of 64 x 48",
        "torn-mask": "a mask that can't be read: ",
    },
    "pose": {"few-points": "3 keypoints for 4 names"},
    "obb": {"probabilities": "probabilities for the task obb"},
}


@pytest.mark.parametrize("task", WRONG)
def test_an_answer_that_is_wrong_is_the_plugin_s_fault_and_the_worker_goes_on(task, image):
    with finds_badly(task) as run:
        whole = image("whole.png")
        (before,) = run.predict(whole, progress=False)
        for way, says in WRONG[task].items():
            with pytest.raises(vt.PluginError, match=says.replace("+", r"\+")) as caught:
                run.predict([whole, image(f"{way}.png")], progress=False)
            assert "tell the plugin's author" in caught.value.instruction.lower()
        assert run.predict(whole, progress=False) == [before]


def test_a_box_of_three_sides_is_not_the_protocol(image):
    with finds_badly("detect") as run, pytest.raises(vt.ProtocolError, match="box: expected 4 items, got 3"):
        run.predict(image("three-sides.png"), progress=False)


def test_the_command_tells_saves_and_draws(image, tmp_path):
    with fake_framework(task="segment") as fake:
        first, second, *_ = vt.train(
            fake.data, model="fake_model", epochs=1, name="mine", progress=False
        ).record.data.classes
        image("a.png"), image("deep/b.png")
        (tmp_path / "images/torn.png").write_bytes(b"no image")

        def visiontrain(*arguments):
            return CliRunner().invoke(app, ["predict", "mine", *map(str, arguments)])

        done = visiontrain(tmp_path / "images", "--top", "1", "--save", tmp_path / "seen")
        assert done.exit_code == 1, done.output
        assert done.stdout.splitlines() == [
            f"{tmp_path / 'images' / name}  2 objects: 1 {first}, 1 {second}  {first} 0.900"
            for name in ("a.png", "deep/b.png")
        ]
        with (tmp_path / "seen/predictions.csv").open(encoding="utf-8", newline="") as file:
            rows = [
                (row["label"], row["score"], row["right"], row["drawn"], row["error"][:5])
                for row in csv.DictReader(file)
            ]
        assert rows == [
            (first, "0.9", "48.0", "a.png", ""), (second, "0.4", "32.0", "a.png", ""),
            (first, "0.9", "48.0", "deep/b.png", ""), (second, "0.4", "32.0", "deep/b.png", ""),
            ("", "", "", "", str(tmp_path)[:5]),
        ]  # fmt: skip
        with Image.open(tmp_path / "seen/deep/b.png") as drawn:
            assert len(drawn.getcolors(1 << 20)) > 10

        done = visiontrain(tmp_path / "images/a.png", "--json", "--confidence", "0.5")
        line, result = map(json.loads, done.stdout.splitlines())
        (found,) = line["objects"]
        assert (line["task"], line["counts"], result["status"]) == ("segment", {first: 1}, "completed")
        mask = Mask.from_text(*found["mask"]["size"], found["mask"]["counts"])
        assert list(mask.box()) == found["box"] == [16.0, 12.0, 48.0, 36.0]

        done = visiontrain(tmp_path / "images/a.png", "--confidence", "2")
        assert (done.exit_code, done.stdout) == (2, "")
        assert "confidence: " in done.stderr


def test_the_command_refuses_a_confidence_for_a_classifier(image):
    with fake_framework() as fake:
        vt.train(fake.data, model="fake_model", epochs=1, name="mine", progress=False)
        done = CliRunner().invoke(app, ["predict", "mine", str(image("a.png")), "--confidence", "0.5", "--json"])
        assert (done.exit_code, json.loads(done.stdout)["error"]["type"]) == (2, "SpecError")
        assert "confidence: the model is for the task classify, which finds no objects" in done.stderr
