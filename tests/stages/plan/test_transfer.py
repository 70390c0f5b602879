"""Plans that are made from another run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from autoseg.errors import PlanError
from autoseg.records import (
    Dataset,
    Fingerprint,
    Fold,
    Intensities,
    MachineProfile,
    Normalization,
    Plan,
    Splits,
    Structure,
    TrainedFold,
    Transfer,
)
from autoseg.stages.plan import PlanOptions, make_plan
from autoseg.stages.plan.transfer import Source, images_of_folds, starting_weights

Records = tuple[Dataset, Fingerprint, Splits]
MakeRecords = Callable[..., Records]
VOLUMES = {"rank": 3, "shape": (36, 50, 35), "spacings": ((1.0, 1.0, 1.0),) * 10, "thickness": 9.5}
CT = Intensities(mean=50, median=50, std=20, min=-100, max=300, percentile_00_5=-80, percentile_99_5=250)


def source_of(plan: Plan, name: str | None = None, mode: str = "plan") -> Source:
    transfer = Transfer(
        mode="plan" if mode == "plan" else "init", run="/runs/other", configuration=name or plan.default, same_structures=True
    )
    return Source(plan, name or plan.default, transfer)


@pytest.fixture
def coarse(records: MakeRecords, laptop: MachineProfile) -> Plan:
    """Images at 0.2 mm, trained at 1 mm on patches of 64."""
    settings = (
        "preparation.spacing_mm=1,1",
        "preparation.antialias=true",
        "training.patch_size=64,96",
        "network.features=8,16,32",
        "network.strides=[[1,1],[2,2],[2,2]]",
        "network.kernel_sizes=[[3,3],[3,3],[3,3]]",
        "network.encoder_blocks=2,2,2",
        "network.decoder_convs=2,2",
    )
    return make_plan(*records(), laptop, PlanOptions(time_budget_seconds=600, overrides=settings))


def reason(plan: Plan, name: str) -> str:
    return next(decision.reason for decision in plan.configurations[plan.default].decisions if decision.name == name)


@pytest.mark.parametrize("machine", ["laptop", "gpu"])
def test_network_grid_and_patch_are_taken_and_the_rest_is_planned(
    coarse: Plan, records: MakeRecords, machine: str, request: pytest.FixtureRequest
) -> None:
    """By the clock and by memory; the data have two channels, three structures, and other pixels than the other run's."""
    dataset, fingerprint, splits = records(spacings=((0.5, 0.5),) * 10, channels=("ultrasound", "doppler"))
    three = tuple(Structure(name=name, values=(i,), output_value=i) for i, name in enumerate("abc", 1))
    dataset = dataset.model_copy(update={"targets": three})
    plan = make_plan(dataset, fingerprint, splits, request.getfixturevalue(machine), PlanOptions(), source_of(coarse))
    assert list(plan.configurations) == ["2d"]
    here, there = plan.configurations["2d"], coarse.configurations["2d"]
    assert here.network == there.network.model_copy(update={"in_channels": 2, "out_channels": 4})
    assert here.training.patch_size == (64, 96)
    assert here.preparation.spacing_mm == (1, 1)
    assert here.preparation.antialias
    assert len(here.preparation.normalization) == 2
    assert here.median_shape == (270, 400)  # 540 x 800 pixels of 0.5 mm
    assert here.training.epochs != there.training.epochs
    assert plan.transfer is not None
    assert "/runs/other" in reason(plan, "network")
    assert reason(plan, "start") == "The network of /runs/other (2d) is trained anew."


def test_an_own_time_and_own_settings_still_count(coarse: Plan, records: MakeRecords, laptop: MachineProfile) -> None:
    short, long = (
        make_plan(*records(), laptop, PlanOptions(time_budget_seconds=seconds), source_of(coarse)).configurations["2d"].training
        for seconds in (300, 1200)
    )
    assert long.epochs * long.steps_per_epoch > 2 * short.epochs * short.steps_per_epoch
    own = make_plan(*records(), laptop, PlanOptions(overrides=("training.initial_lr=0.001",)), source_of(coarse))
    assert own.configurations["2d"].training.initial_lr == 0.001


def test_intensities_of_a_channel_stay_as_the_network_learnt_them(records: MakeRecords, laptop: MachineProfile) -> None:
    """CT is clipped by the other data's numbers; a channel that is new has this set's."""
    dataset, fingerprint, splits = records(**VOLUMES, channels=("CT",))
    there = make_plan(
        dataset, fingerprint.model_copy(update={"intensities": (CT,)}), splits, laptop, PlanOptions(preset="nnunet")
    )
    brighter = CT.model_copy(update={"mean": 500.0, "percentile_99_5": 2500.0})
    dataset, fingerprint, splits = records(**VOLUMES, channels=("ct", "T1"))
    facts = fingerprint.model_copy(update={"intensities": (brighter, brighter)})
    plan = make_plan(dataset, facts, splits, laptop, PlanOptions(preset="nnunet"), source_of(there))
    assert plan.configurations["3d_fullres"].preparation.normalization == (
        Normalization(scheme="ct", mean=50, std=20, lower=-80, upper=250),
        Normalization(scheme="zscore"),
    )
    assert "no channel named T1" in reason(plan, "normalization")


