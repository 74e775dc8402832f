"""The generated samples of objects are learnt within two minutes on a CPU, from scratch, by the smallest model."""

from __future__ import annotations

import pytest

import visiontrain as vt
from visiontrain.datasets.samples import make_sample

pytestmark = pytest.mark.timeout(900)

#: Epochs by sample, and what the metrics of its task end with.
SAMPLES = {"boxes": (16, ""), "outlines": (10, "_mask"), "keypoints": (8, "_pose"), "oriented": (6, "")}

#: What such small sets want: many small steps, of images as they are.
OPTIONS = {"mosaic": 0.0, "scale": 0.2, "warmup_epochs": 2.0, "workers": 0}


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_sample_is_learnt(sample, tmp_path):
    epochs, head = SAMPLES[sample]
    run = vt.train(
        make_sample(sample, tmp_path / sample),
        model="yolo",
        weights="scratch",
        epochs=epochs,
        batch_size=8,
        learning_rate=0.003,
        image_size=96,
        device="cpu",
        progress=False,
        **OPTIONS,
    )
    assert run.metrics[f"map50{head}"] >= 0.8
