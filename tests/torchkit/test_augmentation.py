import pickle

import numpy as np
import pytest
from PIL import Image

from visiontrain.torchkit.augmentation import AUGMENTATIONS, augmentation
from visiontrain.torchkit.randomness import kept_rng, seed_sample
from visiontrain.torchkit.transforms import ImageConfig

CONFIG = ImageConfig(size=(24, 32), mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.1))


def gradient(width=80, height=60):
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, 255 - x], axis=2).astype(np.uint8))


def samples(name, count=40):
    transform = augmentation(name, CONFIG)
    for index in range(count):
        with kept_rng():
            seed_sample(0, 0, index)
            yield transform(gradient())


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("size", [(80, 60), (7, 300), (1, 1)])
def test_pixels_have_the_models_size(name, size):
    with kept_rng():
        seed_sample(0, 0, 0)
        pixels = augmentation(name, CONFIG)(gradient(*size))
    assert pixels.shape == (24, 32, 3)
    assert pixels.dtype == np.uint8


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_random_choices_come_from_the_sample_alone(name):
    first, second = ([pixels.tobytes() for pixels in samples(name)] for _ in range(2))
    assert first == second
    assert len(set(first)) == (1 if name == "none" else 40)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_loader_processes_can_be_given_it(name):
    transform = pickle.loads(pickle.dumps(augmentation(name, CONFIG)))
    with kept_rng():
        seed_sample(0, 0, 0)
        assert transform(gradient()).tobytes() == next(samples(name)).tobytes()


def test_each_is_stronger_than_the_one_before():
    def spread(name):
        return np.stack(list(samples(name))).astype(float).std(axis=0).mean()

    spreads = [spread(name) for name in AUGMENTATIONS]
    assert spreads[0] == 0
    assert spreads[0] < spreads[1] < spreads[2] < spreads[3]


def test_standard_changes_colours_where_light_only_mirrors_a_flat_image():
    flat = Image.new("RGB", (40, 40), (100, 120, 140))

    def colours(name):
        transform = augmentation(name, CONFIG)
        found = set()
        for index in range(20):
            with kept_rng():
                seed_sample(0, 0, index)
                found.add(tuple(transform(flat)[0, 0].tolist()))
        return found

    assert colours("light") == {(100, 120, 140)}
    assert len(colours("standard")) > 15


def test_strong_erases_boxes_in_a_quarter_of_the_images():
    flat = Image.new("RGB", (40, 40), (128, 102, 76))
    transform = augmentation("strong", CONFIG)
    noisy = 0
    for index in range(200):
        with kept_rng():
            seed_sample(0, 0, index)
            noisy += len(np.unique(transform(flat).reshape(-1, 3), axis=0)) > 5
    assert 25 < noisy < 80


def test_another_word_is_refused():
    with pytest.raises(ValueError, match="none, light, standard, strong"):
        augmentation("magic", CONFIG)
