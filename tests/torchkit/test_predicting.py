"""Batches of predictions: images of one shape together, in their order, and no more waiting than told."""

import numpy as np
import pytest
from PIL import Image

from visiontrain.protocol.inference import ImagePrediction, ImageSource
from visiontrain.torchkit.predicting import predict_images


class AsTheyAre:
    """Pixels of each image in its own shape."""

    def decode_share(self, width, height):
        return 1.0

    def __call__(self, image):
        return np.asarray(image)


@pytest.fixture
def photos(tmp_path):
    made = []
    for number in range(20):
        size = (4 + number % 3, 5)
        Image.new("RGB", size, (number, 0, 0)).save(tmp_path / f"{number}.png")
        made.append(ImageSource(str(tmp_path / f"{number}.png")))
    made.insert(7, ImageSource(str(tmp_path / "absent.png")))
    return made


@pytest.mark.parametrize("batch_size", [1, 2, 4, 100])
def test_images_of_one_shape_are_computed_together_and_come_in_their_order(photos, batch_size):
    batches = []

    def compute(pixels, sizes):
        batches.append(len(pixels))
        assert {size[0] for size in sizes} == {pixels.shape[2]}
        return [ImagePrediction(*size, error=str(int(each[0, 0, 0]))) for size, each in zip(sizes, pixels, strict=True)]

    found = predict_images(photos, AsTheyAre(), compute, batch_size=batch_size, threads=2)
    numbers = [*range(7), None, *range(7, 20)]
    for prediction, number in zip(found, numbers, strict=True):
        if number is None:
            assert "absent.png" in prediction.error
        else:
            assert (prediction.width, prediction.error) == (4 + number % 3, str(number))
    assert sum(batches) == 20
    assert max(batches) == min(batch_size, 7)


def test_what_waits_for_others_of_its_shape_does_not_wait_for_ever(tmp_path):
    sources, waiting = [], []
    for number in range(12):
        Image.new("RGB", (3 + number, 3)).save(tmp_path / f"{number}.png")
        sources.append(ImageSource(str(tmp_path / f"{number}.png")))

    class Counting(AsTheyAre):
        def __call__(self, image):
            waiting.append(image.width)
            return super().__call__(image)

    begun = []

    def compute(pixels, sizes):
        begun.append(len(waiting))
        return [ImagePrediction(*size) for size in sizes]

    found = predict_images(sources, Counting(), compute, batch_size=2, threads=1)
    assert [prediction.width for prediction in found] == list(range(3, 15))
    assert begun[0] < 12
