"""Exports: written whole, with what their use needs, and kept only where they give what the model gives."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

from visiontrain.datasets.index import DatasetIndex
from visiontrain.errors import DatasetError, ExportError, StorageError, WeightsError
from visiontrain.torchkit.checkpoint import read_checkpoint, write_checkpoint
from visiontrain.torchkit.exportformats import FORMATS, TorchScript

LOAD_SCRIPT = """
import json, sys, warnings
warnings.simplefilter("ignore")
import torch
extra = {"model.json": ""}
model = torch.jit.load(sys.argv[1], _extra_files=extra)
assert not {"timm", "visiontrain"} & set(sys.modules)
print(json.dumps([json.loads(extra["model.json"])["classes"], model(torch.load(sys.argv[2])).tolist()]))
"""


def val_images(index):
    return [image.path for image in DatasetIndex(index).images("val")]


def normalised(paths, description):
    """As model.json says, for images that are resized without a crop's rounding in the way."""
    from visiontrain.torchkit.images import read_rgb
    from visiontrain.torchkit.transforms import EvalTransform, ImageConfig

    told = {k: v for k, v in description["preprocessing"].items() if k in ImageConfig.__dataclass_fields__}
    pixels = np.stack([EvalTransform(ImageConfig.from_plain(told))(read_rgb(path)) for path in paths])
    scaled = (pixels / 255 - np.array(told["mean"])) / np.array(told["std"])
    return scaled.transpose(0, 3, 1, 2).astype(np.float32)


def test_onnx(trained):
    result, context = trained.export("onnx")
    assert result.status == "completed"
    assert 0 <= result.metrics["export_difference"] < 1e-5
    assert result.metrics["images_checked"] == 6
    folder = context.artifacts_dir
    assert {path.name for path in folder.iterdir()} == {"model.onnx", "model.json"}
    told = [(event["path"], event["kind"]) for event in context.events if event["type"] == "artifact"]
    assert told == [("artifacts/model.onnx", "export"), ("artifacts/model.json", "export")]
    description = json.loads((folder / "model.json").read_text())
    assert description["classes"] == ["circle", "square", "triangle"]
    assert description["input"] == {"name": "images", "type": "float32", "shape": ["batch", 3, 32, 32]}
    assert description["output"]["shape"] == ["batch", 3]
    assert (description["format_version"], description["file"], description["model"]) == (
        1,
        "model.onnx",
        "test_resnet",
    )
    assert description["check"]["largest_difference"] == result.metrics["export_difference"]
    assert description["check"]["batch_sizes"] == [1, 6]
    assert set(description["versions"]) == {"visiontrain", "timm", "torch", "onnx", "onnxscript", "onnxruntime"}
    properties = {p.key: p.value for p in onnx.load(folder / "model.onnx").metadata_props}
    assert json.loads(properties["classes"]) == description["classes"]
    assert json.loads(properties["preprocessing"]) == description["preprocessing"]
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    assert [(i.name, i.shape) for i in session.get_inputs()] == [("images", ["batch", 3, 32, 32])]
    paths = val_images(trained.index)
    (found,) = session.run(None, {"images": normalised(paths, description)})
    wanted = [p.classify.probabilities for p in trained.predict(paths).predictions]
    assert np.abs(found - np.array(wanted)).max() < 1e-5
    assert "the largest difference is" in context.logged
    steps = [event for event in context.events if event["type"] == "progress"]
    assert (steps[-1]["phase"], steps[-1]["step"], steps[-1]["steps"]) == ("export", 3, 3)


def test_torchscript_needs_torch_alone(trained, tmp_path):
    result, context = trained.export("torchscript")
    assert result.metrics["export_difference"] < 1e-6
    description = json.loads((context.artifacts_dir / "model.json").read_text())
    assert (description["format"], description["file"]) == ("torchscript", "model.pt")
    paths = val_images(trained.index)
    torch.save(torch.from_numpy(normalised(paths, description)), tmp_path / "images.pt")
    command = [sys.executable, "-c", LOAD_SCRIPT, str(context.artifacts_dir / "model.pt"), str(tmp_path / "images.pt")]
    classes, found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert classes == ["circle", "square", "triangle"]
    wanted = [p.classify.probabilities for p in trained.predict(paths).predictions]
    assert np.abs(np.array(found) - np.array(wanted)).max() < 1e-5


