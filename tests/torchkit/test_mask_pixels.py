import pytest
import torch
from torch.nn import functional

from visiontrain.torchkit.mask_pixels import Axis, interpolated, positive_pixels


@pytest.mark.parametrize(("height", "width"), [(4, 6), (16, 24), (9, 31), (3, 2)])
def test_pixels_are_what_torch_interpolates(height, width):
    grid = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    wanted = functional.interpolate(grid[None, None], size=(height, width), mode="bilinear", align_corners=False)[0, 0]
    down, across = Axis(5, 0.0, 5 / height), Axis(7, 0.0, 7 / width)
    found = interpolated(grid, range(height), range(width), down=down, across=across)
    assert torch.allclose(found, wanted, atol=1e-5)
    assert torch.equal(interpolated(grid, range(1, 3), range(2), down=down, across=across), found[1:3, :2])


def test_an_image_may_take_a_part_of_the_grid():
    grid = torch.arange(8.0).repeat(8, 1)
    found = interpolated(grid, range(4), range(4), down=Axis(8, 2.0, 1.0), across=Axis(8, 2.0, 1.0))
    assert found.tolist() == [[2.0, 3.0, 4.0, 5.0]] * 4


@pytest.mark.parametrize("seed", range(30))
def test_no_pixel_is_positive_outside_of_the_region(seed):
    generator = torch.Generator().manual_seed(seed)
    grid = torch.randn(6, 9, generator=generator) - 1.5
    height, width = (int(torch.randint(2, 60, (), generator=generator)) for _ in range(2))
    down, across = Axis(6, 0.3 * (seed % 3), 5 / height), Axis(9, 0.0, 9 / width)
    whole = interpolated(grid, range(height), range(width), down=down, across=across) > 0
    region = positive_pixels(grid, down=down, across=across, height=height, width=width)
    if region is None:
        assert not whole.any()
        return
    rows, columns = region
    inside = torch.zeros_like(whole)
    inside[rows.start : rows.stop, columns.start : columns.stop] = True
    assert not (whole & ~inside).any()
    assert 0 <= rows.start <= rows.stop <= height
    assert 0 <= columns.start <= columns.stop <= width


def test_where_nothing_is_positive_there_is_no_region():
    axis = Axis(4, 0.0, 1.0)
    assert positive_pixels(torch.zeros(4, 4), down=axis, across=axis, height=4, width=4) is None
