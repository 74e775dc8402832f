"""Ultralytics' curves, as torchkit draws them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import visiontrain_yolo.sealed  # isort: skip  # noqa: F401 - before ultralytics

import numpy as np
from ultralytics.utils.metrics import smooth

from visiontrain.torchkit.curves import GRID, HeadCurves

__all__ = ["curves_of"]

#: Width of the window that Ultralytics smooths the mean F1 with, before it takes the confidence of the highest one.
_WINDOW = 0.1


def curves_of(metric: Any, classes: Sequence[str], head: str) -> HeadCurves:
    """The curves of one head.

    Args:
        metric: Ultralytics' numbers of it, worked out.
        classes: Class names by class index.
        head: Its name.
    """
    names = [classes[int(label)] for label in metric.ap_class_index]

    def told(rows: Any) -> dict[str, list[float]]:
        curves = zip(names, rows, strict=False)  # without any class there is a row of zeros
        return {name: np.interp(GRID, metric.px, row).tolist() for name, row in curves}

    best = smooth(metric.f1_curve.mean(0), _WINDOW).argmax() if names else 0
    return HeadCurves(
        head,
        average_precision=dict(zip(names, np.asarray(metric.ap50, dtype=float).tolist(), strict=True)),
        confidence=float(metric.px[best]),
        precision_over_recall=told(metric.prec_values),
        f1_over_confidence=told(metric.f1_curve),
        precision_over_confidence=told(metric.p_curve),
        recall_over_confidence=told(metric.r_curve),
    )
