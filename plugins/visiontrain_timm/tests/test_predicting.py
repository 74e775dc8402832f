"""Predictions: of files and of pixels, one or many, and of what is no image."""

import os
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from visiontrain.datasets.index import DatasetIndex
from visiontrain.errors import WeightsError
from visiontrain.protocol.inference import ImageSource, RawPixels
from visiontrain.torchkit import inference
from visiontrain_timm.trainer import TimmTrainer


def files(index, split="val"):
    return [image.path for image in DatasetIndex(index).images(split)]


def rows(result):
    return torch.tensor([p.classify.probabilities for p in result.predictions], dtype=torch.float64)


def test_each_image_has_probabilities_of_every_class_and_its_size(trained):
    images = list(DatasetIndex(trained.index).images("val"))
    result = trained.predict([image.path for image in images])
    assert (result.classes, result.multi_label) == (("circle", "square", "triangle"), False)
    assert [(p.width, p.height, p.error) for p in result.predictions] == [(i.width, i.height, None) for i in images]
    assert torch.allclose(rows(result).sum(1), torch.ones(15, dtype=torch.float64), atol=1e-6)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_most_probable_class_is_right_as_often_as_evaluation_says(trained, precision):
    options = {"precision": precision}
    labels = torch.tensor([image.label for image in DatasetIndex(trained.index).images("val")])
    share = (rows(trained.predict(files(trained.index), options=options)).argmax(1) == labels).double().mean()
    assert float(share) == pytest.approx(trained.evaluate(options=options)[0].metrics["accuracy"])


def test_where_an_image_may_have_several_labels_each_has_a_probability_of_its_own(harness, discs):
    harness.index = discs
    harness.train(epochs=2, learning_rate=3e-3)
    result = harness.predict(files(discs))
    assert result.multi_label
    found = rows(result)
    assert (found.sum(1) - 1).abs().max() > 0.1
    metrics = harness.evaluate()[0].metrics
    for label, name in enumerate(result.classes):
        has = torch.tensor([label in image.labels for image in DatasetIndex(discs).images("val")])
        recall = ((found[:, label] > 0.5) & has).sum() / has.sum()
        assert float(recall) == pytest.approx(metrics[f"recall/{name}"])


@pytest.mark.parametrize(
    ("precision", "rounding"), [("fp32", 1e-6), ("bf16", 1e-2)]
)  # bf16: kernels differ by processor
def test_an_image_has_the_same_probabilities_whatever_is_asked_for_beside_it(trained, precision, rounding):
    paths, options = files(trained.index), {"precision": precision}
    trainer = TimmTrainer()
    together = rows(trained.predict(paths, trainer=trainer, batch_size=15, options=options))
    for batch_size in (1, 4, 100):
        other = rows(trained.predict(paths, trainer=trainer, batch_size=batch_size, options=options))
        assert torch.allclose(other, together, rtol=0, atol=rounding)
    alone = torch.cat([rows(trained.predict([path], trainer=trainer, options=options)) for path in paths])
    assert torch.allclose(alone, together, rtol=0, atol=rounding)
    assert torch.equal(rows(trained.predict(paths, trainer=trainer, batch_size=15, options=options)), together)


@pytest.mark.parametrize("workers", [0, 3])
def test_what_is_no_image_says_why_and_the_others_go_on(trained, tmp_path, workers):
    good = files(trained.index)
    cut = tmp_path / "cut.png"
    cut.write_bytes(Path(good[0]).read_bytes()[:200])
    text = tmp_path / "notes.jpg"
    text.write_text("no image")
    asked = [good[0], cut, good[1], text, tmp_path / "absent.jpg", tmp_path, good[2]]
    found = trained.predict(asked, batch_size=2, options={"workers": workers}).predictions
    assert [p.error is None for p in found] == [True, False, True, False, False, False, True]
    assert [p.classify is None for p in found] == [False, True, False, True, True, True, False]
    for path, prediction in zip(asked, found, strict=True):
        assert prediction.error is None or str(path) in prediction.error
    assert torch.allclose(rows(trained.predict(good[:3])), torch.tensor(
        [found[number].classify.probabilities for number in (0, 2, 6)], dtype=torch.float64
    ), rtol=0, atol=1e-6)  # fmt: skip


