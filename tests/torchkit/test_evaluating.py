import pytest
import torch
from PIL import Image

from visiontrain.errors import DatasetError
from visiontrain.torchkit.data import ImageBatch
from visiontrain.torchkit.evaluating import ClassMap, SplitBatches
from visiontrain.torchkit.loading import SavedModel
from visiontrain.torchkit.transforms import EvalTransform, ImageConfig

CPU = torch.device("cpu")
CONFIG = ImageConfig(size=(8, 8), mean=(0.5,) * 3, std=(0.5,) * 3)


def model(path, classes, *, multi_label=False):
    return SavedModel(path / "best.pt", "mine", "classify", "net", classes, multi_label, CONFIG, {}, 1, {})


@pytest.fixture
def files(tmp_path):
    for number in range(7):
        Image.new("RGB", (9, 9), (number, 0, 0)).save(tmp_path / f"{number}.png")
    return [tmp_path / f"{number}.png" for number in range(7)]


def batch(labels):
    return ImageBatch(torch.zeros(len(labels), 8, 8, 3, dtype=torch.uint8), torch.tensor(labels))


def test_labels_become_those_of_the_model(make_index, files, tmp_path):
    data = make_index({"val": [(files[0], 0), (files[1], 1)]}, classes=("cat", "ant"))
    classes = ClassMap(data, model(tmp_path, ("ant", "bee", "cat")))
    assert classes(batch([0, 1, 1, 0])).labels.tolist() == [2, 0, 0, 2]


def test_several_labels_become_those_of_the_model(make_index, files, tmp_path):
    data = make_index({"val": [(files[0], (0, 1)), (files[1], ())]}, classes=("cat", "ant"), multi_label=True)
    classes = ClassMap(data, model(tmp_path, ("ant", "bee", "cat"), multi_label=True))
    assert classes(batch([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])).labels.tolist() == [[0, 0, 1], [1, 0, 1], [0, 0, 0]]


def test_a_class_that_the_model_does_not_know_is_named(make_index, files, tmp_path):
    data = make_index({"val": [(files[0], 0)]}, classes=("ant", "dog", "Cat"))
    with pytest.raises(DatasetError, match=r"'dog', 'Cat', which .*best.pt does not know"):
        ClassMap(data, model(tmp_path, ("ant", "cat")))
    many = tuple(f"c{number}" for number in range(30))
    with pytest.raises(DatasetError) as caught:
        ClassMap(data, model(tmp_path, many))
    assert "'c19' and 10 more" in caught.value.instruction


@pytest.mark.parametrize("workers", [0, 2])
def test_splits_come_one_after_the_other_whole(make_index, files, workers):
    data = make_index({"train": [], "val": [(f, 0) for f in files[:3]], "test": [(f, 1) for f in files[3:]]})
    batches = SplitBatches(data, ("val", "test"), EvalTransform(CONFIG), batch_size=2, workers=workers, device=CPU)
    assert (batches.batches, batches.images) == (4, 7)
    found = list(batches)
    assert [len(each) for each in found] == [2, 1, 2, 2]
    assert torch.cat([each.labels for each in found]).tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert torch.cat([each.pixels[:, 0, 0, 0] for each in found]).tolist() == list(range(7))
    with pytest.raises(DatasetError, match="no images in its split train"):
        SplitBatches(data, ("val", "train"), EvalTransform(CONFIG), batch_size=2, workers=0, device=CPU)
