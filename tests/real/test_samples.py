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


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """All of them at once, a core each: their batches are too small for several."""
    folder = tmp_path_factory.mktemp("samples")
    with pytest.MonkeyPatch.context() as patch, vt.Session(max_runs_per_device=len(SAMPLES)) as session:
        patch.setenv("OMP_NUM_THREADS", "1")
        handles = {
            sample: session.start(
                make_sample(sample, folder / sample),
                model="yolo",
                weights="scratch",
                epochs=epochs,
                batch_size=8,
                learning_rate=0.003,
                image_size=96,
                device="cpu",
                **OPTIONS,
            )
            for sample, (epochs, _) in SAMPLES.items()
        }
        yield {sample: handle.wait() for sample, handle in handles.items()}


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_sample_is_learnt(runs, sample):
    run = runs[sample].raise_for_status()
    assert run.metrics[f"map50{SAMPLES[sample][1]}"] >= 0.8
