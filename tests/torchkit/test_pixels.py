"""Pixels of files that are written here byte by byte, against colours worked out from what was written."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from visiontrain.torchkit.images import read_rgb

HEIGHT, WIDTH = 7, 11  # no multiple of 8: rows of few bits end within a byte


def noise(*shape, top=256, seed=0):
    return np.random.default_rng(seed).integers(0, top, shape, dtype=np.int64)


def read(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    return np.asarray(read_rgb(str(tmp_path / name))).astype(int)


def grey(values):
    return np.repeat(np.asarray(values)[..., None], 3, axis=2)


def over_white(colours, alpha):
    """Colours (height, width, 3) of 0 to 255 with alpha (height, width) of 0 to 1."""
    return colours * alpha[..., None] + 255 * (1 - alpha[..., None])


def assert_close(found, wanted, within=1.0):
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= within


def png(samples, depth, colour, *, palette=None, transparent=None):
    """A PNG file: samples (height, width, channels) of `depth` bits."""
    height, width, channels = samples.shape
    rows = b""
    for row in samples.reshape(height, width * channels):
        if depth == 16:
            rows += b"\0" + row.astype(">u2").tobytes()
        else:
            bits = "".join(f"{value:0{depth}b}" for value in row)
            rows += b"\0" + bytes(int(bits[i : i + 8].ljust(8, "0"), 2) for i in range(0, len(bits), 8))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    extra = chunk(b"PLTE", palette) if palette else b""
    extra += chunk(b"tRNS", transparent) if transparent else b""
    return b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff(samples, *, order, photometric, extra_samples=None):
    """An uncompressed TIFF file: samples (height, width, channels), uint8 or uint16; `order` is < or >."""
    height, width, channels = samples.shape
    bits = samples.dtype.itemsize * 8
    data = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    start = 8
    depths = start + len(data)
    directory = depths + 2 * channels
    tags = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, channels, bits if channels == 1 else depths), (259, 3, 1, 1),
        (262, 3, 1, photometric), (273, 4, 1, start), (277, 3, 1, channels), (278, 4, 1, height),
        (279, 4, 1, len(data)),
    ]  # fmt: skip
    if photometric == 5:
        tags.append((332, 3, 1, 1))  # the inks are cyan, magenta, yellow and black
    if extra_samples is not None:
        tags.append((338, 3, 1, extra_samples))
    found = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, directory) + data
    found += struct.pack(f"{order}{channels}H", *[bits] * channels) + struct.pack(f"{order}H", len(tags))
    for tag, kind, count, value in tags:
        short = kind == 3 and count == 1
        found += struct.pack(f"{order}HHI", tag, kind, count)
        found += struct.pack(f"{order}H2x" if short else f"{order}I", value)
    return found + struct.pack(f"{order}I", 0)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_grey_png_of_every_depth(tmp_path, depth):
    samples = noise(HEIGHT, WIDTH, 1, top=2**depth)
    found = read(tmp_path, "grey.png", png(samples, depth, 0))
    assert_close(found, grey(samples[..., 0] * 255 / (2**depth - 1)), within=0.51)


@pytest.mark.parametrize("depth", [8, 16])
def test_colour_png(tmp_path, depth):
    samples = noise(HEIGHT, WIDTH, 3, top=2**depth)
    assert_close(read(tmp_path, "rgb.png", png(samples, depth, 2)), samples * 255 / (2**depth - 1))


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("colour", [4, 6])
def test_png_with_alpha_lies_over_white(tmp_path, depth, colour):
    samples = noise(HEIGHT, WIDTH, 2 if colour == 4 else 4, top=2**depth)
    share = samples / (2**depth - 1)
    colours = grey(share[..., 0] * 255) if colour == 4 else share[..., :3] * 255
    found = read(tmp_path, "alpha.png", png(samples, depth, colour))
    assert_close(found, over_white(colours, share[..., -1]), within=2.0)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_palette_png(tmp_path, depth):
    colours = noise(2**depth, 3, seed=1)
    samples = noise(HEIGHT, WIDTH, 1, top=2**depth)
    found = read(tmp_path, "palette.png", png(samples, depth, 3, palette=colours.astype(np.uint8).tobytes()))
    assert_close(found, colours[samples[..., 0]], within=0)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_palette_png_with_transparent_entries(tmp_path, depth):
    colours, alpha = noise(2**depth, 3, seed=1), noise(2**depth, seed=2)
    alpha[0] = 0
    samples = noise(HEIGHT, WIDTH, 1, top=2**depth)
    data = png(
        samples, depth, 3, palette=colours.astype(np.uint8).tobytes(), transparent=alpha.astype(np.uint8).tobytes()
    )
    chosen = samples[..., 0]
    assert_close(read(tmp_path, "p.png", data), over_white(colours[chosen], alpha[chosen] / 255))


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_one_grey_that_is_transparent(tmp_path, depth):
    samples = noise(HEIGHT, WIDTH, 1, top=2**depth)
    through = int(samples[3, 4, 0])
    wanted = grey(np.where(samples[..., 0] == through, 255, samples[..., 0] * 255 / (2**depth - 1)))
    found = read(tmp_path, "g.png", png(samples, depth, 0, transparent=struct.pack(">H", through)))
    assert_close(found, wanted, within=0.51)


def test_one_colour_that_is_transparent(tmp_path):
    samples = noise(HEIGHT, WIDTH, 3)
    wanted = samples.copy()
    wanted[3, 4] = 255
    found = read(tmp_path, "c.png", png(samples, 8, 2, transparent=struct.pack(">3H", *samples[3, 4])))
    assert_close(found, wanted, within=0)


#: But for 16 bits from white to black in big-endian order, which Pillow refuses: the check names such files.
TIFFS = [("<", 0, np.uint8), ("<", 1, np.uint8), ("<", 0, np.uint16), ("<", 1, np.uint16)]


@pytest.mark.parametrize(
    ("order", "photometric", "kind"), [*TIFFS, (">", 0, np.uint8), (">", 1, np.uint8), (">", 1, np.uint16)]
)
def test_grey_tiff_of_either_byte_order_and_polarity(tmp_path, order, photometric, kind):
    top = np.iinfo(kind).max
    samples = noise(HEIGHT, WIDTH, 1, top=top + 1).astype(kind)
    share = samples[..., 0] / top
    found = read(tmp_path, "grey.tif", tiff(samples, order=order, photometric=photometric))
    assert_close(found, grey(255 * (share if photometric else 1 - share)), within=0.51)


@pytest.mark.parametrize("order", ["<", ">"])
def test_cmyk_tiff(tmp_path, order):
    samples = noise(HEIGHT, WIDTH, 4).astype(np.uint8)
    ink = samples / 255
    wanted = 255 * (1 - ink[..., :3]) * (1 - ink[..., 3:])
    assert_close(read(tmp_path, "cmyk.tif", tiff(samples, order=order, photometric=5)), wanted, within=1.5)


def test_tiff_with_alpha_lies_over_white(tmp_path):
    samples = noise(HEIGHT, WIDTH, 4).astype(np.uint8)
    found = read(tmp_path, "alpha.tif", tiff(samples, order="<", photometric=2, extra_samples=2))
    assert_close(found, over_white(samples[..., :3], samples[..., 3] / 255))


@pytest.mark.parametrize("top", [255, 1000, 4095, 65535])
def test_grey_portable_maps_up_to_any_value(tmp_path, top):
    samples = noise(HEIGHT, WIDTH, top=top + 1)
    data = b"P5\n%d %d\n%d\n" % (WIDTH, HEIGHT, top) + samples.astype(np.uint8 if top < 256 else ">u2").tobytes()
    assert_close(read(tmp_path, "grey.pgm", data), grey(samples * 255 / top))


def test_cmyk_jpeg_whose_inks_are_stored_inverted(tmp_path):
    """As image editors store it. The picture is smooth: a JPEG of noise is another picture."""
    down, across = np.mgrid[0:48, 0:64]
    ink = np.stack([across / 63, down / 47, 1 - across / 63, np.full(down.shape, 0.2)], axis=-1)
    Image.fromarray(np.rint(ink * 255).astype(np.uint8), "CMYK").save(tmp_path / "cmyk.jpg", quality=98)
    data = (tmp_path / "cmyk.jpg").read_bytes()
    assert b"Adobe" in data[:64]
    wanted = 255 * (1 - ink[..., :3]) * (1 - ink[..., 3:])
    assert_close(read(tmp_path, "cmyk.jpg", data), wanted, within=6)


def test_grey_jpeg(tmp_path):
    down, across = np.mgrid[0:48, 0:64]
    values = np.rint((down + across) * 255 / 110).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "grey.jpg", quality=98)
    assert_close(read(tmp_path, "grey.jpg", (tmp_path / "grey.jpg").read_bytes()), grey(values.astype(int)), within=3)


def test_names_with_spaces_and_of_every_script_and_links(tmp_path):
    data = png(noise(HEIGHT, WIDTH, 3), 8, 2)
    wanted = read(tmp_path, "plain.png", data)
    for name in ("two words.png", "naïve ünïcode.png", "猫 и кот.png", "line\nbreak.png", "100%#?.png", "-o.png"):
        assert_close(read(tmp_path, name, data), wanted, within=0)
    (tmp_path / "link to it.png").symlink_to("猫 и кот.png")
    assert_close(np.asarray(read_rgb(str(tmp_path / "link to it.png"))).astype(int), wanted, within=0)
