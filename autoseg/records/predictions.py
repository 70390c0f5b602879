"""`predictions.json`: what a prediction did with every file."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from autoseg.records.base import Part, Record, Shape, Spacing, lies_inside
from autoseg.records.calibration import MeasurementInterval
from autoseg.records.dataset import Structure
from autoseg.records.engine_times import Parity

PREDICTIONS_FILE = "predictions.json"  # in the folder of the masks
InferenceProfile = Literal["best", "balanced", "fast"]  # see inference.profiles
Extra = Literal["overlay", "probabilities", "uncertainty"]  # what a prediction writes beside the masks where it is wanted


class StructureEvidence(Part):
    """What the networks themselves say of the mask of one structure; see `inference.evidence`.

    `soft_dice` and `mirror_dice` are means over the folds, in [0, 1], higher is better; a fold that finds nothing where others do
    counts as 0, and both are None where no fold finds any. `mirror_dice` is None, too, where nothing was mirrored. `pixels` is the
    size of the mask on the networks' grid.
    """

    soft_dice: float | None
    mirror_dice: float | None
    pixels: float


class Evidence(Part):
    """Of one case: by structure, targets and (for exclusive labels) derived ones, and of all structures together.

    `shape` is the image's own, `medians` the median intensity per channel over the predicted foreground, as read (None where that is
    hardly anything): with the spacing, they tell whether the image is like those of the training, see `metrics.familiarity`.
    `ellipse_dice` is that of a fetal head with the ellipse that fits it, 0 where none does; None where the model has no head in 2D.
    `doubts` are those of the fit. Both are of the mask before an ellipse takes its place.
    """

    structures: dict[str, StructureEvidence]
    foreground: StructureEvidence
    shape: Shape = ()
    medians: tuple[float, ...] | None = None
    ellipse_dice: float | None = None
    doubts: tuple[str, ...] = ()


class PredictedCase(Part):
    """One case: its inputs, what became of it, and (when done) the mask and its companions, relative to the output folder.

    `seconds` are those of the case from reading to writing, `network_seconds` those in the network, which `engine` ran.
    `predicted_dice` is what may be expected, by target, and `review` whether someone ought to look at the mask (None: not judged, since
    the model was not calibrated, or it could not be); `review_reasons` say why, or what is unfamiliar about the image; `judged_by` is the
    digest of the rules that told all this.
    `evidence` is what the networks themselves say of the mask, where that was asked for; `temperature` is that of the probabilities.
    `reason` tells failures apart for which the way out is not in the file.
    """

    id: str
    images: tuple[str, ...]
    status: Literal["done", "failed"]
    mask: str | None = None
    mask_sha256: str | None = None
    overlay: str | None = None
    probabilities: str | None = None
    uncertainty: str | None = None
    spacing_mm: Spacing | None = None
    seconds: float | None = None
    network_seconds: float | None = None
    engine: str | None = None
    warnings: tuple[str, ...] = ()
    error: str | None = None
    reason: Literal["memory"] | None = None
    pixels: dict[str, int] = Field(default_factory=dict)
    evidence: Evidence | None = None
    temperature: float | None = None
    predicted_dice: dict[str, float] = Field(default_factory=dict)
    review: bool | None = None
    review_reasons: tuple[str, ...] = ()
    judged_by: str = ""

    @model_validator(mode="after")
    def _inside_the_folder(self) -> Self:
        """Names become files."""
        for name in (self.id, self.mask, self.overlay, self.probabilities, self.uncertainty):
            if name is not None and not lies_inside(name):
                raise ValueError(f"{name!r} is no name of a file in the folder of the predictions")
        if self.spacing_mm is not None and not all(step > 0 for step in self.spacing_mm):
            raise ValueError("spacing_mm is above 0")
        return self


class Predictions(Record):
    """All cases of a prediction and the model that made them."""

    run: str
    configuration: str
    folds: tuple[str, ...]
    weights: tuple[str, ...] = ()  # SHA-256 of each fold's weights, so that a prediction is only continued by the same model
    inference: str = ""  # how the model was applied: digest of its settings, and the size of the windows
    device: str
    profile: InferenceProfile | None = None  # None: as the plan says, which is how a fold is validated
    postprocessing: tuple[str, ...] = ()  # in words
    parity: tuple[Parity, ...] = ()  # of the engines that were compared with PyTorch in float32
    trust: str = ""  # digest of the rules that say what a mask is worth
    not_judged: str | None = None  # why `review` is told of no mask
    intervals: dict[str, dict[str, MeasurementInterval]] = Field(default_factory=dict)  # of measures, by structure
    targets: tuple[Structure, ...]
    derived: tuple[Structure, ...]
    regions: bool
    cases: tuple[PredictedCase, ...]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        ids = [case.id for case in self.cases]
        if len(set(ids)) < len(ids):
            raise ValueError(f"{next(id for id in ids if ids.count(id) > 1)!r} stands twice among the cases")
        return self
