import threading

import pytest
import torch
from PIL import Image

from visiontrain.errors import DatasetError, RunFailedError
from visiontrain.protocol.inference import ImageSource, RawPixels
from visiontrain.torchkit.decoding import decode_ahead, read_source
from visiontrain.torchkit.predicting import Scorer, classify_images, probabilities
from visiontrain.torchkit.transforms import EvalTransform, ImageConfig, Normalize

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


class Narrow(torch.nn.Module):
    """Has room for some images at once; counts what it computes."""

    def __init__(self, room):
        super().__init__()
        self.room, self.seen = room, []

    def forward(self, images):
        if len(images) > self.room:
            raise RuntimeError("MPS backend out of memory")
        self.seen.append(len(images))
        return images.mean((2, 3))


def scorer_of(model):
    config = TRANSFORM.config
    return Scorer(model, Normalize(config, torch.device("cpu")), torch.device("cpu"), "fp32", multi_label=True)


def test_where_memory_is_short_fewer_are_computed_at_once_and_later_ones_too():
    pixels = torch.randint(0, 256, (10, 4, 4, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    roomy, narrow = Narrow(100), Narrow(3)
    scorer = scorer_of(narrow)
    assert torch.equal(scorer(pixels), scorer_of(roomy)(pixels))
    assert narrow.seen == [2, 3, 2, 3]
    scorer(pixels)
    assert narrow.seen == [2, 3, 2, 3] * 2


def test_memory_for_not_even_one_image_is_an_error():
    with pytest.raises(RunFailedError, match="the memory of cpu has no room for a prediction with a single image: MPS"):
        scorer_of(Narrow(0))(torch.zeros(2, 4, 4, 3, dtype=torch.uint8))


def test_another_error_of_the_model_is_passed_on():
    with pytest.raises(ZeroDivisionError):
        scorer_of(lambda images: 1 / 0)(torch.zeros(2, 4, 4, 3, dtype=torch.uint8))
