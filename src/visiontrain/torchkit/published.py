"""Weights that others publish."""

from __future__ import annotations

from visiontrain.errors import WeightsError

__all__ = ["no_weights"]


def no_weights(reason: str) -> WeightsError:
    """The error for published weights that can't be had, with the choices that there are."""
    return WeightsError(
        reason,
        instruction="Give --scratch to start from random weights, or --weights PATH with a file of your own.",
    )
