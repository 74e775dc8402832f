from __future__ import annotations

from pathlib import Path

import pytest

from visiontrain.datasets.tasks import UnservedTaskError
from visiontrain.errors import SpecError
from visiontrain.plugin.discovery import Plugin
from visiontrain.plugin.manifest import Manifest
from visiontrain.protocol.messages import ModelInfo
from visiontrain.protocol.tasks import Task
from visiontrain.runners.routing import Framework
from visiontrain.runners.tasking import refuse_data, tasks_of


def framework(name, *tasks):
    manifest = Manifest(
        name=name, summary="s", licence="MIT", tasks=tasks, models=("*",), environment=Path("/e"), trainer="a:B",
        packages=("a",),
    )  # fmt: skip
    return Framework(manifest, Plugin(name=name, distribution=name, version="1"))


TIMM = framework("timm", Task.classify)
YOLO = framework("yolo", Task.detect, Task.segment, Task.classify)


def test_the_person_the_model_or_the_framework_say_what_the_data_is_read_for():
    assert tasks_of(YOLO, None, None, [YOLO]) == (Task.detect, Task.segment, Task.classify)
    assert tasks_of(YOLO, ModelInfo("yolo-seg", ("segment",)), None, [YOLO]) == (Task.segment,)
    assert tasks_of(YOLO, ModelInfo("odd", ("embed",)), None, [YOLO]) == (Task.detect, Task.segment, Task.classify)
    assert tasks_of(YOLO, None, Task.segment, [YOLO]) == (Task.segment,)


def test_a_task_that_the_framework_can_not_do_names_who_can():
    message = r"(?s)task: the framework timm can't detect; it can: classify\nName a model of yolo"
    with pytest.raises(SpecError, match=message):
        tasks_of(TIMM, None, Task.detect, [TIMM, YOLO])
    with pytest.raises(SpecError, match="Install a framework that can classify: pip install visiontrain-timm"):
        tasks_of(framework("other", Task.detect), None, Task.classify, [])
    with pytest.raises(
        SpecError, match=r"it can: classify\nNo plugin that this version of visiontrain knows of can vlm"
    ):
        tasks_of(TIMM, None, Task.vlm, [TIMM])


def test_a_task_that_the_model_can_not_do_is_refused():
    with pytest.raises(SpecError, match="the model yolo-seg can't detect; it can: segment"):
        tasks_of(YOLO, ModelInfo("yolo-seg", ("segment",)), Task.detect, [YOLO])


def test_data_that_the_framework_can_not_use_names_who_can():
    error = UnservedTaskError("cells is read as pascal-voc", (Task.detect,), (Task.classify,))
    refused = refuse_data(error, TIMM, [TIMM, YOLO])
    assert refused.reason == (
        "cells is read as pascal-voc, which holds data to detect, and the framework timm can't detect; it can: classify"
    )
    assert refused.instruction == "Name a model of yolo, which can detect."
    assert refuse_data(error, TIMM, [TIMM]).instruction == (
        "Install a framework that can detect: pip install visiontrain-yolo (licence: AGPL-3.0-or-later) or "
        "visiontrain-hf"
    )
    assert refuse_data(error, YOLO, [YOLO]) is error