def test_axes_run_as_in_the_other_run_whatever_the_preset(records: MakeRecords, laptop: MachineProfile) -> None:
    """There the last axis is the coarsest, in canonical orientation; here it is the first, and the preset keeps file order."""
    there = make_plan(*records(**VOLUMES | {"spacings": ((1.0, 1.0, 3.0),) * 10}), laptop, PlanOptions(time_budget_seconds=1200))
    assert there.configurations["2d"].preparation.transpose == (2, 0, 1)
    facts = records(**VOLUMES | {"spacings": ((4.0, 1.0, 1.0),) * 10}, orientation="LPS")
    plan = make_plan(*facts, laptop, PlanOptions(preset="nnunet"), source_of(there, "2d"))
    assert list(plan.configurations) == ["2d"]
    assert plan.configurations["2d"].preparation == there.configurations["2d"].preparation
    assert plan.configurations["2d"].slice_axis == 0


def test_a_low_resolution_network_alone_has_no_second_stage(records: MakeRecords, laptop: MachineProfile) -> None:
    there = make_plan(*records(**VOLUMES), laptop, PlanOptions(preset="nnunet"))
    low = there.configurations["3d_fullres"].model_copy(update={"name": "3d_lowres", "next_stage": "3d_cascade_fullres"})
    there = there.model_copy(update={"configurations": {"3d_lowres": low}, "default": "3d_lowres"})
    plan = make_plan(*records(**VOLUMES), laptop, PlanOptions(preset="nnunet"), source_of(there))
    assert plan.configurations["3d_lowres"].next_stage is None


def test_what_does_not_fit_is_refused_with_all_reasons(coarse: Plan, records: MakeRecords, laptop: MachineProfile) -> None:
    def refusal(facts: Records, source: Source, *overrides: str) -> str:
        with pytest.raises(PlanError) as caught:
            make_plan(*facts, laptop, PlanOptions(overrides=overrides), source)
        return str(caught.value)

    assert "planned for 2D images, but these data are volumes" in refusal(records(**VOLUMES), source_of(coarse))
    pixels = records(spacings=(None,) * 10)
    text = refusal(pixels, source_of(coarse), "network.family=unet2015")
    assert "no size in mm is known of these; give a table of pixel sizes with --spacing" in text
    assert "leave --set network.family=unet2015 away" in text
    both = coarse.model_copy(update={"channels": ("doppler", "ultrasound")})
    assert "declare them in the order of that run" in refusal(records(channels=("Ultrasound", "doppler")), source_of(both))
    second = coarse.configurations["2d"].model_copy(update={"previous_stage": "3d_lowres"})
    cascade = coarse.model_copy(update={"configurations": {"2d": second}})
    assert "second stage of a cascade" in refusal(records(), source_of(cascade))


def test_images_in_pixels_stay_in_pixels(coarse: Plan, records: MakeRecords, laptop: MachineProfile) -> None:
    there = make_plan(*records(spacings=(None,) * 10), laptop, PlanOptions(time_budget_seconds=600))
    plan = make_plan(*records(), laptop, PlanOptions(time_budget_seconds=600), source_of(there))
    assert plan.configurations["2d"].preparation.spacing_mm is None
    assert plan.configurations["2d"].median_shape == (540, 800)
    assert reason(plan, "spacing") == "/runs/other leaves images on their own pixels."


def test_the_same_fold_first_then_full_then_the_first(records: MakeRecords) -> None:
    """On other images nothing has been seen."""
    trained = {name: TrainedFold(fold=name, weights=f"{name}.safetensors", sha256=f"sha {name}") for name in ("1", "2", "full")}
    files = {name: f"/runs/other/{name}" for name in trained}
    elsewhere = {name: {"x"} for name in trained}
    kept = {"0": {"a"}, "1": {"b"}, "full": set[str]()}
    chosen = starting_weights(trained, files, elsewhere, kept)
    assert [(entry.fold, entry.source_fold, entry.seen) for entry in chosen] == [
        ("0", "full", 0),
        ("1", "1", 0),
        ("full", "full", 0),
    ]
    assert (chosen[1].file, chosen[1].sha256) == ("/runs/other/1", "sha 1")
    del trained["full"]
    assert [entry.source_fold for entry in starting_weights(trained, files, elsewhere, kept)] == ["1", "1", "1"]


def test_weights_that_saw_a_folds_validation_come_last() -> None:
    """Four images in two folds, trained on there as here: fold 0 must not start from fold 1 or `full`, which saw its images."""
    splits = Splits(
        rule="two", seed=1, folds=(Fold(train=("c",), validation=("a",)), Fold(train=("a",), validation=("c",))), held_out=("h",)
    )
    facts = Fingerprint.model_construct(cases=tuple(_Hashed(id, f"hash of {id}") for id in ("a", "c", "h")))
    trained_on, kept_out = images_of_folds(splits, facts)
    assert trained_on == {"0": {"hash of c"}, "1": {"hash of a"}, "full": {"hash of a", "hash of c"}}
    assert kept_out["0"] == {"hash of a", "hash of h"}
    assert kept_out["full"] == {"hash of h"}
    trained = {name: TrainedFold(fold=name, weights=f"fold_{name}/weights.safetensors", sha256="") for name in ("1", "full")}
    chosen = starting_weights(trained, dict.fromkeys(trained, ""), trained_on, kept_out)
    assert [(entry.fold, entry.source_fold, entry.seen) for entry in chosen] == [
        ("0", "full", 1),
        ("1", "1", 0),
        ("full", "full", 0),
    ]
    swapped = {"1": trained_on["0"], "full": trained_on["full"]}  # the other run counted its folds the other way round
    assert [(e.source_fold, e.seen) for e in starting_weights(trained, dict.fromkeys(trained, ""), swapped, kept_out)][:2] == [
        ("1", 0),
        ("1", 1),
    ]


class _Hashed:
    def __init__(self, id: str, content_hash: str):
        self.id, self.content_hash = id, content_hash
