"""visiontrain's conformance kit, and what this plugin promises beyond it."""

import visiontrain
from visiontrain.testing import PluginConformance, make_sample


class TestSoftmax(PluginConformance):
    framework = "softmax"
    model = "softmax_regression"
    image_format = "ppm"  # what NumPy can read by itself


def test_it_learns_to_tell_shapes(tmp_path):
    session = visiontrain.Session()
    data = make_sample("shapes", tmp_path / "shapes", image_format="ppm")
    run = session.train(data, model="softmax_regression", weights="scratch", progress=False)
    assert run.metrics["accuracy"] > 0.6  # guessing gives 0.17
