"""What segments the cases of a prediction: one engine, or the quickest of several that agrees with PyTorch in float32."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch

from autoseg.engines import Engine
from autoseg.errors import OutOfMemory
from autoseg.inference.case import Job, PreparedCase, Segmentation, segment
from autoseg.inference.parity import LEAST_AGREEMENT, MOST_MM, Tally
from autoseg.records import Parity

MOST_EMPTY = 10  # so many cases are compared at least; of later ones in which the engine finds nothing, one in so many

log = logging.getLogger(__name__)


class Networks(Protocol):
    """The networks of a prediction, on whatever runs them."""

    @property
    def weights(self) -> tuple[str, ...]:
        """SHA-256 of each fold's weights."""

    @property
    def device(self) -> torch.device:
        """Where they run."""

    @property
    def parities(self) -> tuple[Parity, ...]:
        """What came of comparisons so far."""

    def begin(self, n_cases: int) -> tuple[Engine, ...]:
        """Open what is needed to segment so many cases; the engines that will be in memory. Nothing is opened before."""

    def segment(self, prepared: PreparedCase, job: Job, scratch: Path | None = None) -> Segmentation:
        """See `case.segment`."""


@dataclass(frozen=True)
class OneEngine:
    """An engine that is used as it is."""

    engine: Engine
    parities: tuple[Parity, ...] = ()

    @property
    def weights(self) -> tuple[str, ...]:
        """SHA-256 of each fold's weights."""
        return self.engine.weights

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.engine.device

    def begin(self, n_cases: int) -> tuple[Engine, ...]:
        """It is open."""
        return (self.engine,)

    def segment(self, prepared: PreparedCase, job: Job, scratch: Path | None = None) -> Segmentation:
        """See `case.segment`."""
        return segment(prepared, job, self.engine, scratch)


@dataclass(frozen=True)
class Choice:
    """Which engines come into question.

    Args:
        openers: by name, the quickest first and the reference last.
        verdicts: of engines that were compared with the reference before, whether they passed.
    """

    openers: Mapping[str, Callable[[], Engine]]
    verdicts: Mapping[str, bool] = field(default_factory=dict)


class CheckedEngines:
    """Engines from the quickest to the reference, PyTorch in float32; the first that agrees with it is used.

    While an engine is compared, the reference's masks are the result, so nothing has to be made anew where it fails.

    Args:
        choose: called once, with the number of cases, when there is work.
        weights: SHA-256 of each fold's weights.
        device: where all of them run.
        on_verdict: called with every comparison.
    """

    def __init__(
        self,
        choose: Callable[[int], Choice],
        weights: tuple[str, ...],
        device: torch.device,
        on_verdict: Callable[[Parity], None] | None = None,
    ):
        self.weights, self.device = weights, device
        self.parities: tuple[Parity, ...] = ()
        self._choose, self._on_verdict = choose, on_verdict
        self._openers: dict[str, Callable[[], Engine]] = {}
        self._open: dict[str, Engine] = {}
        self._trusted: set[str] = set()
        self._start_comparison()

    def begin(self, n_cases: int) -> tuple[Engine, ...]:
        """Choose, and open the quickest engine that can be opened and, where it has to be compared, the reference."""
        choice = self._choose(n_cases)
        self._openers = dict(choice.openers)
        *_, self._reference = self._openers
        self._trusted = {self._reference} | {name for name, passed in choice.verdicts.items() if passed}
        for name, passed in choice.verdicts.items():
            if not passed:
                self._drop_precision(name)
        while (name := self._first) != self._reference:
            try:
                engine = self._engine(name)
            except OutOfMemory:
                raise
            except Exception as error:  # whatever a library throws: another engine will do
                self._drop(name, error)
                continue
            return (engine,) if name in self._trusted else (engine, self._engine(self._reference))
        return (self._engine(name),)

    def segment(self, prepared: PreparedCase, job: Job, scratch: Path | None = None) -> Segmentation:
        """See `case.segment`; the engine that made the result is named in it.

        Where an engine fails at a case that the reference can do, it is left out from then on. Where the reference fails, too, the
        fault is the image's.
        """
        name = self._first
        if name == self._reference:
            return segment(prepared, job, self._engine(name), scratch)
        try:
            found = segment(prepared, job, self._engine(name), scratch)
        except OutOfMemory:
            raise
        except Exception as error:  # whatever a library throws
            expected = segment(prepared, job, self._engine(self._reference), scratch)
            self._drop(name, error)
            return expected
        if name in self._trusted or not self._is_to_be_compared(found):
            return found
        expected = segment(prepared, job, self._engine(self._reference), scratch)
        self._tally.add(found.winners, expected.winners, expected.prepared.spacing_mm)
        if self._tally.suffices:
            self._settle(self._tally.verdict(name))
        return expected

    def _is_to_be_compared(self, found: Segmentation) -> bool:
        """Every case, but of those in which the engine finds nothing, beyond the first ones, only some."""
        self._n_seen += 1
        return self._n_seen <= MOST_EMPTY or self._n_seen % MOST_EMPTY == 0 or bool(found.winners.any())

    def _settle(self, parity: Parity) -> None:
        """Trust an engine, or leave out all of its precision."""
        self.parities = (*self.parities, parity)
        if self._on_verdict:
            self._on_verdict(parity)
        if parity.passed:
            self._trusted.add(parity.engine)
            self._open.pop(self._reference, None)
        else:
            self._drop_precision(parity.engine)
        self._start_comparison()

    def _start_comparison(self) -> None:
        self._tally, self._n_seen = Tally(), 0

    def _drop(self, name: str, error: Exception) -> None:
        """Leave out an engine that fails."""
        log.warning("%s cannot be used: %s: %s", name, type(error).__name__, error)
        del self._openers[name]
        self._open.pop(name, None)
        self._start_comparison()

    def _drop_precision(self, failed: str) -> None:
        """Leave out an engine whose masks differ, and those of the same precision, which would differ alike."""
        precision = failed.partition("-")[2]
        for name in [name for name in self._openers if name.partition("-")[2] == precision and name not in self._trusted]:
            del self._openers[name]
            self._open.pop(name, None)

    @property
    def _first(self) -> str:
        return next(iter(self._openers))

    def _engine(self, name: str) -> Engine:
        if name not in self._open:
            self._open[name] = self._openers[name]()
        return self._open[name]


def told(parity: Parity) -> str:
    """A comparison in words."""
    share = 100 * (1 - parity.differing / max(1, parity.foreground))
    mm = "" if parity.largest_mm is None else f", measurements within {parity.largest_mm:.2g} mm"
    found = f"labels equal on {share:.2f} % of the foreground of {parity.n_cases} cases{mm}"
    if parity.passed:
        return f"{parity.engine} agrees with PyTorch in float32 ({found}) and is used from here on"
    wanted = f"at least {100 * LEAST_AGREEMENT:g} %, and {MOST_MM:g} mm, are wanted"
    return f"{parity.engine} is not used, as it differs from PyTorch in float32 ({found}; {wanted})"
