"""The reasons that a plan carries: each has the rule, a sentence with the numbers of these data, and what else there was."""

from autoseg.stages.plan.decisions.augmentation import augmentation
from autoseg.stages.plan.decisions.grid import coarsening, grid_of_other_run, lowres_grid, spacing
from autoseg.stages.plan.decisions.images import normalization, orientation, transpose
from autoseg.stages.plan.decisions.in_time import dimensions, fitted
from autoseg.stages.plan.decisions.length import (
    default,
    device,
    inference,
    length_asked,
    length_by_rule,
    length_in_time,
    mirroring_as_trained,
    mirroring_in_share,
    set_by_user,
)
from autoseg.stages.plan.decisions.network import (
    BATCH_REDUCED,
    COMPARED,
    REDUCED,
    depth,
    family,
    memory,
    memory_format,
    sized,
    taken_over,
)
from autoseg.stages.plan.decisions.recipe import recipe
from autoseg.stages.plan.decisions.resolution import batch_dice, cascade, low_resolution

__all__ = [
    "BATCH_REDUCED",
    "COMPARED",
    "REDUCED",
    "augmentation",
    "batch_dice",
    "cascade",
    "coarsening",
    "default",
    "depth",
    "device",
    "dimensions",
    "family",
    "fitted",
    "grid_of_other_run",
    "inference",
    "length_asked",
    "length_by_rule",
    "length_in_time",
    "low_resolution",
    "lowres_grid",
    "memory",
    "memory_format",
    "mirroring_as_trained",
    "mirroring_in_share",
    "normalization",
    "orientation",
    "recipe",
    "set_by_user",
    "sized",
    "spacing",
    "taken_over",
    "transpose",
]
