"""Semantic segmentation with Mask2Former, as torchkit trains and evaluates it: a mask for each class in an image."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import nn

from visiontrain.errors import SpecError
from visiontrain.hyperparameters.optimizers import Start
from visiontrain.hyperparameters.semantic import SemanticOptions
from visiontrain.torchkit.loading import SavedModel
from visiontrain.torchkit.semantic.batches import SemanticBatch
from visiontrain.torchkit.semantic.evaluation import ScoredImages
from visiontrain.torchkit.semantic.export import SemanticExport
from visiontrain.torchkit.semantic.learner import SemanticLearner
from visiontrain.torchkit.semantic.task import SemanticSegmentation
from visiontrain.torchkit.transforms import Normalize
from visiontrain.torchkit.vision_task import Setup
from visiontrain_hf.mask2former import RATES as MASK2FORMER_RATES
from visiontrain_hf.mask2former import HfMask2FormerMaps, as_exporters_want
from visiontrain_hf.mask_loss import MaskLoss, MaskTargets, added, total
from visiontrain_hf.mask_queries import class_maps
from visiontrain_hf.options import ADAM

__all__ = ["ClassMaskLearner", "ClassesOfPixels", "class_targets"]

#: At a batch size of 32. Of trained weights that of what lies above the backbone, which itself has a tenth: 6e-5 at a
#: batch size of 16, as SegFormer (arXiv:2105.15203) and UPerNet on Swin are trained.
_RATES = Start(scratch_batch_norm=2e-3, scratch=5e-4, fine_tuning=8e-4)


class ClassesOfPixels(SemanticSegmentation):
    """transformers' models that give scores for pixels, and Mask2Former, which gives masks for classes."""

    def learning_rates(self, setup: Setup[SemanticOptions]) -> Start | None:
        """As in the papers, of Adam's kind."""
        if setup.options.optimizer not in ADAM:
            return None
        return MASK2FORMER_RATES if isinstance(setup.built.model, HfMask2FormerMaps) else _RATES

    def learner_of(
        self,
        model: nn.Module,
        classes: tuple[str, ...],
        normalize: Normalize,
        device: torch.device,
        weights: Sequence[float] | None = None,
    ) -> SemanticLearner:
        """By the model.

        Raises:
            SpecError: Mask2Former shall weigh pixels by class.
        """
        if not isinstance(model, HfMask2FormerMaps):
            return super().learner_of(model, classes, normalize, device, weights)
        if weights is not None:
            raise SpecError(
                "class_weights", "can't be had with Mask2Former: it learns from masks, not from pixels",
                instruction="Leave it out.",
            )  # fmt: skip
        return ClassMaskLearner(model, classes, normalize, device)

    def export(self, saved: SavedModel, reference: nn.Module, exportable: Callable[[], nn.Module]) -> SemanticExport:
        """Normalised images to maps of class scores: Mask2Former's are sums of probabilities."""
        if not isinstance(reference, HfMask2FormerMaps):
            return super().export(saved, reference, exportable)
        return SemanticExport(saved, reference, lambda: as_exporters_want(exportable()), logits=False)


class ClassMaskLearner(SemanticLearner):
    """Mask2Former and images with masks of classes: each class in an image is an object to be found.

    Pixels of no class belong to none of the masks, as the authors have it.

    Args:
        model: On its device.
        classes: Class names by class index.
        normalize: Pixels to its input.
        device: The model's.
    """

    def __init__(
        self, model: HfMask2FormerMaps, classes: tuple[str, ...], normalize: Normalize, device: torch.device
    ) -> None:
        super().__init__(model, classes, normalize, device)
        self._queries, self._loss = model, MaskLoss(model.network)
        self._parts: dict[str, torch.Tensor] = {}

    def losses(self, batch: SemanticBatch, parts: Sequence[slice]) -> Iterator[torch.Tensor]:
        """Means over the whole batch's queries and classes, whatever the parts."""
        batch = batch.to(self._device)
        targets = class_targets(batch)
        self._parts = {}
        for part in parts:
            layers = self._queries.layers(self._normalize(batch.pixels[part]))
            told = self._loss.of_part(layers, targets.part(part), counts=targets.counts, part=part)
            self._parts = added(self._parts, told)
            yield total(told)

    def loss_parts(self) -> Mapping[str, torch.Tensor]:
        """Of classes, of masks by pixel, and of masks by their overlap."""
        return self._parts

    def score(self, batch: SemanticBatch) -> ScoredImages:
        """The loss is the mean of the images' own losses, at the same points each time."""
        layers = self._queries.layers(self._normalize(batch.pixels))
        parts = {name: value * len(batch) for name, value in self._loss.by_image(layers, class_targets(batch)).items()}
        maps = class_maps(layers[-1], (batch.pixels.shape[1], batch.pixels.shape[2]))
        return ScoredImages(maps, total(parts), len(batch), parts)


def class_targets(batch: SemanticBatch) -> MaskTargets:
    """The classes in each image, and where each is."""
    labels, masks = [], []
    for pixels in batch.labels:
        there = pixels.unique()
        there = there[there != batch.ignored]
        labels.append(there.long())
        masks.append(pixels == there[:, None, None])
    return MaskTargets(tuple(labels), tuple(masks))
