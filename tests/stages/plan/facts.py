"""A data set, a machine and options, of which a test changes one; and what the plan says then."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from autoseg.records import CaseFacts, Decision, Intensities, MachineProfile, Plan, Splits
from autoseg.stages.plan import PlanOptions, make_plan
from autoseg.stages.plan.transfer import Source

from .conftest import make_records

VOLUMES: dict[str, Any] = {"rank": 3, "shape": (60, 90, 80), "spacings": ((2.0, 1.0, 1.0),) * 10, "thickness": 18.0}
LARGE: dict[str, Any] = {"rank": 3, "shape": (400, 500, 500), "spacings": ((1.0, 0.8, 0.8),) * 10, "thickness": 12.0}
HU = Intensities(mean=80.0, median=82.0, std=40.0, min=-1000.0, max=2000.0, percentile_00_5=-120.0, percentile_99_5=310.0)
TWENTY_MINUTES = PlanOptions(time_budget_seconds=1200)


@dataclass(frozen=True)
class Facts:
    """A data set, a machine and options, of which a test changes one number."""

    records: dict[str, Any] = field(default_factory=dict)
    machine: str = "laptop"
    memory: int = 8 * 10**9
    speed: float = 1.0
    intensities: Intensities | None = None
    cases: int = 10
    options: PlanOptions = TWENTY_MINUTES
    source: Source | None = None

    def plan(self, machines: dict[str, MachineProfile]) -> Plan:
        dataset, fingerprint, splits = make_records(**self.records)
        kept = fingerprint.cases[: self.cases]
        machine = machines[self.machine]
        probes = tuple(p.model_copy(update={"step_seconds": p.step_seconds / self.speed}) for p in machine.throughput)
        return make_plan(
            dataset,
            fingerprint.model_copy(update={"cases": kept, "intensities": (self.intensities,) if self.intensities else ()}),
            _of(splits, kept),
            machine.model_copy(update={"memory_bytes": self.memory, "throughput": probes}),
            self.options,
            self.source,
        )


def _of(splits: Splits, cases: tuple[CaseFacts, ...]) -> Splits:
    ids = {case.id for case in cases}
    folds = [
        fold.model_copy(
            update={
                "train": tuple(c for c in fold.train if c in ids),
                "validation": tuple(c for c in fold.validation if c in ids),
            }
        )
        for fold in splits.folds
    ]
    return splits.model_copy(update={"folds": tuple(folds)})


def said(plan: Plan, name: str) -> str:
    found = [d for d in (*plan.decisions, *plan.configurations[plan.default].decisions) if d.name == name]
    return " ".join(f"{d.choice}: {d.reason}" for d in found)


def decision_of(plan: Plan, name: str, configuration: str = "") -> Decision:
    held = (*plan.decisions, *plan.configurations[configuration or plan.default].decisions)
    return next(decision for decision in held if decision.name == name)


def machines_of(laptop: MachineProfile, gpu: MachineProfile) -> dict[str, MachineProfile]:
    """By name; `quick` is a card whose speed is known, `unseen` a laptop whose speed is not."""
    unseen, quick = laptop.model_copy(update={"throughput": ()}), gpu.model_copy(update={"throughput": laptop.throughput})
    return {"laptop": laptop, "gpu": gpu, "unseen": unseen, "quick": quick}


BASE = Facts()
BY_RULE = Facts(machine="gpu", memory=8 * 10**9, options=PlanOptions())
CT = Facts(records={"channels": ("CT",)}, intensities=HU)
