import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from visiontrain.torchkit.curves import GRID
from visiontrain.torchkit.mask_runs import mask_runs
from visiontrain.torchkit.object_counts import HeadCounts
from visiontrain.torchkit.object_found import PlacedObjects

SIDE = 40


def objects(rows, *, masks=False):
    """Of label, score, and left, top, right, bottom each; the best first."""
    rows = sorted(rows, key=lambda row: -row[1])
    runs = None
    if masks:
        runs = []
        for _, _, (x1, y1, x2, y2) in rows:
            pixels = np.zeros((SIDE, SIDE), dtype=bool)
            pixels[int(y1) : int(y2), int(x1) : int(x2)] = True
            if x2 - x1 > 4:
                pixels[int(y1), int(x1)] = False  # no rectangle
            runs.append(mask_runs(pixels, left=0, top=0, width=SIDE, height=SIDE))
        runs = tuple(runs)
    return PlacedObjects(
        np.array([row[0] for row in rows], dtype=np.int64),
        np.array([row[1] for row in rows], dtype=np.float64),
        np.array([row[2] for row in rows], dtype=np.float64).reshape(-1, 4),
        runs,
    )


def scene(generator, classes, images):
    """Random objects, crowds, and what was found near them and elsewhere."""

    def box():
        x, y = generator.integers(0, SIDE - 12, 2)
        w, h = generator.integers(3, 12, 2)
        return [int(x), int(y), int(x + w), int(y + h)]

    made = []
    for _ in range(images):
        truth = [(int(generator.integers(classes)), 1.0, box()) for _ in range(generator.integers(0, 6))]
        crowds = [(int(generator.integers(classes)), 1.0, box()) for _ in range(generator.integers(0, 2))]
        found = []
        for label, _, near in (*truth, *crowds):
            for _ in range(generator.integers(0, 3)):
                moved = np.array(near) + generator.integers(-1, 2, 4)
                moved[2:] = np.maximum(moved[2:], moved[:2] + 1)
                other = label if generator.random() < 0.8 else int(generator.integers(classes))
                found.append((other, round(float(generator.random()), 2), moved.clip(0, SIDE).tolist()))
        found += [
            (int(generator.integers(classes)), round(float(generator.random()), 2), box())
            for _ in range(generator.integers(0, 4))
        ]
        made.append((truth, crowds, [row for row in found if row[2][2] > row[2][0] and row[2][3] > row[2][1]]))
    return made


def official(made, classes, kind, capsys):
    """COCO's own numbers, from files' contents: precision (overlaps, recalls, classes)."""
    annotations, results = [], []
    for image, parts in enumerate(made):
        for number, rows in enumerate(parts):
            placed = objects(rows, masks=kind == "segm")
            for row in range(len(placed)):
                x1, y1, x2, y2 = placed.boxes[row]
                told = {"image_id": image, "category_id": int(placed.labels[row]), "bbox": [x1, y1, x2 - x1, y2 - y1]}
                told["area"] = (x2 - x1) * (y2 - y1)
                if placed.masks is not None:
                    mask = placed.masks[row]
                    told["segmentation"] = {"size": [mask.height, mask.width], "counts": mask.data.encode()}
                if number == 2:
                    results.append({**told, "score": float(placed.scores[row])})
                else:
                    annotations.append({**told, "id": len(annotations) + 1, "iscrowd": int(number == 1)})
    truth = COCO()
    images = [{"id": number, "width": SIDE, "height": SIDE} for number in range(len(made))]
    categories = [{"id": number, "name": str(number)} for number in range(classes)]
    truth.dataset = {"images": images, "annotations": annotations, "categories": categories}
    truth.createIndex()
    evaluator = COCOeval(truth, truth.loadRes(results), kind)
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    capsys.readouterr()
    return evaluator


@pytest.mark.parametrize("kind", ["bbox", "segm"])
@pytest.mark.parametrize("seed", range(6))
def test_the_numbers_are_cocos(seed, kind, capsys):
    classes, generator = 4, np.random.default_rng(seed)
    made = scene(generator, classes, 30)
    counts = HeadCounts(classes + 1, masks=kind == "segm")  # the last one has no objects
    for parts in made:
        counts.add(*(objects(rows, masks=kind == "segm") for rows in parts))
    numbers = counts.compute()
    wanted = official(made, classes, kind, capsys)
    precision = wanted.eval["precision"][:, :, :, 0, -1]
    assert numbers.labels == (0, 1, 2, 3)
    assert numbers.map50_95.tolist() == pytest.approx(precision.mean((0, 1)).tolist(), abs=1e-12)
    assert numbers.map50.tolist() == pytest.approx(precision[0].mean(0).tolist(), abs=1e-12)
    assert numbers.map50_95.mean() == pytest.approx(wanted.stats[0], abs=1e-12)
    assert numbers.map50.mean() == pytest.approx(wanted.stats[1], abs=1e-12)
    assert 0 < numbers.map50_95.mean() < numbers.map50.mean() < 1
    recall = wanted.eval["recall"][0, :, 0, -1]
    assert numbers.recall_over_confidence[:, 0].tolist() == pytest.approx(recall.tolist(), abs=1e-12)
    assert "Accumulating" not in capsys.readouterr().out


