from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from visiontrain_harness.runs import record

from visiontrain.checkpoint_specs import EvaluateSpec, ExportSpec
from visiontrain.datasets.report import DatasetReport, IndexedDataset, Problem
from visiontrain.display.planning import model_warnings, plan_fields, plan_warnings, use_fields, use_warnings
from visiontrain.environment.generation import Fingerprint, Generation
from visiontrain.plugin.discovery import Plugin
from visiontrain.plugin.manifest import Manifest, Option
from visiontrain.protocol.messages import ModelInfo
from visiontrain.protocol.tasks import Task
from visiontrain.runners.plan import Plan
from visiontrain.runners.routing import Framework
from visiontrain.runners.trained import TrainedModel
from visiontrain.runners.using import UsePlan
from visiontrain.specs import make_train_spec


def a_plan(*, adopted=None, stale=False, warnings=(), problems=(), classes=("a", "b"), size=None, **fields):
    fingerprint = Fingerprint(
        name="timm", requires_python="", requirements=(), imports=(), lock_sha256="", implementation="cpython",
        python_version="3.12.1", platform="linux-x86_64", machine="x86_64", abi="", torch_backend=None, adopted=adopted,
    )  # fmt: skip
    environment = Generation(
        path=Path("/e"), python=Path(adopted or "/e/bin/python"), fingerprint=fingerprint,
        created=datetime.now(timezone.utc), size_bytes=0, exclusive_bytes=0, warnings=warnings, stale=stale,
    )  # fmt: skip
    splits = {"train": 1200, "val": 300}
    report = DatasetReport(
        root=Path("/d"),
        source=Path("/d"),
        multi_label=False,
        format="class-folders",
        task=Task.classify,
        tasks=(Task.classify,),
        splits=splits,
        classes={},
        objects={},
        problems=problems,
    )
    dataset = IndexedDataset(
        path=Path("/i"), root=Path("/d"), source=Path("/d"), multi_label=False, format="class-folders",
        task=Task.classify, tasks=(Task.classify,), fingerprint="0", splits=splits, classes=classes, report=report,
    )  # fmt: skip
    manifest = Manifest(
        name="timm", summary="s", licence="MIT", tasks=(Task.classify,), models=("*",), environment=Path("/d"),
        trainer="a:B", packages=("a",), options=(Option(name="precision", type="str", default="auto", help="P."),),
    )  # fmt: skip
    spec = make_train_spec(**{"data": "/d", "model": "resnet18", **fields})
    return Plan(
        spec=spec, framework=Framework(manifest, Plugin(name="timm", distribution="visiontrain-timm", version="1.0")),
        environment=environment, dataset=dataset, task=Task.classify,
        model=ModelInfo("resnet18", ("classify",), ("a1_in1k", "tv_in1k")),
        options={"precision": "auto", "workers": 2}, epochs=20, batch_size=32, image_size=size,
    )  # fmt: skip


def test_everything_that_was_decided_is_said():
    plan = a_plan(options={"workers": "2"}, learning_rate=0.01)
    identity = plan.environment.id
    assert plan_fields(plan) == [
        ("model", "resnet18, pretrained (a1_in1k)"),
        ("framework", "timm (visiontrain-timm 1.0, MIT)"),
        ("environment", f"timm@{identity} (locked), Python 3.12.1"),
        ("task", "classify"),
        ("data", "/d: train 1,200, val 300"),
        ("", "2 classes: a, b"),
        ("training", "20 epochs, batch size 32, image size the model's own, seed 0, learning rate 0.01"),
        ("device", "auto: the best one here"),
        ("options", "workers=2"),
    ]
    assert plan_warnings(plan) == []


def test_options_that_are_as_by_default_are_not_repeated():
    """A run that goes on has been given every one."""
    assert dict(plan_fields(a_plan(options={"workers": 2, "precision": "auto"})))["options"] == "workers=2"
    assert "options" not in dict(plan_fields(a_plan(options={"precision": "auto"})))


@pytest.mark.parametrize(
    ("fields", "label", "value"),
    [
        ({"weights": "scratch"}, "model", "resnet18, from scratch"),
        ({"weights": "/w/best.pt"}, "model", "resnet18, weights from /w/best.pt"),
        ({"model": "resnet18.tv_in1k"}, "model", "resnet18.tv_in1k, pretrained"),
        ({"device": "cuda:1"}, "device", "cuda:1"),
        ({"batch_size": "auto"}, "training", "20 epochs, batch size auto, image size the model's own, seed 0"),
        ({"classes": tuple("abcdefg")}, "", "7 classes: a, b, c, d, e and 2 more"),
    ],
)
def test_what_differs_is_said(fields, label, value):
    assert dict(plan_fields(a_plan(**fields)))[label] == value


def test_an_adopted_interpreter_is_named_and_not_called_locked():
    value = dict(plan_fields(a_plan(adopted="/opt/conda/bin/python")))["environment"]
    assert "(adopted: /opt/conda/bin/python, not locked)" in value


def test_what_is_odd_is_said_the_worst_first():
    problems = (
        Problem(severity="note", code="n", message="split 80/20"),
        Problem(severity="warning", code="w", message="odd files", files=("a\x1b.jpg",), reasons=("empty",), count=3),
    )
    plan = a_plan(stale=True, warnings=("torch 2.1 is installed",), problems=problems)
    assert [line.plain for line in plan_warnings(plan)] == [
        "Warning: the environment timm is older than the installed plugin's definition of it.",
        "Warning: torch 2.1 is installed",
        "Warning: odd files\n  a\\x1b.jpg: empty\n  and 2 more",
        "Note: split 80/20",
    ]


def a_use(*, own=True, digest=None, export=False, **fields):
    plan = a_plan(**fields)
    kept = record("r")
    used = replace(kept.environment, name="timm", generation="1234", digest=digest or plan.environment.digest)
    kept = replace(kept, environment=used, data=replace(kept.data, fingerprint="0" if own else "1"))
    trained = TrainedModel(kept, Path("/r/checkpoints/best.pt"), plan.framework, plan.environment)
    spec = ExportSpec(run="r", format="onnx") if export else EvaluateSpec(run="r")
    return UsePlan(spec, trained, plan.dataset, ("val",))


def test_what_a_model_is_used_on_is_said():
    use = a_use()
    environment = f"timm@{use.trained.environment.id} (locked), Python 3.12.1"
    model = ("model", "defect of the run r, best.pt")
    assert use_fields(use) == [
        model,
        ("environment", environment),
        ("task", "classify"),
        ("data", "/d: val 300"),
        ("device", "auto: the best one here"),
    ]
    exported = use_fields(a_use(export=True))
    assert exported == [model, ("environment", environment), ("format", "onnx"), ("checked on", "/d: val 300")]
    assert use_warnings(use) == []


def test_another_environment_than_the_training_s_is_a_warning():
    use = a_use(digest="another")
    (warning,) = model_warnings(use.trained)
    assert warning.plain == (
        "Warning: the environment that the run was trained in, timm@1234, is gone; "
        f"{use.trained.environment.id} stands in for it."
    )
    assert use_warnings(use) == [warning]


def test_of_other_data_all_is_said_but_what_training_alone_minds():
    problems = (
        Problem(severity="error", code="too-few-classes", message="one class"),
        Problem(severity="warning", code="w", message="odd files"),
    )
    assert use_warnings(a_use(problems=problems)) == []  # its training said it
    assert [line.plain for line in use_warnings(a_use(own=False, problems=problems))] == ["Warning: odd files"]