def test_another_family_and_nothing_is_written_elsewhere_or_said(harness, monkeypatch, tmp_path, capfd):
    harness.train(model="test_vit", epochs=1)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    for format_ in FORMATS:
        result, _ = harness.export(format_)
        assert result.metrics["export_difference"] < 1e-5
    assert list(elsewhere.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_several_labels(harness, discs):
    harness.index = discs
    harness.train(epochs=1)
    result, context = harness.export("torchscript", images=1)
    assert result.metrics["images_checked"] == 1
    assert result.metrics["export_difference"] < 1e-6
    description = json.loads((context.artifacts_dir / "model.json").read_text())
    assert description["output"]["activation"] == "sigmoid"
    assert description["check"]["batch_sizes"] == [1, 2]


def left(context):
    return list(context.artifacts_dir.rglob("*"))


class Wrong(TorchScript):
    """Runs something else than what was written."""

    def __init__(self, change):
        self._change = change

    def open(self, path):
        run = super().open(path)
        return lambda images: self._change(run, images)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda run, images: run(images) + 0.01,
            r"differ by 0.01 for .*val/\d.(png|jpg) \(\d at once\), and 0.001 is allowed",
        ),
        (lambda run, images: run(images) + (0.5 if len(images) > 1 else 0), r"differ by 0.5 for .* \(6 at once\)"),
        (lambda run, images: run(images) * float("nan"), "the probabilities of .*val/0.png are not numbers"),
        (lambda run, images: run(images)[:, :2], r"gives \[6, 2\] for 6 images at once, not \[6, 3\]"),
        (lambda run, images: run(images[:, :1]), "can't be run with 6 images at once: "),
    ],
)
def test_what_gives_something_else_is_not_kept(trained, monkeypatch, change, words):
    monkeypatch.setitem(FORMATS, "torchscript", Wrong(change))
    context = trained.exporting("torchscript", tolerance=1e-3)
    with pytest.raises(ExportError, match=words):
        trained.export(context=context)
    assert left(context) == []
    assert not any(event["type"] == "artifact" for event in context.events)


