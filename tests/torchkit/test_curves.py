import json
from xml.etree import ElementTree as ET

import pytest

from visiontrain.torchkit.curves import GRID, HeadCurves, draw_curves, write_curves

SVG = "{http://www.w3.org/2000/svg}"


def head(name="box", classes=("cat", "dog")):
    def falling(power):
        return {each: [1 - x ** (number + power) for x in GRID] for number, each in enumerate(classes)}

    scores = {each: 0.25 + number / 2 for number, each in enumerate(classes)}
    return HeadCurves(name, scores, 0.25, falling(1), falling(2), falling(3), falling(4))


def texts(content):
    return [each.text for each in ET.fromstring(content).iter(f"{SVG}text")]


def lines(content, stroke):
    return [each for each in ET.fromstring(content).iter(f"{SVG}polyline") if each.get("stroke") == stroke]


def test_numbers_say_what_they_are(tmp_path):
    written = write_curves(tmp_path / "a", [head()], epoch=2, overlap=0.5, measure={"box": "IoU"})
    assert [(path.name, kind) for path, kind in written] == [("curves.json", "curves"), ("curves.svg", "picture")]
    content = json.loads(written[0][0].read_text())
    assert (content["epoch"], content["least_overlap"]) == (2, 0.5)
    assert (content["grid"][0], content["grid"][1], content["grid"][-1]) == (0, 0.005, 1)
    box = content["heads"]["box"]
    assert (box["overlap"], box["best_confidence"]) == ("IoU", 0.25)
    assert box["average_precision"] == {"cat": 0.25, "dog": 0.75}
    kinds = {
        "precision_over_recall", "f1_over_confidence", "precision_over_confidence", "recall_over_confidence",
    }  # fmt: skip
    assert set(box) == {"overlap", "best_confidence", "average_precision", *kinds}
    for kind in kinds:
        assert {len(values) for values in box[kind]["classes"].values()} == {len(content["grid"])}
        assert box[kind]["mean"][100] == pytest.approx(
            sum(one[100] for one in box[kind]["classes"].values()) / 2, abs=1e-4
        )
    assert box["precision_over_recall"]["classes"]["cat"][100] == 0.5


def test_each_head_has_a_picture(tmp_path):
    measure = {"box": "IoU", "pose": "OKS"}
    written = write_curves(tmp_path / "a", [head(), head("pose")], epoch=2, overlap=0.5, measure=measure)
    assert [path.name for path, _ in written] == ["curves.json", "curves_box.svg", "curves_pose.svg"]
    assert texts(written[2][0].read_bytes())[0] == "Curves of epoch 2: pose, OKS of 0.5 or more"


def test_a_picture_names_axes_classes_and_the_mean():
    content = draw_curves(head(classes=("cat", "红细胞 <&>")), title="t")
    shown = texts(content)
    assert {"recall", "confidence", "precision", "F1", "F1 over confidence", "0.2", "0.250"} <= set(shown)
    assert {"cat 0.250", "红细胞 <&> 0.750", "mean 0.500"} <= set(shown)
    assert len(lines(content, "#000")) == 4 + 1  # in each diagram, and in the legend


def test_a_single_class_has_no_mean():
    content = draw_curves(head(classes=("cat",)), title="t")
    assert not any(text.startswith("mean") for text in texts(content))
    assert lines(content, "#000") == []


def test_many_classes_are_grey_and_named_by_the_mouse():
    content = draw_curves(head(classes=[f"class {number}" for number in range(25)]), title="t")
    grey = lines(content, "#b5b5b5")
    assert len(grey) == 4 * 25 + 1
    assert {line.find(f"{SVG}title").text for line in grey[:25]} == {f"class {number}" for number in range(25)}
    assert "each of 25 classes" in texts(content)


def test_without_objects_there_is_nothing_to_write(tmp_path):
    empty = HeadCurves("box", {}, 0.0, {}, {}, {}, {})
    assert write_curves(tmp_path / "a", [empty], epoch=1, overlap=0.5, measure={"box": "IoU"}) == []
    assert not (tmp_path / "a").exists()
