"""`checkpoint.json`: how far a fold's training has come, and which state files are valid."""

from __future__ import annotations

from autoseg.records.base import Part, Record
from autoseg.records.transfer import InitialWeights


class Amendment(Part):
    """A change made to the plan while training, so that the trained model is fully told by its records."""

    epoch: int
    name: str
    before: str
    after: str
    reason: str


class FoldCheckpoint(Record):
    """Written last, so that what it names is whole. `state` holds what training needs to go on; `weights` is handed over."""

    preparation: str  # digests by concern
    network: str
    training: str
    epoch: int  # epochs done
    epochs: int  # epochs the schedule has now
    progress: float  # fraction of the learning-rate schedule used, 0..1
    seconds: float  # wall time trained so far, over all sittings
    state: str | None  # file name; None once training is finished
    weights: str
    weights_sha256: str
    finished: bool
    skipped: int = 0  # steps left out so far, since their loss was no number
    parts: int = 1  # in which a batch goes through the network, after memory did not suffice
    extended_at: int | None = None  # epoch with which the last extension began
    handed_over: str | None = None  # weights that predictions use while the fold is extended, and their hash
    handed_over_sha256: str = ""
    extensions: int = 0  # begun so far
    limit_seconds: float | None = None  # of training, to which the length is amended
    amendments: tuple[Amendment, ...] = ()
    initial: InitialWeights | None = None  # None: random numbers
    members: str = ""  # digest of the cases to train and to validate on; empty where it was not noted
