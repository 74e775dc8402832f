"""What models of transformers are trained for: how they are built, and what is done with them, by task."""

from __future__ import annotations

from typing import Any

from visiontrain.protocol.tasks import Task
from visiontrain.torchkit.classification.task import Classification
from visiontrain.torchkit.vision_task import VisionTask
from visiontrain_hf.class_masks import ClassesOfPixels
from visiontrain_hf.classifier import CLASSIFIERS
from visiontrain_hf.detection import Detection
from visiontrain_hf.detector import DETECTORS
from visiontrain_hf.instances import InstanceSegmentation
from visiontrain_hf.kinds import Kind
from visiontrain_hf.mask2former import INSTANCES
from visiontrain_hf.options import HfOptions
from visiontrain_hf.segmenter import SEGMENTERS

__all__ = ["KINDS", "TASKS"]

KINDS: dict[Task, Kind] = {kind.task: kind for kind in (CLASSIFIERS, DETECTORS, INSTANCES, SEGMENTERS)}

TASKS: dict[Task, VisionTask[HfOptions, Any]] = {
    Task.classify: Classification(),
    Task.detect: Detection(),
    Task.segment: InstanceSegmentation(),
    Task.semantic: ClassesOfPixels(),
}
