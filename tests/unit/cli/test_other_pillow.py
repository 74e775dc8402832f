"""What a framework's own decoder refuses is told before a run starts, and by a check."""

import shutil
import sys

import pytest
from PIL import Image

from visiontrain.datasets.pillow import Pillow
from visiontrain.runners import plan

TRAIN = ("--model", "count_small", "--epochs", "1", "--scratch")


@pytest.fixture
def data(shapes, tmp_path):
    """The sample with a TIFF among it."""
    copy = shutil.copytree(shapes, tmp_path / "data")
    Image.new("RGB", (32, 32), "red").save(copy / "train" / "circle" / "more.tif")
    return copy


@pytest.fixture
def refusing(tmp_path, monkeypatch):
    """Every environment has a Pillow that reads nothing."""
    folder = tmp_path / "old"
    (folder / "PIL").mkdir(parents=True)
    (folder / "PIL" / "__init__.py").write_text('__version__ = "0.1"\n')
    (folder / "PIL" / "Image.py").write_text(
        "class UnidentifiedImageError(OSError): pass\n"
        "class DecompressionBombError(Exception): pass\n"
        "def open(file): raise UnidentifiedImageError\n"
    )
    monkeypatch.setattr(plan, "pillow_of", lambda owner, python: Pillow(owner, sys.executable, str(folder), "0.1"))


def test_an_environment_without_pillow_trains_on_what_ours_reads(counting, data):
    assert counting("train", data, *TRAIN).exit_code == 0


def test_what_the_frameworks_pillow_refuses_starts_nothing(counting, home, data, refusing):
    done = counting("train", data, *TRAIN)
    assert done.exit_code == 2
    assert "train/circle/more.tif: the Pillow 0.1 that counter trains with refuses it" in done.stderr
    assert not (home / "runs").exists()
    checked = counting("dataset", "check", data)  # the environment is built now
    assert checked.exit_code == 2
    assert "the Pillow 0.1 that counter trains with refuses it" in checked.stdout
    skipped = counting("train", data, *TRAIN, "--skip-unreadable")
    assert skipped.exit_code == 0, skipped.output
    assert "more.tif: the Pillow 0.1" in skipped.stderr


def test_data_of_formats_that_all_read_is_trained_on_at_once(counting, shapes, refusing):
    assert counting("train", shapes, *TRAIN).exit_code == 0
