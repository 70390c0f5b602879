"""What learns, put together from a plan: network, optimiser, what goes with them, and the step that moves them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from autoseg.engines.device import pick_precision, place
from autoseg.learning.loss import SegmentationLoss
from autoseg.learning.optimiser import WeightAverage, build_optimiser
from autoseg.learning.ranks import ALONE, Ranks
from autoseg.learning.step import Step
from autoseg.networks.unet import build_network
from autoseg.records import Configuration, Plan


@dataclass(frozen=True)
class Learner:
    """All that changes while training: what a checkpoint holds."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler | None = None
    average: WeightAverage | None = None


def build_learner(configuration: Configuration, device: torch.device, *, seed: int) -> Learner:
    """A fresh network on the device, with its optimiser; torch's random state is left as it was."""
    spec = configuration.training
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = place(build_network(configuration.network), device)
    scaled = pick_precision(device) == "float16"
    return Learner(
        network,
        build_optimiser(network, spec, scaled=scaled),
        torch.amp.GradScaler(device.type) if scaled else None,
        WeightAverage(network, spec.ema_decay) if spec.ema_decay else None,
    )


def build_step(plan: Plan, configuration: Configuration, learner: Learner, device: torch.device, ranks: Ranks = ALONE) -> Step:
    """The step that moves a learner, as its configuration says."""
    spec = configuration.training
    return Step(
        learner.network,
        SegmentationLoss.of(plan, spec, ranks),
        learner.optimizer,
        learner.scaler,
        device,
        pick_precision(device),
        spec.gradient_clip,
        average=learner.average,
    )