def test_a_model_that_can_not_be_written_is_an_error_that_says_what_to_try(trained, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise torch.onnx.OnnxExporterError("no operator\nfor this")

    monkeypatch.setattr(torch.onnx, "export", refuse)
    context = trained.exporting("onnx")
    with pytest.raises(ExportError, match="test_resnet can't be written as onnx: OnnxExporterError: no operator") as e:
        trained.export(context=context)
    assert "--format torchscript" in e.value.instruction
    assert left(context) == []


def test_an_earlier_export_stays_as_it_was_where_a_later_one_fails(trained, monkeypatch):
    _, context = trained.export("torchscript")
    before = {path.name: path.read_bytes() for path in left(context)}
    monkeypatch.setitem(FORMATS, "torchscript", Wrong(lambda run, images: run(images) + 1))
    with pytest.raises(ExportError):
        trained.export("torchscript")
    assert {path.name: path.read_bytes() for path in left(context)} == before


def test_what_can_not_be_asked_for(trained):
    with pytest.raises(ExportError, match="no export format 'coreml'") as caught:
        trained.export("coreml")
    assert caught.value.instruction == "There is onnx, torchscript."
    with pytest.raises(DatasetError, match="no images in its split test to compare"):
        trained.export("onnx", split="test")
    with pytest.raises(WeightsError, match="does not exist"):
        trained.export("onnx", file="absent.pt")


@pytest.mark.parametrize("stop_at", [0, 1, 2])
def test_a_stop_leaves_nothing(trained, stop_at):
    context = trained.exporting("torchscript", stop_at=stop_at)
    result, _ = trained.export(context=context)
    assert (result.status, result.metrics) == ("stopped", {})
    assert left(context) == []


@pytest.mark.parametrize("format_", FORMATS)
def test_a_disk_that_is_full_is_told_and_nothing_is_left(trained, format_):
    context = trained.exporting(format_)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(StorageError, match=r"the export .* can't be written: .*File too large"):
            trained.export(context=context)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert left(context) == []


def test_weights_too_large_for_one_file_lie_beside_it(trained, monkeypatch):
    monkeypatch.setattr("torch.onnx._internal.exporter._onnx_program._LARGE_MODEL_THRESHOLD", 1000)
    result, context = trained.export("onnx")
    assert {path.name for path in left(context)} == {"model.onnx", "model.onnx.data", "model.json"}
    assert result.metrics["export_difference"] < 1e-5
    onnxruntime.InferenceSession(context.artifacts_dir / "model.onnx", providers=["CPUExecutionProvider"])
    told = [event["path"] for event in context.events if event["type"] == "artifact"]
    assert told == [f"artifacts/{name}" for name in ("model.onnx", "model.onnx.data", "model.json")]


def test_an_image_of_the_set_that_can_not_be_read_is_named(trained, make_index, tmp_path):
    trained.index = make_index(tmp_path / "damaged", train=1, val=1, side=36)
    Image.new("RGB", (3, 3)).save(tmp_path / "damaged" / "val" / "0.png")
    (tmp_path / "damaged" / "val" / "1.jpg").write_bytes(b"")
    context = trained.exporting("torchscript")
    with pytest.raises(DatasetError, match=r"val/1.jpg: can't be decoded"):
        trained.export(context=context)
    assert left(context) == []


EXAMPLE = Path(__file__).parents[3] / "examples" / "classify_with_onnxruntime.py"


@pytest.fixture
def photos(index, tmp_path):
    """As they come: turned, grey, transparent, of a palette, for print, wide and tall."""
    with Image.open(val_images(index)[0]) as image:
        drawn = image.convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 8
    for name, image, options in (
        ("turned.jpg", drawn.resize((70, 40)), {"exif": exif}),
        ("grey.png", drawn.convert("L"), {}),
        ("clear.png", drawn.convert("RGBA"), {}),
        ("palette.gif", drawn.convert("P"), {}),
        ("print.jpg", drawn.convert("CMYK").resize((33, 90)), {}),
        ("wide.png", drawn.resize((301, 41)), {}),
    ):
        if image.mode == "RGBA":
            image.putalpha(Image.linear_gradient("L").resize(image.size))
        image.save(tmp_path / name, **options)
    return [
        str(tmp_path / name) for name in ("turned.jpg", "grey.png", "clear.png", "palette.gif", "print.jpg", "wide.png")
    ]


@pytest.mark.parametrize("image_config", [{}, {"crop_mode": "squash", "crop_pct": 0.9, "size": [40, 40]}])
def test_the_example_gives_what_we_predict_without_visiontrain(trained, photos, image_config):
    payload = read_checkpoint(trained.path())
    payload["metadata"]["image"].update(image_config)
    write_checkpoint(trained.path(), payload)
    _, context = trained.export("onnx")
    paths = photos + val_images(trained.index)
    # The environment's own interpreter: these tests' one also sees visiontrain.
    python = str(Path(onnxruntime.__file__).parents[4] / "bin" / "python")
    assert subprocess.run([python, "-I", "-c", "import visiontrain"], check=False, capture_output=True).returncode == 1
    command = [python, "-I", str(EXAMPLE), str(context.artifacts_dir), *paths]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stderr == ""
    predicted = trained.predict(paths)
    for line, path, prediction in zip(done.stdout.splitlines(), paths, predicted.predictions, strict=True):
        shown, *best = line.split("\t")
        assert shown == path
        wanted = sorted(zip(prediction.classify.probabilities, predicted.classes, strict=True), reverse=True)
        assert [text.rpartition(" ")[0] for text in best] == [name for _, name in wanted]
        found = [float(text.rpartition(" ")[2]) for text in best]
        assert found == pytest.approx([probability for probability, _ in wanted], abs=1e-4)
