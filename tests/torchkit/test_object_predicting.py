import numpy as np
import pytest
import torch
from PIL import Image

from visiontrain.datasets.masks import Mask
from visiontrain.errors import RunFailedError
from visiontrain.protocol.inference import ImageSource
from visiontrain.torchkit.object_found import FoundObjects
from visiontrain.torchkit.object_predicting import ObjectPredictor, find_in_images
from visiontrain.torchkit.object_views import Canvas
from visiontrain.torchkit.transforms import ImageConfig

CPU = torch.device("cpu")


def canvas(mode):
    return Canvas(ImageConfig((32, 32), (0.0,) * 3, (1.0,) * 3, interpolation="nearest", crop_pct=1.0, crop_mode=mode))


def find(pixels, extents, *, masks=True):
    """What is bright, as class 1 with a score of 0.75; and the whole image, as class 0 with 0.25."""
    found = []
    for image, (height, width) in zip(pixels, extents.tolist(), strict=True):
        bright = (image[..., 0] > 127).float()
        rows, columns = bright.nonzero(as_tuple=True)
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        left, top, right, bottom = (float(each) for each in box)
        boxes = [
            [(left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width, (bottom - top) / height],
            [0.5, 0.5, 1.0, 1.0],
        ]
        grids = torch.stack([bright * 2 - 1, torch.ones_like(bright)]) if masks else None
        found.append(FoundObjects(torch.tensor([0.75, 0.25]), torch.tensor([1, 0]), torch.tensor(boxes), grids))
    return found


def save(path, size, box, **options):
    pixels = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    pixels[box[1] : box[3], box[0] : box[2]] = 255
    Image.fromarray(pixels).save(path, **options)
    return ImageSource(str(path))


def answers(sources, mode="squash", *, confidence=0.5, batch_size=4, masks=True):
    predictor = ObjectPredictor(lambda p, e: find(p, e, masks=masks), canvas(mode), CPU, "fp32")
    return find_in_images(sources, predictor, confidence=confidence, limit=100, batch_size=batch_size, threads=2)


@pytest.mark.parametrize("mode", ["squash", "border"])
def test_objects_are_in_pixels_of_the_image(tmp_path, mode):
    sizes, boxes = ((64, 32), (64, 128)), ((16, 8, 48, 24), (0, 64, 32, 128))
    sources = [save(tmp_path / f"{n}.png", *each) for n, each in enumerate(zip(sizes, boxes, strict=True))]
    for found, size, wanted in zip(answers(sources, mode), sizes, boxes, strict=True):
        (one,) = found.objects
        assert (one.label, one.score) == (1, 0.75)
        assert one.box == pytest.approx(wanted)
        assert (found.width, found.height) == size
        mask = Mask(one.mask.height, one.mask.width, one.mask.data.encode())
        assert (mask.width, mask.height) == (found.width, found.height)
        assert np.abs(np.array(mask.box()) - wanted).max() <= 2
        assert one.quad is None
        assert one.keypoints == ()


def test_the_confidence_decides_and_the_best_comes_first(tmp_path):
    source = save(tmp_path / "a.png", (64, 32), (16, 8, 48, 24))
    (found,) = answers([source], confidence=0.25, masks=False)
    assert [each.label for each in found.objects] == [1, 0]
    assert found.objects[1].box == (0, 0, 64, 32)
    assert found.objects[0].mask is None
    assert answers([source], confidence=0.8)[0].objects == ()


def test_unreadable_images_say_why_and_the_others_go_on(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    good = save(tmp_path / "a.png", (64, 32), (16, 8, 48, 24))
    found = answers([good, ImageSource(str(tmp_path / "broken.png")), good], batch_size=1)
    assert [each.error is None for each in found] == [True, False, True]
    assert "broken.png" in found[1].error
    assert found[1].objects is None
    assert found[0] == found[2]


def test_a_photo_that_is_stored_on_its_side_is_told_as_it_is_shown(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # what is top left is shown top right
    source = save(tmp_path / "a.png", (64, 32), (0, 0, 16, 8), exif=exif)
    (found,) = answers([source])
    assert (found.width, found.height) == (32, 64)
    assert found.objects[0].box == pytest.approx((24, 0, 32, 16))


def test_alone_or_among_others_an_image_has_the_same_objects(tmp_path):
    sources = [save(tmp_path / f"{n}.png", (40 + n, 30), (n, 2, n + 20, 20)) for n in range(7)]
    together = answers(sources, "border", confidence=0.1)
    assert together == tuple(answers([source], "border", confidence=0.1)[0] for source in sources)


def test_what_memory_has_no_room_for_is_split(tmp_path):
    sources = [save(tmp_path / f"{n}.png", (40, 30), (n, 2, n + 20, 20)) for n in range(4)]
    seen = []

    def small(pixels, extents):
        seen.append(len(pixels))
        if len(pixels) > 1:
            raise torch.OutOfMemoryError("out of memory")
        return find(pixels, extents)

    predictor = ObjectPredictor(small, canvas("squash"), CPU, "fp32")
    found = find_in_images(sources, predictor, confidence=0.5, limit=9, batch_size=4, threads=1)
    assert found == answers(sources)
    assert seen == [4, 2, 1, 1, 1, 1]

    def full(_pixels, _extents):
        raise torch.OutOfMemoryError("out of memory")

    predictor = ObjectPredictor(full, canvas("squash"), CPU, "fp32")
    with pytest.raises(RunFailedError, match="no room for a prediction with a single image"):
        find_in_images(sources, predictor, confidence=0.5, limit=9, batch_size=4, threads=1)
