"""`measurements.json`: what was measured on masks; `agreement.json`: how that compares with a truth."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from autoseg.records.base import Part, Record, Shape, Spacing


class Measure(Part):
    """One figure. Without a value, `failure` says why; `warnings` are doubts about a value that is there.

    `low` and `high` are the ends of a 95 % interval, where one is known.
    """

    value: float | None
    unit: str
    low: float | None = None
    high: float | None = None
    warnings: tuple[str, ...] = ()
    failure: str | None = None


class FittedEllipse(Part):
    """In mm from the centre of pixel (0, 0); `angle_rad` turns from the x axis (right) to the y axis (down), to the major axis."""

    centre_yx_mm: tuple[float, float]
    semi_axes_mm: tuple[float, float]
    angle_rad: float


class MeasuredStructure(Part):
    """All figures of one structure in one case, in the order in which they are shown.

    `ellipse` is that of a head's outline, where it could be fitted.
    """

    pixels: int
    measures: dict[str, Measure]
    ellipse: FittedEllipse | None = None


class MeasuredCase(Part):
    """One mask: what was measured, or why it could not be read. `mask` and `images` are where they lay, `figure` is relative to
    the folder of the record.

    `review` is set where someone ought to look at the case.
    """

    id: str
    subject: str
    mask: str
    images: tuple[str, ...] = ()
    status: Literal["done", "failed"]
    shape: Shape = ()
    spacing_mm: Spacing | None = None
    structures: dict[str, MeasuredStructure] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    review: bool | None = None
    figure: str | None = None
    error: str | None = None


class Measurements(Record):
    """All cases. `structures` gives the values of each structure in the masks; empty where every value found is a structure."""

    masks: str
    structures: dict[str, tuple[int, ...]]
    dating: str
    cases: tuple[MeasuredCase, ...]


class MeasureAgreement(Part):
    """One measure against its truth, differences being measured minus true; intervals are 95 %.

    `compared` cases have both, `not_measured` have only a truth, and are named. Limits are those of Bland and Altman.
    """

    structure: str
    measure: str
    unit: str
    compared: int
    subjects: int
    not_measured: tuple[str, ...] = ()
    bias: float | None = None
    bias_interval: tuple[float, float] | None = None
    deviation: float | None = None
    lower: float | None = None
    lower_interval: tuple[float, float] | None = None
    upper: float | None = None
    upper_interval: tuple[float, float] | None = None
    mae: float | None = None
    mae_interval: tuple[float, float] | None = None
    largest: float | None = None  # absolute difference
    icc: float | None = None


class Agreement(Record):
    """Every measure that has a truth."""

    masks: str
    truth: str
    measures: tuple[MeasureAgreement, ...]
    without_mask: tuple[str, ...] = ()  # cases of the truth that have no mask
    plot: str | None = None
    notes: tuple[str, ...] = ()
