import numpy as np
import pytest
from PIL import Image

from visiontrain.torchkit.object_views import Canvas, View, corners_to_centres
from visiontrain.torchkit.transforms import ImageConfig

MEAN = (10 / 255, 20 / 255, 30 / 255)


def canvas(mode, size=(40, 60)):
    return Canvas(ImageConfig(size, MEAN, (0.5,) * 3, interpolation="nearest", crop_pct=1.0, crop_mode=mode))


def test_a_stretched_image_fills_the_canvas():
    image = Image.new("RGB", (13, 200), (1, 2, 3))
    pixels = canvas("squash")(image)
    assert pixels.shape == (40, 60, 3)
    assert (pixels == (1, 2, 3)).all()
    assert canvas("squash").whole(13, 200) == View(0, 0, 13, 200, (40, 60))


@pytest.mark.parametrize(
    ("size", "extent"),
    [((30, 20), (40, 60)), ((100, 100), (40, 40)), ((600, 5), (1, 60)), ((5, 600), (40, 1))],
)
def test_an_image_keeps_its_shape_in_the_top_left_corner(size, extent):
    pixels = canvas("border")(Image.new("RGB", size, (200, 200, 200)))
    assert canvas("border").extent(*size) == extent
    assert (pixels[: extent[0], : extent[1]] == 200).all()
    assert (pixels[extent[0] :] == (10, 20, 30)).all()
    assert (pixels[:, extent[1] :] == (10, 20, 30)).all()


def test_models_that_want_parts_of_images_are_refused():
    with pytest.raises(ValueError, match="squash or border"):
        Canvas(ImageConfig((8, 8), MEAN, MEAN))


@pytest.mark.parametrize("mode", ["squash", "border"])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(
    "part",
    [(0, 0, 60, 40), (20, 10, 30, 20), (-30, -20, 120, 80), (-15, 5, 60, 80), (30, 20, 60, 40)],
)
def test_boxes_lie_where_their_pixels_are(part, mirrored, mode):
    left, top, width, height = part
    image = np.full((40, 60, 3), 255, dtype=np.uint8)
    image[15:30, 25:45] = (255, 0, 0)
    painter = canvas(mode, (80, 120))
    view = View(left, top, width, height, painter.extent(width, height), mirrored)
    pixels = painter.paint(Image.fromarray(image), view, (60, 40))
    rows, columns = np.nonzero((pixels == (255, 0, 0)).all(2))
    tall, wide = view.extent
    around = [columns.min() / wide, rows.min() / tall, (columns.max() + 1) / wide, (rows.max() + 1) / tall]
    (box,) = view.boxes(np.array([[25.0, 15.0, 45.0, 30.0]]))
    assert np.abs(box - around).max() <= 1 / 80 + 1e-9  # a pixel of the canvas, where sides do not fall together
    outside = (pixels == (10, 20, 30)).all(2)
    inside = (min(60, left + width) - max(0, left)) * (min(40, top + height) - max(0, top)) / (width * height)
    assert 1 - outside[:tall, :wide].mean() == pytest.approx(inside, abs=0.05)


def test_a_view_that_lies_outside_is_all_border():
    painter = canvas("squash")
    pixels = painter.paint(Image.new("RGB", (60, 40), "red"), View(70, 0, 30, 20, (40, 60)), (60, 40))
    assert (pixels == (10, 20, 30)).all()


def test_an_image_decoded_smaller_is_seen_alike():
    big = Image.new("RGB", (120, 80), "white")
    big.paste((255, 0, 0), (50, 30, 90, 60))
    view = View(30, 20, 80, 50, (40, 60), mirrored=True)
    painter = canvas("squash")
    small = big.resize((60, 40), Image.Resampling.BOX)
    assert np.array_equal(painter.paint(big, view, (120, 80)), painter.paint(small, view, (120, 80)))


def test_corners_become_centres():
    assert corners_to_centres(np.array([[1.0, 2, 5, 10]])).tolist() == [[3, 6, 4, 8]]
