import numpy as np
import pytest
import torch
from PIL import Image

from visiontrain.torchkit.augmentation import AUGMENTATIONS
from visiontrain.torchkit.object_transforms import WholeImages, object_augmentation
from visiontrain.torchkit.randomness import kept_rng, seed_sample
from visiontrain.torchkit.transforms import ImageConfig

CONFIG = ImageConfig((96, 128), (0.5,) * 3, (0.5,) * 3, interpolation="nearest", crop_pct=1.0, crop_mode="squash")
BOXES = np.array([[10.0, 10, 60, 50], [100, 30, 140, 110], [150, 5, 159, 20]])


def picture():
    image = np.zeros((120, 160, 3), dtype=np.uint8)
    for number, (x1, y1, x2, y2) in enumerate(BOXES.astype(int), start=1):
        image[y1:y2, x1:x2, 2] = 80 * number
    return Image.fromarray(image)


def seen(name, seed, config=CONFIG):
    transform = object_augmentation(name, config)
    with kept_rng():
        seed_sample(seed, 0, 0)
        chosen = transform.choose(160, 120, BOXES)
        return chosen, transform.paint(picture(), chosen.view, (160, 120))


def test_without_augmentation_images_are_whole():
    transform = object_augmentation("none", CONFIG)
    assert isinstance(transform, WholeImages)
    assert transform.decode_share(1000, 1000) == 1
    chosen, pixels = seen("none", 0)
    assert chosen.kept.all()
    assert np.array_equal(pixels, transform.canvas(picture()))


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="none, light, standard, strong"):
        object_augmentation("wild", CONFIG)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_choices_come_from_the_sample_alone(name):
    before = torch.random.get_rng_state()
    first, pixels = seen(name, 7)
    again, pixels_again = seen(name, 7)
    assert first.view == again.view
    assert np.array_equal(pixels, pixels_again)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("mode", ["squash", "border"])
@pytest.mark.parametrize("name", ["light", "standard", "strong"])
def test_boxes_lie_around_their_objects_pixels(name, mode):
    config = ImageConfig((96, 128), (0.0,) * 3, (0.5,) * 3, interpolation="nearest", crop_pct=1.0, crop_mode=mode)
    mirrored, parts, larger, checked = 0, 0, 0, 0
    for seed in range(60):
        transform = object_augmentation(name, config)
        transform._colours = None  # the objects are told apart by theirs
        with kept_rng():
            seed_sample(seed, 0, 0)
            chosen = transform.choose(160, 120, BOXES)
            pixels = transform.paint(picture(), chosen.view, (160, 120))
        view = chosen.view
        mirrored += view.mirrored
        parts += view.width < 160
        larger += view.width > 160
        assert pixels.shape == (96, 128, 3)
        tall, wide = view.extent
        for number, (box, kept) in enumerate(zip(view.boxes(BOXES), chosen.kept, strict=True), start=1):
            rows, columns = np.nonzero(pixels[..., 2] == 80 * number)
            if not kept or len(rows) == 0:
                continue
            checked += 1
            around = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
            assert np.abs(box * (wide, tall, wide, tall) - around).max() <= 1
    assert 15 < mirrored < 45
    assert parts > 5
    assert (larger > 0) == (name != "light")
    assert checked > 60


def test_objects_whose_middle_is_not_seen_are_left_out():
    dropped = 0
    for seed in range(40):
        chosen, _ = seen("strong", seed)
        view = chosen.view
        middles = (BOXES[:, :2] + BOXES[:, 2:]) / 2
        inside = ((middles > (view.left, view.top)) & (middles < (view.left + view.width, view.top + view.height))).all(
            1
        )
        assert chosen.kept.tolist() == inside.tolist()
        dropped += (~chosen.kept).sum()
    assert dropped > 5


def test_strong_changes_colours_and_leaves_the_border_alone():
    config = ImageConfig((96, 128), (0.2, 0.4, 0.6), (0.5,) * 3, crop_pct=1.0, crop_mode="border")
    transform = object_augmentation("strong", config)
    grey = Image.new("RGB", (60, 60), (200, 120, 40))
    colours = set()
    for seed in range(20):
        with kept_rng():
            seed_sample(seed, 0, 0)
            pixels = transform.paint(grey, transform.canvas.whole(60, 60), (60, 60))
        assert (pixels[:, 96:] == (51, 102, 153)).all()
        colours.add(tuple(pixels[0, 0]))
    assert len(colours) > 5


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (3000, 2), (2, 2)])
@pytest.mark.parametrize("name", ["light", "standard", "strong"])
def test_tiny_and_elongated_images_are_taken(name, size):
    transform = object_augmentation(name, CONFIG)
    box = np.array([[0.0, 0.0, *size]])
    for seed in range(8):
        with kept_rng():
            seed_sample(seed, 0, 0)
            chosen = transform.choose(*size, box)
            assert transform.paint(Image.new("RGB", size), chosen.view, size).shape == (96, 128, 3)
        with kept_rng():
            seed_sample(seed, 0, 0)
            assert len(transform.choose(*size, np.zeros((0, 4))).kept) == 0


def test_large_images_are_decoded_as_large_as_their_smallest_part_needs():
    standard = object_augmentation("standard", CONFIG)
    assert standard.decode_share(10240, 7680) == pytest.approx(2 * 128 / 10240)
    assert standard.decode_share(100, 100) == 1
