"""`splits.json`: which cases train and validate in each fold, and which stay out of all of them."""

from __future__ import annotations

from autoseg.records.base import Part, Record

FULL = "full"  # names the fold that trains on the cases of all folds and validates on none


class Fold(Part):
    """Case ids of one fold."""

    train: tuple[str, ...]
    validation: tuple[str, ...]


class Splits(Record):
    """The folds, how they were made (`rule`, a sentence), and the cases held out of every fold."""

    rule: str
    seed: int | None
    folds: tuple[Fold, ...]
    held_out: tuple[str, ...] = ()
