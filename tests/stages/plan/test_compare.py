"""What differs between two plans, and why."""

from __future__ import annotations

from collections.abc import Callable

from autoseg.records import Dataset, Fingerprint, Intensities, MachineProfile, Plan, Splits
from autoseg.stages.plan import PlanOptions, make_plan
from autoseg.stages.plan.compare import WHOLE_PLAN, Section, compare

Records = tuple[Dataset, Fingerprint, Splits]
VOLUMES = {"rank": 3, "shape": (60, 90, 80), "spacings": ((2.0, 1.0, 1.0),) * 10, "thickness": 18.0}
TIME = PlanOptions(time_budget_seconds=1200)
HU = Intensities(mean=80.0, median=82.0, std=40.0, min=-1000.0, max=2000.0, percentile_00_5=-120.0, percentile_99_5=310.0)


def _paths(section: Section) -> set[str]:
    return {difference.path for difference in section.differences}


def test_equal_plans_do_not_differ(records: Callable[..., Records], laptop: MachineProfile) -> None:
    plan = make_plan(*records(), laptop, TIME)
    assert compare(plan, plan).same
    assert compare(plan, Plan.model_validate_json(plan.model_dump_json())).same


def test_one_value_and_its_reason(records: Callable[..., Records], laptop: MachineProfile) -> None:
    first = make_plan(*records(), laptop, TIME)
    second = make_plan(*records(), laptop, PlanOptions(time_budget_seconds=1200, overrides=("training.batch_size=6",)))
    (section,) = compare(first, second).sections
    assert section.name == "2d"
    (difference,) = section.differences
    assert (difference.path, difference.second) == ("training.batch_size", "6")
    assert difference.first == str(first.configurations["2d"].training.batch_size)
    (reasons,) = section.reasons
    assert (reasons.decision, reasons.first) == ("training.batch_size", "")
    assert "You set training.batch_size to 6" in reasons.second


def test_another_time_is_told_with_the_sentences_behind_it(records: Callable[..., Records], laptop: MachineProfile) -> None:
    facts = records(thickness=200.0)
    first, second = (make_plan(*facts, laptop, PlanOptions(time_budget_seconds=seconds)) for seconds in (300, 28800))
    (section,) = compare(first, second).sections
    assert {"training.time_budget_seconds", "training.epochs", "preparation.spacing_mm"} <= _paths(section)
    why = {reasons.decision: reasons for reasons in section.reasons}
    assert "5 min" in why["length"].first and "8 h" in why["length"].second
    assert why["spacing"].first != why["spacing"].second
    assert "orientation" not in why, "nothing of it differs"


def test_what_all_configurations_share_has_a_section(
    records: Callable[..., Records], laptop: MachineProfile, gpu: MachineProfile
) -> None:
    first, second = make_plan(*records(), laptop, TIME), make_plan(*records(), gpu, PlanOptions(preset="nnunet"))
    whole = compare(first, second).sections[0]
    assert whole.name == WHOLE_PLAN
    assert {"preset", "device"} <= _paths(whole)
    assert ("device", '"cpu"', '"cuda"') in {(d.path, d.first, d.second) for d in whole.differences}
    assert [reasons.decision for reasons in whole.reasons] == ["device"]


def test_configurations_that_only_one_has(records: Callable[..., Records], gpu: MachineProfile) -> None:
    both = make_plan(*records(**VOLUMES), gpu, PlanOptions())
    one = both.model_copy(update={"configurations": {"3d_fullres": both.configurations["3d_fullres"]}})
    assert compare(both, one).only_first == ("2d",)
    assert compare(one, both).only_second == ("2d",)
    assert not compare(one, both).same


def test_normalisation_is_compared_number_by_number(records: Callable[..., Records], laptop: MachineProfile) -> None:
    dataset, fingerprint, splits = records(channels=("CT",))
    plan = make_plan(dataset, fingerprint.model_copy(update={"intensities": (HU,)}), splits, laptop, TIME)
    found = plan.configurations["2d"]
    scheme = found.preparation.normalization[0].model_copy(update={"lower": -100.0})
    preparation = found.preparation.model_copy(update={"normalization": (scheme,)})
    other = plan.model_copy(update={"configurations": {"2d": found.model_copy(update={"preparation": preparation})}})
    (section,) = compare(plan, other).sections
    assert [(d.path, d.first, d.second) for d in section.differences] == [
        ("preparation.normalization.0.lower", "-120.0", "-100.0")
    ]


def test_rounding_is_no_difference(records: Callable[..., Records], laptop: MachineProfile) -> None:
    plan = make_plan(*records(), laptop, TIME)
    found = plan.configurations["2d"]
    spacing = tuple(value and value * (1 + 1e-9) for value in found.preparation.spacing_mm or ())
    preparation = found.preparation.model_copy(update={"spacing_mm": spacing})
    other = plan.model_copy(update={"configurations": {"2d": found.model_copy(update={"preparation": preparation})}})
    assert compare(plan, other).same
