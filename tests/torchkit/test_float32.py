import torch

from visiontrain.torchkit.float32 import in_float32


def test_floating_point_tensors_become_float32_however_deep_and_others_stay():
    half, whole = torch.ones(2, dtype=torch.bfloat16), torch.ones(2, dtype=torch.int64)
    found = in_float32({"a": [half, (whole, None)], "b": "text"})
    assert found["a"][0].dtype == torch.float32
    assert found["a"][1][0].dtype == torch.int64
    assert isinstance(found["a"][1], tuple)
    assert (found["a"][1][1], found["b"]) == (None, "text")
