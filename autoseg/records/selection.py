"""`selection.json`, and its part of `model.json`: what was found best on out-of-fold predictions, and what was tried."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from autoseg.records.base import Part, Record
from autoseg.records.predictions import InferenceProfile
from autoseg.records.trust import Trust, TrustReport

ELLIPSE_TOLD = "the ellipse that fits it"
PostprocessingKind = Literal["largest_component", "fill_holes", "minimum_size", "ellipse"]


class PostprocessingStep(Part):
    """Something done to every mask, after the one before it.

    `structure` names a target; None takes all of them as one object (`largest_component` alone). `least` is the smallest size of a
    component that stays (`minimum_size` alone), in `unit`. `ellipse` puts the ellipse that fits a structure's outline in its place, and
    leaves masks as they are that none fits.
    """

    kind: PostprocessingKind
    structure: str | None = None
    least: float | None = Field(default=None, gt=0)
    unit: Literal["pixels", "mm2", "mm3"] | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.structure is None and self.kind != "largest_component":
            raise ValueError(f"{self.kind} names a structure")
        if any((value is not None) != (self.kind == "minimum_size") for value in (self.least, self.unit)):
            raise ValueError("least and unit belong to minimum_size, and to nothing else")
        return self

    @property
    def told(self) -> str:
        """In words."""
        of = self.structure or "the whole foreground"
        if self.kind == "minimum_size":
            return f"{of}: without components below {self.least:.3g} {self.unit}"
        words = {
            "largest_component": "largest component only",
            "fill_holes": "holes filled",
            "ellipse": ELLIPSE_TOLD,
        }
        return f"{of}: {words[self.kind]}"


class Judgement(Part):
    """One comparison on the same cases: `difference` is the candidate's mean Dice less the baseline's, `interval` its 95 % interval.

    The mean runs over cases, each with the mean over its structures; see `stages.select.rule` for what counts where one is absent.
    """

    question: str
    baseline: str
    candidate: str
    cases: int
    subjects: int
    baseline_dice: float
    candidate_dice: float
    difference: float
    interval: tuple[float, float] | None
    adopted: bool
    reason: str


class Selection(Part):
    """How `predict` applies a model unless told otherwise.

    `configurations` are one, or several whose probabilities are averaged. `judged` names, per configuration, the folds on whose
    validation cases this was found, and `weights` their SHA-256; it holds as long as these are part of the model.
    """

    configurations: tuple[str, ...] = Field(min_length=1)
    profile: InferenceProfile
    postprocessing: tuple[PostprocessingStep, ...] = ()
    judged: dict[str, tuple[str, ...]]
    weights: tuple[str, ...]
    trust: Trust | None = None

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.configurations)) < len(self.configurations):
            raise ValueError("a configuration votes once")
        return self


class SelectionReport(Record):
    """What was tried, on which cases, and what could not be told (`not_established`)."""

    ENSEMBLE: ClassVar[str] = "all folds or one, on held-out subjects"  # what a judgement is about that only these can tell

    selection: Selection
    folds_planned: int
    cases: int
    subjects: int
    seconds_per_case: dict[str, float]  # configuration and profile -> mean seconds, of these predictions on this machine
    judgements: tuple[Judgement, ...]
    not_established: tuple[str, ...] = ()
    trust: TrustReport | None = None
