"""Plan: decide grid, network, patch, batch, length and inference from what was measured. Arithmetic only; no torch."""

from autoseg.stages.plan.frame import PlanOptions
from autoseg.stages.plan.inputs import PlanInputs, inputs_from
from autoseg.stages.plan.length_effect import what_length_brings
from autoseg.stages.plan.plan import checked_options, make_plan, plan_configurations
from autoseg.stages.plan.presets import Preset, load_preset, preset_names

__all__ = [
    "PlanInputs",
    "PlanOptions",
    "Preset",
    "checked_options",
    "inputs_from",
    "load_preset",
    "make_plan",
    "plan_configurations",
    "preset_names",
    "what_length_brings",
]
