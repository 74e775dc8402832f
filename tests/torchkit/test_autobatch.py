"""Which batch size is found, by devices that are made up."""

import pytest

from visiontrain.errors import RunFailedError
from visiontrain.torchkit.autobatch import Trial, by_memory, by_speed, largest_batch, rounded_down

GIB = 2**30


class Device:
    """Takes so much for the model and for each image; breaks where there is no more."""

    def __init__(self, *, total=16.0, model=1.0, image=0.1, seconds=lambda images: images / 100, bend=0.0):
        self.total, self.model, self.image, self.seconds, self.bend = total, model, image, seconds, bend
        self.tried = []

    def peak(self, images):
        return int((self.model + self.image * images + self.bend * images**2) * GIB)

    def __call__(self, images):
        self.tried.append(images)
        if self.peak(images) > self.total * GIB:
            return None
        return Trial(images, self.peak(images), self.seconds(images))


@pytest.mark.parametrize("total", [2.0, 4.0, 16.0, 40.0, 80.0])
@pytest.mark.parametrize("image", [0.01, 0.05, 0.1, 0.33])
@pytest.mark.parametrize("bend", [0.0, 0.00005, -0.00003])
def test_a_gpu_is_filled_to_most_of_its_memory_and_never_beyond(total, image, bend):
    device = Device(total=total, image=image, bend=bend)
    found = by_memory(device, room=int(total * GIB), limit=1024, images=10**6)
    share = device.peak(found.images) / (total * GIB)
    assert share <= 0.85
    assert found.images == 1024 or found.images < 8 or share > 0.7 or device.peak(found.images + 8) > 0.85 * total * GIB
    assert found.images % 8 == 0 or found.images in (1, 2, 4)
    assert len(device.tried) <= 14
    assert found.images in device.tried


def test_why_it_is_said():
    found = by_memory(Device(), room=16 * GIB, limit=1024, images=10**6)
    assert (found.images, found.why) == (120, "a step takes 13.0 GiB of the 16.0 GiB that can be had")
    found = by_memory(Device(), room=16 * GIB, limit=56, images=900)
    assert found.images == 56
    assert found.why.endswith("and more would leave an epoch of 900 images too few steps")


def test_a_gpu_with_hardly_any_room():
    assert by_memory(Device(total=3, image=1), room=3 * GIB, limit=1024, images=10**6).images == 1
    with pytest.raises(RunFailedError, match="single image") as caught:
        by_memory(Device(total=1), room=GIB, limit=1024, images=10**6)
    assert "--image-size" in caught.value.instruction


def test_a_cpu_stops_where_more_is_not_faster():
    device = Device(seconds=lambda images: 0.1 + max(0.0, images - 64) / 200)
    found = by_speed(device, room=64 * GIB, limit=1024, usual=16, images=10**6)
    assert device.tried == [4, 8, 16, 32, 64, 128]
    assert (found.images, found.why) == (64, "640.0 images/s; 128 at once would bring 304.8")


def test_a_cpu_takes_no_less_than_is_usual_for_speed_alone():
    device = Device(seconds=lambda images: images / 100)
    assert by_speed(device, room=64 * GIB, limit=1024, usual=32, images=10**6).images == 32


def test_a_cpu_is_never_asked_for_memory_that_is_not_there():
    device = Device(seconds=lambda images: 1.0, total=8)
    found = by_speed(device, room=8 * GIB, limit=1024, usual=32, images=10**6)
    assert found.images == 32
    assert max(map(device.peak, device.tried)) <= 0.85 * 8 * GIB
    assert "64 would take more than 85% of the 8.0 GiB of memory" in found.why


def test_a_slow_cpu_is_not_kept_busy_with_trials():
    device = Device(seconds=float)
    found = by_speed(device, room=64 * GIB, limit=1024, usual=32, images=10**6)
    assert (found.images, device.tried) == (8, [4, 8])
    assert "a step of 16 would take more than 10 s" in found.why


@pytest.mark.parametrize(
    ("images", "usual", "limit"),
    [
        (10**7, 32, 1024),
        (6000, 32, 368),
        (600, 32, 32),
        (100, 32, 32),
        (20, 32, 16),
        (7, 32, 4),
        (1, 32, 1),
        (900, 8, 56),
    ],
)
def test_small_data_keeps_its_steps(images, usual, limit):
    assert largest_batch(images, usual) == limit
    assert rounded_down(limit) == limit