def counted(truth, found, crowds=(), classes=1):
    counts = HeadCounts(classes, masks=False)
    counts.add(objects(truth), objects(crowds), objects(found))
    return counts.compute()


BOX = [0.0, 0.0, 10.0, 10.0]
FAR = [20.0, 20.0, 30.0, 30.0]


def test_all_found():
    numbers = counted([(0, 1, BOX), (0, 1, FAR)], [(0, 0.9, BOX), (0, 0.6, FAR)])
    values = {name: rows.tolist() for name, rows in numbers.by_metric().items()}
    assert values == {"map50_95": [1], "map50": [1], "precision": [1], "recall": [1]}
    curves = numbers.curves(("one",), "box")
    assert curves.recall_over_confidence["one"][round(0.7 * 200)] == 0.5
    assert curves.recall_over_confidence["one"][round(0.95 * 200)] == 0
    assert curves.precision_over_recall["one"] == [1] * len(GRID)
    assert curves.f1_over_confidence["one"][0] == 1
    assert curves.average_precision == {"one": 1}


def test_what_is_found_twice_is_wrong_once_and_the_confidence_is_where_f1_is_highest():
    numbers = counted([(0, 1, BOX), (0, 1, FAR)], [(0, 0.9, BOX), (0, 0.8, FAR), (0, 0.5, BOX)])
    assert numbers.precision.tolist() == [1]
    assert numbers.recall.tolist() == [1]
    assert 0.5 < numbers.confidence <= 0.8
    assert numbers.precision_over_confidence[0, 0] == pytest.approx(2 / 3)
    assert numbers.map50.tolist() == pytest.approx([1])


def test_boxes_that_overlap_by_seven_tenths_find_half_of_the_levels():
    numbers = counted([(0, 1, BOX)], [(0, 0.9, [0.0, 0.0, 10.0, 7.2])])
    assert numbers.map50.tolist() == pytest.approx([1])
    assert numbers.map50_95.tolist() == pytest.approx([0.5])


def test_what_is_passed_over_counts_neither_way():
    inside = [21.0, 21.0, 24.0, 24.0]
    alone = counted([(0, 1, BOX)], [(0, 0.9, BOX)])
    crowded = counted([(0, 1, BOX)], [(0, 0.9, BOX), (0, 0.95, inside), (0, 0.94, inside)], crowds=[(0, 1, FAR)])
    for one, other in zip(alone.by_metric().values(), crowded.by_metric().values(), strict=True):
        assert one.tolist() == other.tolist() == pytest.approx([1])
    missed = counted([(0, 1, BOX)], [(0, 0.9, BOX)], crowds=[(0, 1, FAR)])
    assert missed.recall.tolist() == pytest.approx([1])
    wrong = counted([(0, 1, BOX)], [(0, 0.9, BOX), (0, 0.95, inside)])
    assert wrong.map50.tolist() == pytest.approx([0.5])


def test_classes_without_objects_have_no_numbers_and_those_not_found_have_none_right():
    numbers = counted([(1, 1, BOX)], [(0, 0.9, BOX), (2, 0.9, FAR)], crowds=[(2, 1, FAR)], classes=4)
    assert numbers.labels == (1,)
    assert {name: rows.tolist() for name, rows in numbers.by_metric().items()} == {
        "map50_95": [0], "map50": [0], "precision": [0], "recall": [0],
    }  # fmt: skip
    nothing = counted([], [(0, 0.9, BOX)])
    assert nothing.labels == ()
    assert nothing.curves(("one",), "box").average_precision == {}
    assert nothing.confidence == 0


def test_a_hundred_of_a_class_are_counted_in_an_image():
    far = [(0, 0.9, [float(x), 0.0, x + 1.0, 1.0]) for x in range(1, 100)]
    assert counted([(0, 1, BOX)], [*far, (0, 0.5, BOX)]).recall_over_confidence[0, 0] == 1
    assert counted([(0, 1, BOX)], [*far, (0, 0.9, FAR), (0, 0.5, BOX)]).recall_over_confidence[0, 0] == 0
