"""Train one fold: patches in, weights out. Whole-image validation is the pipeline's business, not this stage's."""

from autoseg.stages.train.fold import train_fold
from autoseg.stages.train.trainer import FoldTrainer, Setting

__all__ = ["FoldTrainer", "Setting", "train_fold"]
