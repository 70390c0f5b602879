"""What plans say about themselves: every decision is complete, and its sentence follows the facts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from autoseg.records import Dataset, Decision, Fingerprint, MachineProfile, Splits
from autoseg.records.plan import Number
from autoseg.stages.plan import PlanInputs, PlanOptions, load_preset, plan_configurations, preset_names
from autoseg.stages.plan.saying import say

from .facts import BASE, BY_RULE, CT, HU, LARGE, VOLUMES, Facts, machines_of, said

EXAMPLES = Path(__file__).resolve().parents[3] / "plans" / "examples"
FORMATS = ("", "mm", "list", "%", "bytes", "time", "g", ",", ".1f", ".3f", ",.0f", "#case", "#case/cases")


@pytest.fixture
def machines(laptop: MachineProfile, gpu: MachineProfile) -> dict[str, MachineProfile]:
    return machines_of(laptop, gpu)


@pytest.mark.parametrize(
    ("name", "before", "change"),
    [
        ("spacing", BASE, {"records": {"spacings": ((0.2, 0.2),) * 9 + ((0.25, 0.2),)}}),
        ("spacing", BASE, {"records": {"spacings": ((0.2, 0.2),) * 9 + (None,)}}),
        ("spacing", BASE, {"records": {"thickness": 150.0}}),
        ("spacing", BASE, {"options": PlanOptions(time_budget_seconds=1260)}),
        ("spacing", BY_RULE, {"records": {"spacings": ((0.21, 0.2),) * 10}}),
        ("spacing", Facts(records=VOLUMES), {"records": VOLUMES | {"spacings": ((2.5, 1.0, 1.0),) * 10}}),
        ("orientation", Facts(records=VOLUMES | {"orientation": "RAS"}), {"records": VOLUMES | {"orientation": "LPS"}}),
        ("orientation", Facts(records=VOLUMES | {"orientation": "RAS"}), {"records": VOLUMES | {"orientation": "PIR"}}),
        ("orientation", Facts(records=VOLUMES), {"cases": 9}),
        ("transpose", Facts(records=VOLUMES), {"records": VOLUMES | {"spacings": ((2.5, 1.0, 1.0),) * 10}}),
        ("transpose", Facts(records=VOLUMES), {"records": VOLUMES | {"spacings": ((1.0, 1.0, 2.0),) * 10}}),
        ("normalization", BASE, {"records": {"crop": (270, 800)}}),
        ("normalization", CT, {"intensities": HU.model_copy(update={"percentile_00_5": -121.0})}),
        ("normalization", CT, {"intensities": HU.model_copy(update={"percentile_99_5": 300.0})}),
        ("normalization", CT, {"intensities": HU.model_copy(update={"mean": 81.0})}),
        ("normalization", CT, {"intensities": HU.model_copy(update={"std": 41.0})}),
        ("patch", BASE, {"records": {"shape": (540, 900)}}),
        ("patch", BY_RULE, {"records": {"shape": (540, 900)}}),
        ("patch", BY_RULE, {"memory": 7 * 10**9}),
        ("width", BASE, {"speed": 1.1}),
        ("width", BASE, {"options": PlanOptions(time_budget_seconds=1260)}),
        ("batch", BASE, {"options": PlanOptions(time_budget_seconds=1260)}),
        ("batch", BY_RULE, {"cases": 8}),
        ("batch", BY_RULE, {"memory": 12 * 10**9}),
        ("depth", BY_RULE, {"records": {"shape": (540, 1400)}}),
        ("batch_dice", Facts(records=LARGE, machine="gpu"), {"records": LARGE | {"shape": (300, 500, 500)}}),
        ("cascade", Facts(records=LARGE, machine="gpu"), {"records": LARGE | {"shape": (390, 500, 500)}}),
        ("length", BASE, {"options": PlanOptions(time_budget_seconds=1260)}),
        ("length", BASE, {"options": PlanOptions(epochs=7)}),
        ("length", BASE, {"speed": 0.9}),
        ("length", BASE, {"cases": 5}),
        ("length", BASE, {"records": {"share": 0.01}}),
        ("width", BASE, {"records": {"share": 0.0001}}),
        ("length", BY_RULE, {"options": PlanOptions(epochs=7)}),
        ("memory", BASE, {"memory": 7 * 10**9}),
        ("memory", BASE, {"options": PlanOptions(time_budget_seconds=1200, memory_bytes=3e9)}),
        ("inference", BASE, {"options": PlanOptions(time_budget_seconds=1260)}),
        ("inference", BASE, {"cases": 5}),
        ("device", BASE, {"memory": 7 * 10**9}),
        ("device", BASE, {"machine": "gpu"}),
        ("default", BASE, {"records": VOLUMES}),
        ("network", BASE, {"options": PlanOptions(time_budget_seconds=1200, overrides=("network.family=unet2015",))}),
    ],
    ids=lambda value: value if isinstance(value, str) else ",".join(value) if isinstance(value, dict) else "",
)
def test_a_changed_number_changes_its_sentence(
    machines: dict[str, MachineProfile], name: str, before: Facts, change: dict[str, Any]
) -> None:
    place = "3d_cascade_fullres" if name == "cascade" else None
    first, second = before.plan(machines), replace(before, **change).plan(machines)
    if place:
        first, second = (plan.model_copy(update={"default": place}) for plan in (first, second))
    assert said(first, name) and said(second, name)
    assert said(first, name) != said(second, name)


def test_sentences_hold_the_numbers_of_the_data(machines: dict[str, MachineProfile]) -> None:
    def of(facts: Facts, name: str) -> str:
        return said(facts.plan(machines), name)

    some = ((0.05, 0.05), *((0.125, 0.125),) * 8, (0.33, 0.33))
    assert "vary from 0.05 mm to 0.33 mm a pixel" in of(Facts(records={"spacings": some}), "spacing")
    assert "times the median, because" in of(Facts(records={"spacings": some}), "spacing")
    assert "All images have 0.2 mm a pixel and keep it." in of(BY_RULE, "spacing")
    assert "clipped to -120 .. 310" in of(CT, "normalization") and "minus its mean 80" in of(CT, "normalization")
    assert "10 of 10 volumes are stored in another orientation;" in of(
        Facts(records=VOLUMES | {"orientation": "RAS"}), "orientation"
    )
    assert "10 of them with axes in another order" in of(Facts(records=VOLUMES | {"orientation": "PIR"}), "orientation")
    assert "5% of 10 cases" in of(BY_RULE, "batch")
    assert "20 min, less 5% in reserve" in of(BASE, "length") and "to validate 2 cases" in of(BASE, "length")
    assert "4.8 GB may be used" in of(BASE, "memory"), "0.6 of 8 GB"
    assert "head, which takes 25% of an image on average, begins to be found after some" in of(BASE, "length")
    tiny = Facts(records={"share": 3e-6}, speed=0.1, options=PlanOptions(time_budget_seconds=90))
    assert "Expect to miss head: head, which takes 0.0002% of an image on average, begins to" in of(tiny, "length"), (
        "1 of 432,000 pixels"
    )
    assert "Expect to miss head" in of(replace(tiny, options=PlanOptions(epochs=20)), "length")
    assert "expect poor masks" in of(Facts(options=PlanOptions(time_budget_seconds=20), speed=0.2), "length")


def test_a_slice_keeps_its_neighbours_where_they_are(machines: dict[str, MachineProfile]) -> None:
    coarse = VOLUMES | {"shape": (20, 200, 200), "spacings": ((5.0, 1.0, 1.0),) * 5 + ((6.0, 1.2, 1.2),) * 5}
    plan = Facts(records=coarse, machine="gpu", options=PlanOptions()).plan(machines)
    fullres, flat = (next(d for d in plan.configurations[name].decisions if d.name == "spacing") for name in ("3d_fullres", "2d"))
    assert fullres.choice == "5 x 1.1 x 1.1 mm" and "along the coarsest axis the 10th percentile" in fullres.reason
    assert flat.choice == "1.1 mm" and "percentile" not in flat.reason
    assert "The distance between slices stays as it is" in flat.reason


def _all_decisions(machines: dict[str, MachineProfile]) -> list[Decision]:
    records = ({}, {"spacings": (None,) * 10}, {"crop": (270, 800)}, VOLUMES, VOLUMES | {"orientation": "SRA"}, LARGE)
    in_time, asked = PlanOptions(time_budget_seconds=3600), PlanOptions(epochs=3, overrides=("training.seed=4",))
    asked_for = [("laptop", in_time), ("unseen", asked), *(("gpu", PlanOptions(preset=name)) for name in preset_names())]
    plans = [
        Facts(records=facts, machine=name, options=options).plan(machines) for facts in records for name, options in asked_for
    ]
    return [decision for plan in plans for c in (plan, *plan.configurations.values()) for decision in c.decisions]


def _examples() -> list[Decision]:
    """Of the plans under `plans/examples`."""
    told: dict[str, Any] = json.loads((EXAMPLES / "default.json").read_text())
    found: list[Decision] = []
    for example in told["examples"].values():
        options = TypeAdapter(PlanOptions).validate_python(example["options"])
        inputs = TypeAdapter(PlanInputs).validate_python(example["facts"])
        machine = MachineProfile.model_validate(told["machines"][example["machine"]])
        plans = plan_configurations(inputs, machine, options, load_preset(options.preset))
        found += [decision for configuration in plans.values() for decision in configuration.decisions]
    return found


def _ways_to_say(value: Number) -> set[str]:
    ways = set()
    for form in FORMATS:
        try:
            ways.add(say(f"{{n:{form}}}", {"n": value}))
        except (ValueError, TypeError):
            continue
    return {way.removesuffix(" cases").removesuffix(" case") for way in ways}


def test_every_decision_of_every_example_is_complete(machines: dict[str, MachineProfile]) -> None:
    found = [*_all_decisions(machines), *_examples()]
    assert len(found) > 400
    for decision in found:
        text = f"{decision.choice} {decision.reason} {decision.alternative}"
        assert all((decision.choice, decision.rule, decision.reason, decision.alternative)), decision.name
        assert decision.rule.startswith(("nnU-Net", "ours: ", "the user's: ", "the U-Net of", "Ronneberger")), decision.rule
        assert decision.reason.endswith(".") and decision.alternative.endswith("."), decision
        assert decision.name in WITHOUT_NUMBERS or decision.numbers, decision
        for name, value in decision.numbers.items():
            assert any(way in text for way in _ways_to_say(value)), f"{decision.name}: {name} = {value!r} is not in {text!r}"


WITHOUT_NUMBERS = {"orientation", "transpose"}  # of 2D images, which are left as they are


def test_other_numbers_leave_a_sentence_alone(machines: dict[str, MachineProfile]) -> None:
    """A sentence speaks of its own facts: memory is none of the spacing's, an orientation none of the length's."""
    less = replace(BASE, memory=7 * 10**9)
    for name in ("spacing", "normalization", "transpose", "patch"):
        assert said(BASE.plan(machines), name) == said(less.plan(machines), name)


def test_names_given_by_the_user_are_said_as_they_are(
    machines: dict[str, MachineProfile], records: Callable[..., tuple[Dataset, Fingerprint, Splits]]
) -> None:
    plan = Facts(records={"channels": ("{0} {spacing:mm}",)}).plan(machines)
    assert "{0} {spacing:mm}: zscore" in said(plan, "normalization")
