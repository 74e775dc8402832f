"""A training with timm's public API, as timm's own training script does it. Runs in timm's environment.

Takes its settings as one JSON object, under the names of that script's arguments, and prints one: by epoch, the
validation's accuracy and the images a second of training.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import nullcontext
from typing import Any

import timm
import torch
from timm.data import create_dataset, create_loader, resolve_data_config
from timm.loss import LabelSmoothingCrossEntropy
from timm.models import get_pretrained_cfg
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.utils import AverageMeter, CheckpointSaver, accuracy, random_seed
from torch import nn

CPU = torch.device("cpu")


class Training:
    """A model, its data, and what changes its weights."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        random_seed(settings["seed"], 0)
        size = settings["image_size"]
        train = create_dataset("", root=settings["data"], split="train", is_training=True)
        classes = train.reader.class_to_idx
        val = create_dataset("", root=settings["data"], split="validation", class_map=classes)
        published = get_pretrained_cfg(settings["model"])
        fixed = {"img_size": size} if published is not None and published.fixed_input_size else {}
        self.model = timm.create_model(settings["model"], num_classes=len(classes), **fixed)
        if settings["channels_last"]:
            self.model.to(memory_format=torch.channels_last)
        images = resolve_data_config({"input_size": (3, size, size)}, model=self.model)
        shared: dict[str, Any] = {
            "input_size": images["input_size"],
            "batch_size": settings["batch_size"],
            "mean": images["mean"],
            "std": images["std"],
            "num_workers": settings["workers"],
            "device": CPU,
        }
        self.train = create_loader(
            train,
            is_training=True,
            scale=settings["scale"],
            color_jitter=settings["color_jitter"],
            interpolation=settings["train_interpolation"] or images["interpolation"],
            **shared,
        )
        self.val = create_loader(
            val,
            interpolation=images["interpolation"],
            crop_pct=images["crop_pct"],
            crop_mode=images["crop_mode"],
            **shared,
        )
        self.loss = LabelSmoothingCrossEntropy(smoothing=settings["smoothing"])
        optimizer: dict[str, Any] = {key: settings[key] for key in ("opt", "lr", "weight_decay", "momentum")}
        self.optimizer = create_optimizer_v2(self.model, **optimizer)
        self.scheduler, self.epochs = create_scheduler_v2(
            self.optimizer,
            sched="cosine",
            num_epochs=settings["epochs"] - settings["warmup_prefix"] * settings["warmup_epochs"],
            warmup_epochs=settings["warmup_epochs"],
            warmup_prefix=settings["warmup_prefix"],
            warmup_lr=settings["warmup_lr"],
            min_lr=settings["min_lr"],
            step_on_epochs=not settings["sched_on_updates"],
            updates_per_epoch=len(self.train),
        )
        if self.epochs != settings["epochs"]:
            raise ValueError(f"the schedule has {self.epochs} epochs, not {settings['epochs']}")

    def run(self) -> dict[str, list[float]]:
        """Every epoch's accuracy, and images a second of training."""
        saver = CheckpointSaver(self.model, self.optimizer, checkpoint_dir=self.settings["output"])
        found: dict[str, list[float]] = {"accuracy": [], "images_per_second": []}
        self.scheduler.step_update(0)
        for epoch in range(self.epochs):
            begin = time.perf_counter()
            images = self._train_epoch(epoch)
            found["images_per_second"].append(images / (time.perf_counter() - begin))
            found["accuracy"].append(self._validate())
            self.scheduler.step(epoch + 1, found["accuracy"][-1])
            saver.save_checkpoint(epoch, metric=found["accuracy"][-1])
        return found

    def _forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.settings["channels_last"]:
            images = images.contiguous(memory_format=torch.channels_last)
        scores: torch.Tensor = self.model(images)
        return scores

    def _autocast(self) -> Any:
        return torch.autocast("cpu", torch.bfloat16) if self.settings["amp"] else nullcontext()

    def _train_epoch(self, epoch: int) -> int:
        losses = AverageMeter()
        updates = epoch * len(self.train)
        self.model.train()
        for images, labels in self.train:
            with self._autocast():
                loss = self.loss(self._forward(images), labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses.update(loss.item(), len(images))
            updates += 1
            self.scheduler.step_update(num_updates=updates, metric=losses.avg)
        return losses.count

    def _validate(self) -> float:
        losses, top = AverageMeter(), AverageMeter()
        criterion = nn.CrossEntropyLoss()
        self.model.eval()
        with torch.inference_mode():
            for images, labels in self.val:
                with self._autocast():
                    scores = self._forward(images)
                    loss = criterion(scores, labels)
                losses.update(loss.item(), len(images))
                top.update(accuracy(scores, labels)[0].item(), len(images))
        return float(top.avg) / 100


if __name__ == "__main__":
    print(json.dumps(Training(json.loads(sys.argv[1])).run()))
