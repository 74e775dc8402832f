"""What a pixel counts in the loss, by its class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from visiontrain.datasets.index import DatasetIndex

__all__ = ["absent_classes", "pixel_weights"]


def pixel_weights(data: DatasetIndex, text: str, given: Mapping[str, float] | None) -> tuple[float, ...] | None:
    """A weight for each class, by class index; None where all pixels count the same.

    Args:
        data: The dataset.
        text: none; balanced: inverse to the number of the class's training pixels, the mean over all of them 1; or
            anything else, and `given` counts.
        given: Weights by class name; a class that has none weighs 1.
    """
    if text == "none":
        return None
    if text != "balanced":
        return tuple((given or {}).get(name, 1.0) for name in data.classes)
    counts = data.class_pixels["train"]
    whole, present = sum(counts), sum(count > 0 for count in counts)
    return tuple(whole / (present * count) if count else 1.0 for count in counts)


def absent_classes(data: DatasetIndex, splits: Sequence[str]) -> list[str]:
    """Names of the classes that no pixel of some splits is of."""
    return [
        name for label, name in enumerate(data.classes) if not any(data.class_pixels[split][label] for split in splits)
    ]
