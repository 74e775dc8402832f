import json
from xml.etree import ElementTree as ET

from visiontrain.torchkit.confusion import draw_matrix, write_confusion_matrix

SVG = "{http://www.w3.org/2000/svg}"


def texts(content):
    return [each.text for each in ET.fromstring(content).iter(f"{SVG}text")]


def cells(content):
    """Colour by row and column."""
    found = {}
    for path in ET.fromstring(content).iter(f"{SVG}path"):
        for place in path.get("d").removesuffix("h1v1h-1z").split("h1v1h-1z"):
            column, row = place.removeprefix("M").split()
            found[int(row), int(column)] = path.get("fill")
    return found


def test_numbers_and_a_picture_are_written(tmp_path):
    matrix = [[3, 1, 0], [0, 12000, 0], [2, 0, 0]]
    written = write_confusion_matrix(tmp_path / "a", matrix, ("cat", "dog", "background"), epoch=4, of="objects")
    assert [(path.name, kind) for path, kind in written] == [
        ("confusion_matrix.json", "confusion_matrix"), ("confusion_matrix.svg", "picture"),
    ]  # fmt: skip
    content = json.loads(written[0][0].read_text())
    assert content == {
        "epoch": 4, "classes": ["cat", "dog", "background"], "rows": "true class", "columns": "predicted class",
        "counts": "objects", "matrix": matrix,
    }  # fmt: skip
    shown = texts(written[1][0].read_bytes())
    assert shown[0] == "Confusion matrix of epoch 4, objects"
    assert [shown.count(name) for name in ("cat", "dog", "background", "true", "predicted")] == [2, 2, 2, 1, 1]
    assert sorted(each for each in shown if each[0].isdecimal()) == ["1", "12,000", "2", "3"]


def test_shades_tell_right_from_wrong_and_how_much_of_the_row_it_is():
    found = cells(draw_matrix([[9, 1, 0], [5, 5, 0], [0, 0, 0]], "abc", title="t"))
    assert set(found) == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert len(set(found.values())) == 4
    same = cells(draw_matrix([[90, 10, 0], [1, 1, 0], [0, 0, 0]], "abc", title="t"))
    assert same == found


def test_many_classes_have_labels_and_no_numbers():
    classes = [f"class {number}" for number in range(300)]
    matrix = [[int(row == column) for column in range(300)] for row in range(300)]
    content = draw_matrix(matrix, classes, title="t")
    shown = texts(content)
    assert shown.count("class 299") == 2
    assert "1" not in shown
    assert len(cells(content)) == 300
    assert float(ET.fromstring(content).get("width")) < 1200
