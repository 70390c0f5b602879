"""A plan by topic: nothing is left out, and nothing said twice."""

from __future__ import annotations

from collections.abc import Callable

from autoseg.records import Dataset, Fingerprint, MachineProfile, Splits
from autoseg.stages.plan import PlanOptions, make_plan
from autoseg.stages.plan.explain import SET_BY_USER, TOPICS, explained, facts_of

Records = tuple[Dataset, Fingerprint, Splits]
VOLUMES = {"rank": 3, "shape": (60, 90, 80), "spacings": ((2.0, 1.0, 1.0),) * 10, "thickness": 18.0}


def test_every_decision_of_the_default_is_told_once_by_topic(records: Callable[..., Records], laptop: MachineProfile) -> None:
    plan = make_plan(*records(), laptop, PlanOptions(time_budget_seconds=1200))
    topics = explained(plan, ("They are images.",))
    assert [topic.heading for topic in topics] == ["The data", "The grid", "The network", "What training sees", "Time and memory"]
    told = [decision for topic in topics for decision in topic.decisions]
    assert sorted(d.name for d in told) == sorted(d.name for d in (*plan.decisions, *plan.configurations["2d"].decisions))
    assert [d.name for d in topics[1].decisions] == ["spacing", "transpose"]
    assert topics[0].facts == ("They are images.",)
    assert topics[3].decisions[0].name == "augmentation"
    assert topics[4].decisions[0].name == "length"


def test_what_the_user_set_is_told_last(records: Callable[..., Records], laptop: MachineProfile) -> None:
    plan = make_plan(*records(), laptop, PlanOptions(time_budget_seconds=1200, overrides=("training.seed=4",)))
    topic = explained(plan)[-1]
    assert topic.heading == SET_BY_USER
    assert [d.reason for d in topic.decisions] == ["You set training.seed to 4; the rules had chosen 0."]


def test_of_other_configurations_only_what_differs(records: Callable[..., Records], laptop: MachineProfile) -> None:
    plan = make_plan(*records(**VOLUMES), laptop, PlanOptions(time_budget_seconds=1200))
    last = explained(plan)[-1]
    assert last.heading == "2d, where it differs from 3d_fullres"
    names = [decision.name for decision in last.decisions]
    assert "patch" in names and "batch_dice" in names
    assert "normalization" not in names and "orientation" not in names, "these are the same"


def test_a_setting_that_names_its_configuration_makes_no_difference(records: Callable[..., Records], gpu: MachineProfile) -> None:
    """3d_lowres is applied as 3d_fullres is, and depth and batch_dice are decided otherwise."""
    large = {"rank": 3, "shape": (400, 500, 500), "spacings": ((1.0, 0.8, 0.8),) * 10, "thickness": 12.0}
    plan = make_plan(*records(**large), gpu, PlanOptions())
    first, low = (
        {decision.name: decision for decision in plan.configurations[name].decisions} for name in ("3d_fullres", "3d_lowres")
    )
    assert "--set 3d_fullres." in first["inference"].alternative and "--set 3d_lowres." in low["inference"].alternative
    topic = next(topic for topic in explained(plan) if topic.heading.startswith("3d_lowres"))
    told = {decision.name for decision in topic.decisions}
    assert "batch_dice" in told and "inference" not in told
    cascade = next(topic for topic in explained(plan) if topic.heading.startswith("3d_cascade_fullres"))
    assert [decision.name for decision in cascade.decisions] == ["cascade"]


def test_facts_count_what_was_found(records: Callable[..., Records]) -> None:
    dataset, fingerprint, splits = records(shape=(540, 800))
    first, second = fingerprint.cases[:2]
    absent = {"head": first.structures["head"].model_copy(update={"pixels": 0})}
    changed = (
        first.model_copy(update={"shape": (500, 900), "structures": absent}),
        second.model_copy(update={"spacing_mm": None}),
        *fingerprint.cases[2:],
    )
    dataset = dataset.model_copy(
        update={"cases": (*dataset.cases, dataset.cases[0].model_copy(update={"id": "x", "label": None}))}
    )
    said = facts_of(dataset, fingerprint.model_copy(update={"cases": changed}), splits)
    assert said == (
        "small holds 11 images of 10 subjects (ultrasound), 1 of them without a label.",
        "They have 540x800 pixels in the median, from 500x800 to 540x900. How large a pixel is in mm is not known for 1 of them.",
        "To be found: head (in 9 of 10).",
        "5 folds are made (five folds).",
    )
    assert facts_of(*records(shape=(540, 800)))[1] == "They have 540x800 pixels each."


def test_facts_of_one_case(records: Callable[..., Records]) -> None:
    dataset, fingerprint, splits = records(shape=(540, 800), spacings=(None,) * 10)
    one = splits.model_copy(update={"folds": splits.folds[:1], "held_out": ("case_1",), "rule": "one"})
    said = facts_of(
        dataset.model_copy(update={"cases": dataset.cases[:1]}),
        fingerprint.model_copy(update={"cases": fingerprint.cases[:1]}),
        one,
    )
    assert said == (
        "small holds 1 image of 1 subject (ultrasound).",
        "It has 540x800 pixels. How large a pixel is in mm is not known.",
        "To be found: head (in all).",
        "1 fold is made (one); 1 case is kept out of training.",
    )


def test_every_decision_has_its_topic(records: Callable[..., Records], laptop: MachineProfile, gpu: MachineProfile) -> None:
    """A decision that no topic names would be told among those of the network, wherever it belongs."""
    known = {name for names in TOPICS.values() for name in names}
    large = {"rank": 3, "shape": (400, 500, 500), "spacings": ((1.0, 0.8, 0.8),) * 10, "thickness": 12.0}
    plans = [
        make_plan(*records(**facts), machine, PlanOptions(preset=preset))
        for facts in ({}, VOLUMES, large)
        for machine, preset in ((laptop, "default"), (gpu, "default"), (gpu, "nnunet"))
    ]
    found = {decision.name for plan in plans for part in (plan, *plan.configurations.values()) for decision in part.decisions}
    assert len(found) > 12
    assert found <= known


def test_what_was_edited_by_hand_is_told(records: Callable[..., Records], laptop: MachineProfile) -> None:
    plan = make_plan(*records(**VOLUMES), laptop, PlanOptions(time_budget_seconds=1200))
    planned = plan.configurations[plan.default]
    assert not any("Edited by hand" in fact for topic in explained(plan) for fact in topic.facts)
    training = planned.training.model_copy(update={"batch_size": 7, "epochs": planned.training.epochs + 1, "initial_lr": 0.5})
    edited = planned.model_copy(update={"training": training})
    changed = plan.model_copy(update={"configurations": plan.configurations | {plan.default: edited}})
    facts = next(topic.facts for topic in explained(changed) if topic.heading == SET_BY_USER)
    assert facts[0] == f"Edited by hand: the batch is 7 in plan.json, where planning had chosen {planned.training.batch_size}."
    assert len(facts) == 3 and "number of epochs" in facts[1]
    assert "the learning rate is 0.5 in plan.json, where planning had chosen 0.001" in facts[2]
