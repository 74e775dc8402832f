import numpy as np
import torch
from PIL import Image

from visiontrain.painting import colour_of
from visiontrain.torchkit.contact_sheet import PANEL, Sample
from visiontrain.torchkit.mask_runs import mask_runs
from visiontrain.torchkit.object_batches import SourceImage
from visiontrain.torchkit.object_found import Frame, PlacedObjects
from visiontrain.torchkit.object_samples import sample_of
from visiontrain.torchkit.sample_choice import SampleChoice

CLASSES = ("ant", "bee", "日本")


def objects(*rows, masks=None):
    """Of label, score, and box each."""
    return PlacedObjects(
        np.array([row[0] for row in rows], dtype=np.int64),
        np.array([row[1] for row in rows], dtype=np.float64),
        np.array([row[2] for row in rows], dtype=np.float64).reshape(-1, 4),
        masks,
    )


def shown(truth=(), passed_over=(), found=(), *, source=(200, 100), frame=(40, 20)):
    pixels = torch.zeros(40, 40, 3, dtype=torch.uint8)
    pixels[: frame[1], : frame[0]] = 90
    parts = {"truth": truth or objects(), "passed_over": passed_over or objects(), "found": found or objects()}
    return sample_of(pixels, SourceImage("/data/a.png", *source), Frame(*frame), CLASSES, **parts)


def test_an_image_has_its_own_shape_and_no_border():
    sample = shown()
    assert sample.name == "a.png"
    assert sample.image.size == (PANEL, PANEL // 2)
    assert (np.asarray(sample.image) == 90).all()
    stretched = shown(source=(100, 400), frame=(40, 40))
    assert stretched.image.size == (PANEL // 4, PANEL)


def test_objects_lie_where_they_are_shown():
    sample = shown(
        truth=objects((1, 1, [10, 5, 20, 15])),
        passed_over=objects((0, 1, [0, 0, 40, 20])),
        found=objects((2, 0.9, [0, 0, 4, 2]), (1, 0.3, [1, 1, 2, 2]), (0, 0.2, [1, 1, 2, 2])),
    )
    crowd, bee = sample.truth
    assert (crowd.text, crowd.box) == ("", (0, 0, 400, 200))
    assert (bee.text, bee.box, bee.colour) == ("bee", (100, 50, 200, 150), colour_of(1))
    assert crowd.colour not in (colour_of(0), colour_of(1))
    assert [each.text for each in sample.found] == ["bee 0.30", "#2 0.90"]  # the best one above the others


def test_masks_are_shown_as_large_as_the_image():
    pixels = np.zeros((20, 40), dtype=bool)
    pixels[5:15, 10:20] = True
    runs = mask_runs(pixels, left=0, top=0, width=40, height=20)
    (figure,) = shown(truth=objects((0, 1, [10, 5, 20, 15]), masks=(runs,))).truth
    assert figure.mask.size == (400, 200)
    mask = np.asarray(figure.mask)
    assert set(np.unique(mask)) == {0, 255}
    assert (mask[55:145, 105:195] == 255).all()
    assert abs(int((mask > 0).sum()) - 100 * 100) < 200


def test_the_same_images_are_kept_whatever_the_order_those_with_objects_first():
    def taken(names):
        choice = SampleChoice()
        for name in names:
            choice.offer(
                name, lambda name=name: Sample(name, Image.new("RGB", (1, 1)), (), ()), has_objects="x" in name
            )
        return [sample.name for sample in choice.taken()]

    names = [f"{number}{'x' * (number % 5 == 0)}" for number in range(30)]
    found = taken(names)
    assert len(found) == 8
    assert all("x" in name for name in found[:6])
    assert not any("x" in name for name in found[6:])
    assert taken(names[::-1]) == found


def test_only_what_is_kept_is_made():
    choice, made = SampleChoice(), []

    def make(name):
        made.append(name)
        return Sample(name, Image.new("RGB", (1, 1)), (), ())

    for number in range(8):
        choice.offer(str(number), lambda number=number: make(str(number)), has_objects=True)
    choice.offer("empty", lambda: make("empty"), has_objects=False)
    assert made == [str(number) for number in range(8)]
