import threading

import pytest
import torch
from PIL import Image

from visiontrain.errors import DatasetError
from visiontrain.protocol.inference import ImageSource, RawPixels
from visiontrain.torchkit.decoding import decode_ahead, read_source
from visiontrain.torchkit.predicting import classify_images, probabilities
from visiontrain.torchkit.transforms import EvalTransform, ImageConfig

TRANSFORM = EvalTransform(ImageConfig(size=(4, 4), mean=(0.5,) * 3, std=(0.5,) * 3))


@pytest.fixture
def sources(tmp_path):
    found = []
    for number in range(12):
        Image.new("RGB", (5, 6 + number), (number, 0, 0)).save(tmp_path / f"{number}.png")
        found.append(ImageSource(str(tmp_path / f"{number}.png")))
    return found


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 12])
def test_images_come_in_their_order(sources, threads, count):
    found = list(decode_ahead(sources[:count], TRANSFORM, threads=threads, ahead=4))
    assert [image.height for image in found] == [6 + number for number in range(count)]
    assert [int(image.pixels[0, 0, 0]) for image in found] == list(range(count))


def test_no_more_are_held_than_were_asked_for(sources):
    started = []

    class Counted(EvalTransform):
        def __call__(self, image):
            started.append(image.height)
            return super().__call__(image)

    images = decode_ahead(sources, Counted(TRANSFORM.config), threads=2, ahead=3)
    next(images)
    images.close()
    assert len(started) <= 4


def test_no_thread_is_left_behind(sources):
    before = threading.active_count()
    images = decode_ahead(sources, TRANSFORM, threads=2, ahead=3)
    next(images)
    assert threading.active_count() > before
    images.close()
    assert threading.active_count() == before


def test_pixels_are_read_where_they_lie(tmp_path):
    image = Image.effect_noise((7, 5), 90).convert("RGB")
    path = tmp_path / "pixels"
    path.write_bytes(b"abc" + image.tobytes() + b"more")
    assert read_source(ImageSource(str(path), RawPixels("RGB", 7, 5, 3))).tobytes() == image.tobytes()
    with pytest.raises(DatasetError, match="absent: can't be read"):
        read_source(ImageSource(str(tmp_path / "absent"), RawPixels("RGB", 7, 5, 3)))


def test_batches_are_as_large_as_asked_for_and_leave_out_what_is_no_image(sources, tmp_path):
    seen = []

    def scorer(pixels):
        seen.append(len(pixels))
        return torch.stack([pixels[:, 0, 0, 0].float(), pixels[:, 0, 0, 1].float()], 1)

    asked = [*sources[:3], ImageSource(str(tmp_path / "absent.png")), *sources[3:]]
    found = classify_images(asked, TRANSFORM, scorer, batch_size=5, threads=2)
    assert seen == [5, 5, 2]
    assert [p.classify and p.classify.probabilities[0] for p in found] == [0, 1, 2, None, *range(3, 12)]
    assert "absent.png" in found[3].error


def test_probabilities_by_hand():
    scores = torch.tensor([[0.0, 2.0, -1.0]], dtype=torch.bfloat16)
    one = probabilities(scores, multi_label=False)
    assert one.dtype == torch.float32
    assert one.tolist()[0] == pytest.approx([0.11419519, 0.84379473, 0.04201007])
    assert probabilities(scores, multi_label=True).tolist()[0] == pytest.approx([0.5, 0.88079708, 0.26894142])
