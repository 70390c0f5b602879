"""`inference.json`: all that a program without autoseg needs to apply an exported network as autoseg does.

Every part holds its numbers, and a `rule` that says in words what to do with them.
"""

from __future__ import annotations

from typing import Literal

from autoseg.records.base import Part, Record, Shape
from autoseg.records.plan import Normalization
from autoseg.records.selection import PostprocessingStep


class GraphFile(Part):
    """A fold's network. The input is (batch, channel, *patch), the output (batch, output, *patch), both float32."""

    fold: str
    file: str
    sha256: str
    input: str = "image"
    output: str = "logits"


class ChannelRule(Part):
    """A channel of the image and how its intensities are normalised."""

    index: int
    name: str
    normalization: Normalization
    rule: str


class AxesRule(Part):
    """How the axes of the array lie; `transpose` counts axes after the orientation."""

    order: tuple[str, ...]
    orientation: Literal["LPS"] | None
    transpose: tuple[int, ...]
    rule: str


class CropRule(Part):
    """Whether margins of zeros are cut off."""

    to_nonzero: bool
    rule: str


class ResamplingRule(Part):
    """The network's grid. `spacing_mm` is in the order after transposition; None: that axis (or all) keeps its size."""

    spacing_mm: tuple[float | None, ...] | None
    image_order: int
    antialias: bool
    separate_axis_above: float
    separate_axis_order: int
    logits_order: int
    size_rule: str
    image_rule: str
    separate_axis_rule: str
    logits_rule: str


class WindowRule(Part):
    """The sliding window. `slice_axis`: of the transposed volume, over which a 2D network runs slice by slice."""

    patch_size: Shape
    step_fraction: float
    gaussian_sigma_fraction: float
    slice_axis: int | None
    padding_rule: str
    step_rule: str
    weight_rule: str


class MirrorRule(Part):
    """Axes of the patch along which copies are mirrored."""

    axes: tuple[int, ...]
    rule: str


class LabelRule(Part):
    """An output of the network and the value that a mask holds for it."""

    output: int
    name: str
    value: int


class DecisionRule(Part):
    """How logits on the image's grid become labels. `outputs` of regions stand in the order of painting."""

    kind: Literal["argmax", "regions"]
    background_value: int
    outputs: tuple[LabelRule, ...]
    rule: str


class InferenceDescription(Record):
    """The whole way from an image to its mask, in the order in which it is gone."""

    made_with: str
    configuration: str
    profile: str
    rank: Literal[2, 3]
    networks: tuple[GraphFile, ...]
    in_order: tuple[str, ...]
    axes: AxesRule
    crop: CropRule
    channels: tuple[ChannelRule, ...]
    resampling: ResamplingRule
    windows: WindowRule
    mirroring: MirrorRule
    ensemble_rule: str
    decision: DecisionRule
    postprocessing: tuple[PostprocessingStep, ...] = ()
    postprocessing_rule: str = ""
    temperature: float = 1.0  # by which logits are divided where probabilities are wanted
