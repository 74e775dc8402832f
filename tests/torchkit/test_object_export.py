import json

import pytest
import torch
from PIL import Image
from torch import nn

from visiontrain.errors import ExportError
from visiontrain.torchkit.exported import Description
from visiontrain.torchkit.exportformats import FORMATS
from visiontrain.torchkit.loading import SavedModel
from visiontrain.torchkit.object_export import ObjectExport
from visiontrain.torchkit.transforms import ImageConfig


class Detector(nn.Module):
    """Three rows: boxes and scores that depend on the image."""

    def __init__(self, masks=False):
        super().__init__()
        self.masks = masks
        self.head = nn.Linear(3, 15)

    def forward(self, images):
        found = self.head(images.mean((2, 3))).reshape(-1, 3, 5)
        corners = found[..., :2].sigmoid() * 8
        boxes = torch.cat([corners, corners + 1 + found[..., 2:4].sigmoid() * 8], dim=-1)
        scores, order = found[..., 4].sigmoid().sort(dim=1, descending=True)
        boxes = boxes.gather(1, order[..., None].expand(-1, -1, 4))
        outputs = (boxes, scores, order)
        return (*outputs, images[:, :3] * 1.0) if self.masks else outputs


def saved(tmp_path, mode="squash"):
    config = ImageConfig((16, 24), (0.5,) * 3, (0.25,) * 3, crop_pct=1.0, crop_mode=mode)
    return SavedModel(tmp_path / "best.pt", "mine", "detect", "net", ("a", "b", "c"), False, config, {}, 2, {})


@pytest.fixture
def task(tmp_path):
    torch.manual_seed(0)
    model = Detector().eval()
    return ObjectExport(saved(tmp_path), model, lambda: model)


def test_it_is_told_all_that_a_program_needs(task):
    told = task.describe()
    assert json.loads(json.dumps(told)) == told
    assert [(each["name"], each["type"], each["shape"]) for each in told["outputs"]] == [
        ("boxes", "float32", ["batch", 3, 4]), ("scores", "float32", ["batch", 3]), ("labels", "int64", ["batch", 3]),
    ]  # fmt: skip
    assert told["input"]["shape"] == ["batch", 3, 16, 24]
    assert told["preprocessing"]["mean"] == [0.5, 0.5, 0.5]
    assert told["suppression"] is None


def test_images_are_read_as_validation_sees_them(task, tmp_path):
    Image.new("RGB", (50, 10), (255, 0, 128)).save(tmp_path / "a.png")
    images = task.read([str(tmp_path / "a.png")] * 2)
    assert images.shape == (2, 3, 16, 24)
    assert images[0, :, 0, 0].tolist() == pytest.approx([2, -2, 0.00784], abs=1e-4)


def test_what_is_written_gives_the_same(task, tmp_path):
    written = FORMATS["torchscript"]
    path = tmp_path / written.file
    written.write(task.exportable(), torch.zeros(2, 3, 16, 24), path, Description(task, written.name, written.file, {}))
    images = torch.randn(3, 3, 16, 24, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        wanted, found = task.reference(images), tuple(written.open(path)(images))
    differences = task.differences(wanted, found)
    assert len(differences) == 3
    assert all(max(each.values()) < 1e-6 for each in differences)
    moved = (wanted[0] + 3, *wanted[1:])
    assert all(each["boxes"] > 0.1 for each in task.differences(wanted, moved))


def test_masks_are_an_output_of_their_own(tmp_path):
    model = Detector(masks=True).eval()
    task = ObjectExport(saved(tmp_path), model, lambda: model, masks=True)
    assert task.describe()["outputs"][3]["shape"] == ["batch", 3, 16, 24]
    with torch.inference_mode():
        found = model(torch.zeros(1, 3, 16, 24))
    assert set(task.differences(found, found)[0]) == {"scores", "boxes", "masks"}


def test_images_with_a_border_are_refused(tmp_path):
    with pytest.raises(ExportError, match="images with a border") as caught:
        ObjectExport(saved(tmp_path, "border"), Detector(), Detector)
    assert "--set resize=squash" in caught.value.instruction
