"""`doctor.json`: the labels of a data set in the order in which a person should look at them, and what speaks against each."""

from __future__ import annotations

from typing import Literal

from autoseg.records.base import Part, Record
from autoseg.records.predictions import InferenceProfile

FindingKind = Literal[
    "exchanged",
    "shifted",
    "other image",
    "structure missing",
    "nothing labelled",
    "structure not seen",
    "part missing",
    "part extra",
    "islands",
    "holes",
    "stray value",
]


class Finding(Part):
    """Evidence of one kind against a label, as a sentence with its numbers; `structures` are those that it concerns."""

    kind: FindingKind
    structures: tuple[str, ...]
    told: str


class StructureDiagnosis(Part):
    """One structure of one case; see `metrics.label_quality.Disagreement`.

    `suspicion` is what `metrics.label_ranking` makes of it against the other cases; None where neither label nor network has it,
    or the networks hardly ever find it.
    """

    label_pixels: int
    model_pixels: int
    dice: float
    expected_dice: float
    confident: float
    distance: float | None
    suspicion: float | None


class CaseDiagnosis(Part):
    """One case; `rank` 1 is to be looked at first. Files are as in the data set's record, `mask` and `picture` relative to the run."""

    rank: int
    id: str
    subject: str
    fold: str
    suspicion: float
    softmin: float
    findings: tuple[Finding, ...]
    structures: dict[str, StructureDiagnosis]
    images: tuple[str, ...]
    label: str
    mask: str
    picture: str | None = None


class NotJudged(Part):
    """A case that could not be judged; `failed` where something went wrong, and not where there was nothing to judge it by."""

    id: str
    reason: str
    failed: bool


class Diagnosis(Record):
    """All cases that could be judged, worst first, and the others."""

    configuration: str
    profile: InferenceProfile
    folds: tuple[str, ...]
    weights: tuple[str, ...]
    notes: tuple[str, ...] = ()
    cases: tuple[CaseDiagnosis, ...]
    not_judged: tuple[NotJudged, ...]
