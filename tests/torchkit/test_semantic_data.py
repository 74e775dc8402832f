import multiprocessing
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from visiontrain.datasets.masks import PixelClasses
from visiontrain.errors import DatasetError
from visiontrain.torchkit.data import EpochLoader, EpochSampler
from visiontrain.torchkit.loading import SavedModel
from visiontrain.torchkit.object_views import View
from visiontrain.torchkit.semantic.batches import SemanticBatch
from visiontrain.torchkit.semantic.data import IndexedMasks, SemanticClasses
from visiontrain.torchkit.semantic.mask_files import MaskReader
from visiontrain.torchkit.semantic.transforms import seen_labels, semantic_augmentation
from visiontrain.torchkit.transforms import ImageConfig

CPU = torch.device("cpu")


def config(mode="squash", size=(24, 32)):
    return ImageConfig(size, (0.5,) * 3, (0.5,) * 3, interpolation="bilinear", crop_pct=1.0, crop_mode=mode)


def halves(width, height, *, left=0, right=1):
    """Left half and right half; the image has the same colours as the mask has values, times 100."""
    mask = np.full((height, width), left, dtype=np.uint8)
    mask[:, width // 2 :] = right
    return mask


@pytest.fixture
def data(tmp_path, make_mask_index):
    images = []
    for number in range(5):
        mask = halves(40, 20 + 20 * (number % 2), left=number % 3, right=2)
        mask[0] = 255
        images.append((np.repeat(mask[..., None] % 255 * 100, 3, axis=2), mask))
    return make_mask_index({"train": images, "val": images}, ("a", "b", "c"))


def dataset(data, split="val", *, mode="squash", name="none", train=False):
    return IndexedMasks(data, split, semantic_augmentation(name, config(mode)), 0, train=train)


def test_each_pixel_has_its_class_on_the_canvas_and_in_the_image(data):
    batch = dataset(data)[[(0, 0), (0, 1)]]
    assert batch.pixels.shape == (2, 24, 32, 3)
    assert batch.labels.shape == (2, 24, 32)
    assert batch.labels.dtype == torch.uint8
    assert (batch.labels[0, 2:, :16] == 0).all()
    assert (batch.labels[0, 2:, 16:] == 2).all()
    assert (batch.labels[:, 0] == 255).all()
    assert [tuple(batch.truth_of(number).shape) for number in range(2)] == [(20, 40), (40, 40)]
    assert batch.truth_of(1)[5].tolist() == [1] * 20 + [2] * 20
    assert batch.part(slice(1, 2)).truth_of(0)[5].tolist() == [1] * 20 + [2] * 20
    assert dataset(data, "train", train=True)[[(0, 0)]].truth is None


def test_a_border_has_no_class(data):
    batch = dataset(data, mode="border")[[(0, 0), (0, 1)]]
    assert batch.extents.tolist() == [[16, 32], [24, 24]]
    assert (batch.labels[0, 16:] == 255).all()
    assert (batch.labels[1, :, 24:] == 255).all()
    assert set(batch.labels[1, 1:, :24].unique().tolist()) == {1, 2}


@pytest.mark.parametrize("mode", ["squash", "border"])
@pytest.mark.parametrize("name", ["light", "standard", "strong"])
def test_pixels_and_classes_stay_together(make_mask_index, mode, name):
    """Whatever is chosen: where the image is white the class is 1, where it is black 0, outside there is none."""
    rng = np.random.default_rng(0)
    mask = (rng.random((6, 9)) > 0.5).astype(np.uint8).repeat(20, axis=0).repeat(20, axis=1)
    data = make_mask_index({"train": [(np.repeat(mask[..., None] * 255, 3, axis=2), mask)]}, ("black", "white"))
    images = dataset(data, "train", mode=mode, name=name, train=True)
    seen = set()
    for epoch in range(12):
        batch = images[[(epoch, 0)]]
        pixels, labels = batch.pixels[0].float().mean(-1), batch.labels[0]
        seen |= set(labels.unique().tolist())
        for label in (0, 1):
            inside = pixels[labels == label]
            assert ((inside > 128) == bool(label)).float().mean() > 0.85
        if name == "light" and mode == "squash":
            assert (labels != 255).all()
    assert seen >= {0, 1}
    if name != "light":
        assert 255 in seen


def test_mirrored_and_cut_parts_are_where_they_were():
    mask = np.arange(12, dtype=np.uint8).reshape(3, 4)
    whole = View(0, 0, 4, 3, (3, 4))
    assert np.array_equal(seen_labels(mask, whole, (3, 4), 255), mask)
    mirrored = View(0, 0, 4, 3, (3, 4), mirrored=True)
    assert np.array_equal(seen_labels(mask, mirrored, (3, 4), 255), mask[:, ::-1])
    part = View(-1, 1, 2, 2, (2, 2))
    assert seen_labels(mask, part, (2, 3), 255).tolist() == [[255, 4, 255], [255, 8, 255]]
    twice = View(1, 0, 2, 2, (4, 4))
    assert seen_labels(mask, twice, (4, 4), 255).tolist() == [[1, 1, 2, 2]] * 2 + [[5, 5, 6, 6]] * 2


@pytest.mark.parametrize("name", ["none", "standard", "strong"])
def test_samples_are_the_same_however_they_are_loaded(data, name):
    def epochs(workers):
        sampler = EpochSampler(5, 2, 3, train=True)
        source = EpochLoader(dataset(data, "train", name=name, train=True), sampler, workers=workers, device=CPU)
        found = [list(source.epoch(0)), list(source.epoch(1)), list(source.epoch(1, start=1))]
        source.close()
        return [batch for epoch in found for batch in epoch]

    alone, processes = epochs(0), epochs(2)
    assert multiprocessing.active_children() == []
    for one, other in zip(alone, processes, strict=True):
        assert torch.equal(one.pixels, other.pixels)
        assert torch.equal(one.labels, other.labels)
        assert one.sources == other.sources
    assert torch.equal(alone[3].labels, alone[4].labels)
    if name != "none":
        first = [batch.pixels for batch in alone[:2]]
        assert not all(torch.equal(one, other.pixels) for one, other in zip(first, alone[2:4], strict=True))


@pytest.mark.parametrize("mode", ["1", "L", "P", "I;16", "I"])
def test_masks_of_every_kind_are_read(tmp_path, mode):
    values = np.array([[0, 1, 1], [1, 0, 0]])
    if mode in ("1", "P"):
        image = Image.fromarray((values * (255 if mode == "1" else 1)).astype(np.uint8)).convert(mode)
        if mode == "P":
            image = Image.fromarray(values.astype(np.uint8))
            image.putpalette([0, 0, 0, 9, 9, 9])
    else:
        image = Image.fromarray(values.astype({"L": np.uint8, "I;16": np.uint16, "I": np.int32}[mode]))
    file = tmp_path / f"mask.{'tif' if mode == 'I' else 'png'}"
    image.save(file)
    found = MaskReader(PixelClasses((1, 0), ())).read(str(file), 3, 2)
    assert found.tolist() == (1 - values).tolist()
    assert found.dtype == np.uint8


def test_values_have_gaps_and_may_be_ignored(tmp_path):
    Image.fromarray(np.array([[0, 7, 300, 9]], dtype=np.uint16)).save(tmp_path / "mask.png")
    reader = MaskReader(PixelClasses((7, 300), (0,)))
    assert reader.read(str(tmp_path / "mask.png"), 4, 1).tolist() == [[255, 0, 1, 255]]
    many = MaskReader(PixelClasses(tuple(range(1, 301)), (0,)))
    found = many.read(str(tmp_path / "mask.png"), 4, 1)
    assert found.tolist() == [[65535, 6, 299, 8]]
    assert found.dtype == np.int32


@pytest.mark.parametrize("content", [b"", b"no image"])
def test_a_broken_mask_is_named(data, content):
    name = data.image("val", 0).mask
    Path(name).write_bytes(content)
    batch = dataset(data)[[(0, 0)]]
    assert len(batch) == 0
    assert name in batch.error
    assert "Traceback" not in batch.error


def test_a_mask_that_was_changed_is_an_error(data):
    name = data.image("val", 0).mask
    Image.new("L", (7, 5)).save(name)
    batch = dataset(data)[[(0, 0)]]
    assert f"{name}: can't be read as a mask of classes" in batch.error
    Image.new("RGB", (40, 20)).save(name)
    assert "can't be read" in dataset(data)[[(0, 0)]].error


def test_classes_become_those_of_the_model(data, tmp_path):
    def model(classes):
        return SavedModel(tmp_path / "b.pt", "mine", "semantic", "net", classes, False, config(), {}, 1, {})

    before = dataset(data)[[(0, 4)]]
    batch = SemanticClasses(data, model(("c", "x", "a", "b")))(before)
    assert before.labels[0, 5].tolist() == [1] * 16 + [2] * 16
    assert batch.labels[0, 5].tolist() == [3] * 16 + [0] * 16
    assert batch.truth_of(0)[0].tolist() == [255] * 40
    many = SemanticClasses(data, model(("c", *(f"n{number}" for number in range(300)), "a", "b")))(before)
    assert many.ignored == 65535
    assert many.labels[0, 5].tolist() == [302] * 16 + [0] * 16
    assert many.labels[0, 0].tolist() == [65535] * 32
    with pytest.raises(DatasetError, match=r"'c', which .* does not know"):
        SemanticClasses(data, model(("a", "b")))


def test_data_without_masks_is_refused(tmp_path, make_index):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    data = make_index({"val": [(tmp_path / "a.png", 0)]})
    with pytest.raises(DatasetError, match="masks of classes are wanted"):
        IndexedMasks(data, "val", semantic_augmentation("none", config()), 0, train=False)


def test_a_batch_to_try_out_is_like_a_real_one():
    state = torch.get_rng_state()
    batch = SemanticBatch.made_up(3, (8, 16), classes=300, seed=0)
    assert torch.equal(state, torch.get_rng_state())
    assert batch.pixels.shape == (3, 8, 16, 3)
    assert batch.labels.dtype == torch.int32
    assert len(batch.part(slice(1, 3))) == 2
    assert batch.to(torch.device("meta")).labels.device.type == "meta"
    with pytest.raises(ValueError, match="training batch"):
        batch.truth_of(0)
