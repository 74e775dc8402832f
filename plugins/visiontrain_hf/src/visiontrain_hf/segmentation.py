"""Semantic segmentation with models of transformers: torchkit's, with the learning rates that are usual with them."""

from __future__ import annotations

from visiontrain.hyperparameters.optimizers import Start
from visiontrain.hyperparameters.semantic import SemanticOptions
from visiontrain.torchkit.semantic.task import SemanticSegmentation

__all__ = ["Segmentation"]

#: At a batch size of 32. Of trained weights that of what lies above the backbone, which itself has a tenth: 6e-5 at a
#: batch size of 16, as SegFormer (arXiv:2105.15203) and UPerNet on Swin are trained.
_RATES = Start(scratch_batch_norm=2e-3, scratch=5e-4, fine_tuning=8e-4)
_ADAM = ("adamw", "adam", "nadamw")


class Segmentation(SemanticSegmentation):
    """Maps of classes."""

    def learning_rates(self, options: SemanticOptions) -> Start | None:
        """As in the papers, of Adam's kind."""
        return _RATES if options.optimizer in _ADAM else None
