import json
import random

import numpy as np
import pytest
import torch
from PIL import Image

from visiontrain.torchkit import transforms
from visiontrain.torchkit.randomness import capture_rng, derive_seed, kept_rng, restore_rng, seed_sample
from visiontrain.torchkit.transforms import EvalTransform, ImageConfig, LightAugmentation, Normalize

CONFIG = ImageConfig(size=(32, 32), mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.1))


def gradient(width, height):
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, x], axis=2).astype(np.uint8))


@pytest.mark.parametrize("mode", ["center", "squash", "border"])
@pytest.mark.parametrize("size", [(100, 40), (40, 100), (10, 10), (1, 300)])
def test_evaluation_gives_the_models_size(mode, size):
    config = ImageConfig(size=(24, 32), mean=CONFIG.mean, std=CONFIG.std, crop_mode=mode)
    pixels = EvalTransform(config)(gradient(*size))
    assert pixels.shape == (24, 32, 3)
    assert pixels.dtype == np.uint8


@pytest.mark.parametrize("size", [(2000, 30), (30, 2000)])
def test_of_a_long_image_the_middle_alone_is_resized(monkeypatch, size):
    image, transform = gradient(*size), EvalTransform(CONFIG)
    part = transform(image)
    monkeypatch.setattr(transforms, "_ELONGATED", 10**9)
    assert np.abs(part.astype(int) - transform(image)).max() <= 1


def test_a_line_takes_no_more_memory_than_what_the_model_sees(monkeypatch):
    resized = []
    resize = Image.Image.resize
    monkeypatch.setattr(
        Image.Image, "resize", lambda *given, **named: resized.append(given[1]) or resize(*given, **named)
    )
    for size in ((60000, 1), (1, 60000)):
        assert EvalTransform(CONFIG)(Image.new("RGB", size)).shape == (32, 32, 3)
    assert resized == [(32, 32)] * 2


def test_a_border_has_the_mean_colour():
    config = ImageConfig(size=(32, 32), mean=CONFIG.mean, std=CONFIG.std, crop_pct=1.0, crop_mode="border")
    assert EvalTransform(config)(gradient(100, 40))[0, 0].tolist() == [128, 102, 76]


def test_unknown_words_are_refused():
    with pytest.raises(ValueError, match="interpolation"):
        ImageConfig(size=(1, 1), mean=(0,), std=(1,), interpolation="magic")
    with pytest.raises(ValueError, match="crop_mode"):
        ImageConfig(size=(1, 1), mean=(0,), std=(1,), crop_mode="magic")


def test_a_checkpoint_gets_plain_values():
    plain = CONFIG.to_plain()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["size"] == [32, 32]


def test_augmentation_depends_on_the_sample_alone():
    augment, image = LightAugmentation(CONFIG), gradient(80, 60)

    def sample(*key):
        with kept_rng():
            seed_sample(*key)
            return augment(image).tobytes()

    assert sample(0, 0, 0) == sample(0, 0, 0)
    assert len({sample(*key) for key in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]}) == 4


def test_augmentation_sees_the_share_of_the_image_that_it_says():
    augment = LightAugmentation(CONFIG, scale=(0.5, 1.0), flip=0.0)
    for index in range(50):
        with kept_rng():
            seed_sample(0, 0, index)
            left, top, right, bottom = augment._crop(100, 60)
        assert 0 <= left < right <= 100 + 1e-9
        assert 0 <= top < bottom <= 60 + 1e-9
        assert (right - left) * (bottom - top) >= 0.5 * 6000 * 0.75


def test_decoding_keeps_enough_for_the_smallest_crop():
    augment = LightAugmentation(CONFIG, scale=(0.25, 1.0), ratio=(1.0, 1.0))
    assert augment.decode_share(640, 640) == pytest.approx(0.1)
    assert augment.decode_share(640, 64) == 1.0
    assert EvalTransform(CONFIG).decode_share(5000, 5000) == 1.0


def test_kept_rng_puts_the_state_back():
    before = capture_rng(torch.device("cpu"))
    with kept_rng():
        seed_sample(1, 2, 3)
        first = torch.rand(1).item(), random.random(), np.random.rand()
    with kept_rng():
        seed_sample(1, 2, 3)
        assert (torch.rand(1).item(), random.random(), np.random.rand()) == first
    after = capture_rng(torch.device("cpu"))
    assert torch.equal(before.pop("torch"), after.pop("torch"))
    assert before == after


def test_restored_state_goes_on_the_same():
    state = capture_rng(torch.device("cpu"))
    first = torch.rand(1).item(), random.random(), np.random.randn()
    restore_rng(state, torch.device("cpu"))
    assert (torch.rand(1).item(), random.random(), np.random.randn()) == first


def test_seeds_are_the_same_everywhere():
    assert derive_seed(1, 2, 3) == 733464669408481064
    assert derive_seed(12, 3) != derive_seed(1, 23)


@pytest.mark.parametrize("channels_last", [True, False])
def test_normalize(channels_last):
    pixels = torch.randint(0, 256, (2, 4, 5, 3), dtype=torch.uint8)
    found = Normalize(CONFIG, torch.device("cpu"), channels_last=channels_last)(pixels)
    wanted = (pixels / 255 - torch.tensor(CONFIG.mean)) / torch.tensor(CONFIG.std)
    torch.testing.assert_close(found, wanted.permute(0, 3, 1, 2))
    layout = torch.channels_last if channels_last else torch.contiguous_format
    assert found.is_contiguous(memory_format=layout)
