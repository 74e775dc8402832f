import pytest
from PIL import Image

from visiontrain.painting import Figure
from visiontrain.torchkit.contact_sheet import PANEL, Sample, write_sheet

RED, BLUE = (255, 0, 0), (0, 0, 255)


def sample(name, size, truth=(), found=()):
    return Sample(name, Image.new("RGB", size, (200, 200, 200)), tuple(truth), tuple(found))


def colours_of(image, box):
    return {colour for _, colour in image.crop(box).getcolors(1 << 20)}


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_truth_is_left_of_what_was_found(tmp_path, count):
    one, other = Figure("", RED, (20, 20, 90, 90)), Figure("cat 0.9", BLUE, (20, 20, 90, 90))
    samples = [sample(f"{number}.png", (PANEL, 200 + number), [one], [other]) for number in range(count)]
    (written,) = write_sheet(tmp_path / "a", samples, edges=(), heading="Epoch 3")
    assert (written[0].name, written[1]) == ("samples.png", "picture")
    with Image.open(written[0]) as sheet:
        sheet.load()
    middle = 16 + PANEL + 4
    assert RED in colours_of(sheet, (0, 0, middle, sheet.height))
    assert BLUE not in colours_of(sheet, (0, 0, middle, sheet.height))
    assert BLUE in colours_of(sheet, (middle, 0, 2 * PANEL + 24, sheet.height))
    pairs = sheet.width // (2 * PANEL)
    assert pairs == min(count, 2)
    assert sheet.height > -(-count // 2) * 200
    assert samples[0].image.getcolors() == [(PANEL * 200, (200, 200, 200))]  # as it was


def test_without_images_there_is_nothing_to_write(tmp_path):
    assert write_sheet(tmp_path / "a", [], edges=(), heading="Epoch 3") == []
    assert not (tmp_path / "a").exists()