def test_none_are_asked_for(trained):
    assert trained.predict([]).predictions == ()


def test_only_files_that_are_no_image_are_asked_for(trained, tmp_path):
    (prediction,) = trained.predict([tmp_path / "absent.jpg"]).predictions
    assert (prediction.width, prediction.classify) == (0, None)
    assert "absent.jpg" in prediction.error


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "I;16", "CMYK"])
def test_pixels_in_a_file_give_what_the_image_itself_gives(trained, tmp_path, mode):
    with Image.open(files(trained.index)[0]) as image:
        other = image.convert("RGB").resize((50, 40))
    if mode == "I;16":
        grey = other.convert("L")
        other = Image.frombytes("I;16", grey.size, b"".join(bytes((v, v)) for v in grey.tobytes()))
    else:
        other = other.convert(mode)
    suffix = "tif" if mode in ("CMYK", "I;16") else "png"
    other.save(tmp_path / f"image.{suffix}")
    content = other.tobytes()
    packed = tmp_path / "pixels.raw"
    packed.write_bytes(b"\1" * 13 + content)
    source = ImageSource(str(packed), RawPixels(mode, 50, 40, 13))
    (file, raw) = trained.predict([tmp_path / f"image.{suffix}", source]).predictions
    assert file.error is None
    assert raw == file


def test_pixels_that_are_not_there_are_an_error(trained, tmp_path):
    packed = tmp_path / "pixels.raw"
    packed.write_bytes(bytes(100))
    asked = [
        (RawPixels("RGB", 6, 6, 0), r"6 x 6 RGB takes 108 bytes, not 100"),
        (RawPixels("RGB", 2, 2, 95), "takes 12 bytes, not 5"),
        (RawPixels("RGB", 0, 2, 0), "0 x 2 pixels at 0 are no image"),
        (RawPixels("RGB", 1, 1, -1), "are no image"),
        (RawPixels("P", 2, 2, 0), "pixels of the mode 'P' can't be taken as they are"),
        (RawPixels("XYZ", 2, 2, 0), "pixels of the mode 'XYZ' can't be taken"),
    ]
    found = trained.predict([ImageSource(str(packed), raw) for raw, _ in asked]).predictions
    for prediction, (_, words) in zip(found, asked, strict=True):
        assert words in prediction.error
        assert str(packed) in prediction.error


def test_an_image_is_taken_as_it_is_shown(trained, tmp_path):
    with Image.open(files(trained.index)[0]) as image:
        wide = image.convert("RGB").resize((60, 40))
    wide.save(tmp_path / "upright.png")
    turned = wide.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    upright, shown = trained.predict([tmp_path / "upright.png", tmp_path / "turned.png"]).predictions
    assert (shown.width, shown.height) == (60, 40)
    assert shown == upright


def test_the_model_is_loaded_once_for_as_long_as_the_same_is_asked_for(trained, monkeypatch):
    loads = []
    read = inference.read_model
    monkeypatch.setattr(inference, "read_model", lambda *a, **given: loads.append(a) or read(*a, **given))
    trainer, paths = TimmTrainer(), files(trained.index)[:2]
    for _ in range(2):
        trained.predict(paths, trainer=trainer)
    trained.evaluate(trainer=trainer)
    assert len(loads) == 1
    trained.predict(paths, trainer=trainer, options={"precision": "bf16"})
    trained.predict(paths, trainer=trainer, file="last.pt")
    assert len(loads) == 3
    os.utime(trained.path(file="last.pt"), ns=(time.time_ns(), time.time_ns() + 1))
    trained.predict(paths, trainer=trainer, file="last.pt")
    assert len(loads) == 4


def test_a_checkpoint_that_is_not_there_leaves_the_trainer_working(trained):
    trainer, paths = TimmTrainer(), files(trained.index)[:1]
    for _ in range(2):
        with pytest.raises(WeightsError, match=r"absent.pt can't be read"):
            trained.predict(paths, trainer=trainer, file="absent.pt")
        assert trained.predict(paths, trainer=trainer).predictions[0].error is None
