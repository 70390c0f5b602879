"""Trained nnU-Net models as plans: every branch by files written by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autoseg.errors import DataError
from autoseg.records import Normalization, Structure
from tests.layouts.nnunet_files import (
    Json,
    configuration,
    dataset,
    facts,
    network,
    old_configuration,
    plans,
    without,
    write_model,
)
from tests.layouts.nnunet_reading import faults_of, faults_with, read, read_files, read_one


def test_a_volume_model(tmp_path: Path) -> None:
    model = read_files(tmp_path, plans(c3d_fullres=configuration()), dataset(), mirror_axes=(0, 2))
    plan, found = model.plan, model.plan.configurations["3d_fullres"]
    assert (plan.rank, plan.channels, plan.default, plan.regions, plan.ignore_value) == (3, ("MRI",), "3d_fullres", False, None)
    assert plan.targets == (
        Structure(name="organ", values=(1,), output_value=1),
        Structure(name="lesion", values=(2,), output_value=2),
    )
    assert found.preparation.model_dump() == {
        "canonical_orientation": False,
        "transpose": (0, 1, 2),
        "crop_to_nonzero": True,
        "spacing_mm": (3.0, 0.8, 0.7),
        "normalization": (Normalization(scheme="zscore").model_dump(),),
        "image_order": 3,
        "label_order": 1,
        "antialias": False,
    }
    spec = found.network
    assert (spec.family, spec.rank, spec.in_channels, spec.out_channels) == ("plain_unet", 3, 1, 3)
    assert (spec.features, spec.strides) == ((4, 8, 8), ((1, 1, 1), (1, 2, 2), (2, 2, 2)))
    assert spec.kernel_sizes == ((1, 3, 3), (3, 3, 3), (3, 3, 3))
    assert (found.slice_axis, found.previous_stage, found.next_stage) == (None, None, None)
    assert (found.training.patch_size, found.training.batch_size, found.median_shape) == ((8, 16, 12), 2, (20.0, 35.5, 30.0))
    assert (found.inference.step_fraction, found.inference.mirror_axes) == (0.5, (0, 2))
    assert model.dataset.targets == plan.targets
    assert model.dataset.cases == ()
    assert plan.dataset_digest == model.dataset.digest()
    assert dict(model.trained["3d_fullres"].folds) == {"0": tmp_path / "model/fold_0/checkpoint_final.pth"}
    assert model.trained["3d_fullres"].conv_bias


def test_the_axes_of_the_spacing_are_those_after_transposition(tmp_path: Path) -> None:
    turned = plans(c3d_fullres=configuration()) | {"transpose_forward": [2, 0, 1]}
    preparation = read_files(tmp_path, turned, dataset()).plan.configurations["3d_fullres"].preparation
    assert (preparation.transpose, preparation.spacing_mm) == ((2, 0, 1), (3.0, 0.8, 0.7))


def test_slices_of_a_volume(tmp_path: Path) -> None:
    found = read_one(tmp_path, configuration(2), "2d")
    assert (found.slice_axis, found.network.rank, found.preparation.spacing_mm) == (0, 2, (None, 0.8, 0.7))
    assert (found.training.patch_size, found.median_shape, found.training.batch_dice) == ((16, 12), (35.5, 30.0), True)


def test_pictures_have_no_pixel_size(tmp_path: Path) -> None:
    schemes = {"normalization_schemes": ["RGBTo01Normalization"] * 3, "use_mask_for_norm": [False] * 3}
    found = plans(c2d=configuration(2, spacing=[1.0, 1.0], **schemes)) | {"image_reader_writer": "NaturalImage2DIO"}
    model = read_files(tmp_path, found, dataset(channel_names={"0": "R", "1": "G", "2": "B"}), "2d")
    preparation = model.plan.configurations["2d"].preparation
    assert (model.plan.rank, model.plan.configurations["2d"].slice_axis) == (2, None)
    assert (preparation.transpose, preparation.spacing_mm) == ((0, 1), None)
    assert [one.scheme for one in preparation.normalization] == ["rgb_to_0_1"] * 3


def test_2d_images_of_other_formats_keep_their_pixel_size(tmp_path: Path) -> None:
    found = plans(c2d=configuration(2)) | {
        "original_median_spacing_after_transp": [799.2, 0.8, 0.7],
        "original_median_shape_after_transp": [1, 35, 30],
        "transpose_forward": [0, 2, 1],
    }
    preparation = read_files(tmp_path, found, dataset(), "2d").plan.configurations["2d"].preparation
    assert (preparation.transpose, preparation.spacing_mm) == ((1, 0), (0.8, 0.7))


def test_one_thick_slice_is_a_volume(tmp_path: Path) -> None:
    found = plans(c2d=configuration(2)) | {"original_median_shape_after_transp": [1, 35, 30]}
    assert read_files(tmp_path, found, dataset(), "2d").plan.rank == 3


@pytest.mark.parametrize(
    ("scheme", "mask", "wanted"),
    [
        ("ZScoreNormalization", True, Normalization(scheme="zscore", use_mask=True)),
        ("CTNormalization", False, Normalization(scheme="ct", mean=99.5, std=30.25, lower=-40.0, upper=300.0)),
        ("NoNormalization", False, Normalization(scheme="none")),
        ("RescaleTo01Normalization", True, Normalization(scheme="rescale_to_0_1")),  # nnU-Net disregards the mask there
    ],
)
def test_normalisation(tmp_path: Path, scheme: str, mask: bool, wanted: Normalization) -> None:
    found = read_one(tmp_path, configuration(normalization_schemes=[scheme], use_mask_for_norm=[mask]))
    assert found.preparation.normalization == (wanted,)


def test_every_channel_has_its_own_intensities(tmp_path: Path) -> None:
    schemes = {"normalization_schemes": ["NoNormalization", "CTNormalization"], "use_mask_for_norm": [False, False]}
    found = plans(c3d_fullres=configuration(**schemes))
    found["foreground_intensity_properties_per_channel"]["0"]["mean"] = float("nan")  # measured, but of no use to its scheme
    found["foreground_intensity_properties_per_channel"]["1"]["mean"] = 7.0
    model = read_files(tmp_path, found, dataset(channel_names={"1": "CT", "0": "noNorm"}))
    assert model.plan.channels == ("noNorm", "CT")
    assert [one.mean for one in model.plan.configurations["3d_fullres"].preparation.normalization] == [0.0, 7.0]


def test_regions_are_painted_in_their_order(tmp_path: Path) -> None:
    labels = {"background": 0, "whole": [1, 2, 4], "core": [2, 4], "enhancing": 4, "ignore": 5}
    model = read_files(tmp_path, plans(c3d_fullres=configuration()), dataset(labels=labels, regions_class_order=[1, 2, 9]))
    assert model.plan.targets == (
        Structure(name="whole", values=(1, 2, 3), output_value=1),
        Structure(name="core", values=(2, 3), output_value=2),
        Structure(name="enhancing", values=(3,), output_value=9),
    )
    assert (model.plan.regions, model.plan.ignore_value) == (True, 4)
    assert model.plan.configurations["3d_fullres"].network.out_channels == 3


def test_exclusive_labels_are_outputs_in_the_order_of_their_values(tmp_path: Path) -> None:
    labels = {"b": 3, "background": 0, "a": [1], "ignore": 4}
    model = read_files(tmp_path, plans(c3d_fullres=configuration()), dataset(labels=labels))
    assert [(target.name, target.values, target.output_value) for target in model.plan.targets] == [
        ("a", (1,), 1),
        ("b", (2,), 2),
    ]
    assert model.plan.ignore_value == 3
    assert any("3 -> 2" in note and "position" in note for note in model.dataset.notes)


def test_the_residual_network(tmp_path: Path) -> None:
    spec = read_one(tmp_path, configuration(architecture=network(residual=True, n_conv_per_stage_decoder=[1, 2]))).network
    assert (spec.family, spec.encoder_blocks, spec.decoder_convs) == ("residual_unet", (1, 3, 4), (2, 1))


def test_numbers_may_stand_for_lists(tmp_path: Path) -> None:
    short = network(
        n_conv_per_stage=2, n_conv_per_stage_decoder=1, features_per_stage=6, kernel_sizes=3, strides=[1, 2, [2, 2, 2]]
    )
    spec = read_one(tmp_path, configuration(architecture=short)).network
    assert (spec.encoder_blocks, spec.decoder_convs, spec.features) == ((2, 2, 2), (1, 1), (6, 6, 6))
    assert (spec.kernel_sizes, spec.strides) == (((3, 3, 3),) * 3, ((1, 1, 1), (2, 2, 2), (2, 2, 2)))


def test_without_bias_and_with_dropout(tmp_path: Path) -> None:
    other = network(conv_bias=False, dropout_op="torch.nn.Dropout3d", dropout_op_kwargs={"p": 0.2})
    model = read_files(tmp_path, plans(c3d_fullres=configuration(architecture=other)), dataset())
    assert not model.trained["3d_fullres"].conv_bias


def test_plans_of_2_0_to_2_2(tmp_path: Path) -> None:
    found = plans(c3d_fullres=old_configuration())
    found["foreground_intensity_properties_by_modality"] = found.pop("foreground_intensity_properties_per_channel")
    found["configurations"]["3d_fullres"]["normalization_schemes"] = ["CTNormalization"]
    old = read_files(
        tmp_path / "old", without(found, "label_manager"), without(dataset(), "channel_names") | {"modality": {"0": "CT"}}
    )
    new = read_one(tmp_path / "new", configuration())
    assert old.plan.configurations["3d_fullres"].network == new.network
    assert old.plan.configurations["3d_fullres"].preparation.normalization[0].upper == 300
    assert old.plan.channels == ("CT",)


def test_inherited_values(tmp_path: Path) -> None:
    found = plans(
        c3d_fullres=configuration(),
        cwide={"inherits_from": "3d_fullres", "batch_size": 7, "patch_size": [8, 16, 16]},
        cwider={"inherits_from": "wide", "patch_size": [16, 16, 16]},
    )
    wider = read_files(tmp_path, found, dataset(), "wider").plan.configurations["wider"]
    assert (wider.training.patch_size, wider.training.batch_size, wider.preparation.spacing_mm) == (
        (16, 16, 16),
        7,
        (3.0, 0.8, 0.7),
    )


def test_images_that_are_not_resampled(tmp_path: Path) -> None:
    found = configuration()
    for what in ("data", "seg", "probabilities"):
        found |= {f"resampling_fn_{what}": "no_resampling_hack", f"resampling_fn_{what}_kwargs": {}}
    assert read_one(tmp_path, found).preparation.spacing_mm is None


def cascade_plans(**changed: Any) -> Json:
    return plans(
        c3d_lowres=configuration(spacing=[6.0, 1.6, 1.4], next_stage="3d_cascade_fullres"),
        c3d_fullres=configuration(),
        c3d_cascade_fullres={"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"} | changed,
    )


def test_a_cascade_takes_its_first_stage_from_the_folder_beside(tmp_path: Path) -> None:
    for name in ("3d_lowres", "3d_cascade_fullres"):
        write_model(tmp_path / f"nnUNetTrainer__nnUNetPlans__{name}", cascade_plans(), dataset(), ("0", "1"))
    beside = read(tmp_path / "nnUNetTrainer__nnUNetPlans__3d_cascade_fullres", facts())
    within = read(tmp_path, facts())
    for model in (beside, within):
        first, second = (model.plan.configurations[name] for name in ("3d_lowres", "3d_cascade_fullres"))
        assert (first.next_stage, second.previous_stage) == ("3d_cascade_fullres", "3d_lowres")
        assert (first.network.in_channels, second.network.in_channels) == (1, 3)
        assert model.plan.default == "3d_cascade_fullres"
        assert list(model.trained["3d_lowres"].folds) == ["0", "1"]


def test_a_first_stage_alone_is_no_cascade(tmp_path: Path) -> None:
    model = read_files(tmp_path, cascade_plans(), dataset(), "3d_lowres")
    assert model.plan.configurations["3d_lowres"].next_stage is None


def test_a_cascade_without_its_first_stage(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "a__b__3d_cascade_fullres", cascade_plans(), dataset())
    with pytest.raises(DataError, match=r"takes masks of 3d_lowres, whose trained folder a__b__3d_lowres is not beside it"):
        read(folder, facts())


def test_cascades_that_nnunet_computes_otherwise(tmp_path: Path) -> None:
    regions = dataset(labels={"background": 0, "whole": [1, 2], "core": 2}, regions_class_order=[1, 2])
    for name in ("3d_lowres", "3d_cascade_fullres"):
        write_model(tmp_path / f"a__b__{name}", cascade_plans(use_mask_for_norm=[True]), regions)
    with pytest.raises(DataError) as raised:
        read(tmp_path, facts())
    assert [fault.message.partition(":")[0] for fault in raised.value.faults] == [
        "configurations.3d_cascade_fullres.previous_stage",
        "configurations.3d_cascade_fullres.use_mask_for_norm",
    ]


def test_inheritance_in_a_circle(tmp_path: Path) -> None:
    found = plans(c3d_fullres={"inherits_from": "b"}, cb={"inherits_from": "3d_fullres"})
    assert "leads in a circle: 3d_fullres -> b -> 3d_fullres" in faults_of(tmp_path, found, dataset())[0]


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"preprocessor_name": "MyPreprocessor"}, "preprocessor_name"),
        ({"normalization_schemes": ["MyNormalization"]}, "normalization_schemes"),
        ({"normalization_schemes": ["NoNormalization"] * 2}, "normalization_schemes"),
        ({"use_mask_for_norm": [False, True]}, "use_mask_for_norm"),
        ({"resampling_fn_data": "resample_torch_fornnunet"}, "resampling_fn_data"),
        ({"resampling_fn_probabilities": "no_resampling_hack"}, "resampling_fn_probabilities"),
        ({"resampling_fn_data_kwargs": {"order": 2, "force_separate_z": None}}, "resampling_fn_data_kwargs.order"),
        ({"resampling_fn_data_kwargs": {"order": 3, "force_separate_z": False}}, "resampling_fn_data_kwargs.force_separate_z"),
        (
            {"resampling_fn_data_kwargs": {}},
            "resampling_fn_data_kwargs.force_separate_z",
        ),  # False in nnU-Net where it is not given
        ({"resampling_fn_data_kwargs": {"order_z": 1, "force_separate_z": None}}, "resampling_fn_data_kwargs.order_z"),
        (
            {"resampling_fn_probabilities_kwargs": {"order": 3, "force_separate_z": None}},
            "resampling_fn_probabilities_kwargs.order",
        ),
        ({"resampling_fn_seg_kwargs": {"order": 1, "force_separate_z": None}}, "resampling_fn_seg_kwargs.is_seg"),
        ({"spacing": [1.0]}, "spacing"),
        ({"spacing": "1 mm"}, "spacing"),
        ({"patch_size": [8, 16, 13]}, "configurations.3d_fullres.training.patch_size"),
        ({"architecture": network() | {"network_class_name": "my.Network"}}, "architecture.network_class_name"),
        ({"architecture": network(squeeze_excitation=True)}, "architecture.arch_kwargs.squeeze_excitation"),
        ({"architecture": network(nonlin_first=True)}, "architecture.arch_kwargs.nonlin_first"),
        ({"architecture": network(residual=True, stem_channels=16)}, "architecture.arch_kwargs.stem_channels"),
        ({"architecture": network(residual=True, block="x.BottleneckD")}, "architecture.arch_kwargs.block"),
        ({"architecture": network(norm_op="torch.nn.modules.batchnorm.BatchNorm3d")}, "architecture.arch_kwargs.norm_op"),
        ({"architecture": network(norm_op_kwargs={"eps": 1e-3, "affine": True})}, "architecture.arch_kwargs.norm_op_kwargs.eps"),
        ({"architecture": network(nonlin="torch.nn.ReLU")}, "architecture.arch_kwargs.nonlin"),
        (
            {"architecture": network(nonlin_kwargs={"negative_slope": 0.2})},
            "architecture.arch_kwargs.nonlin_kwargs.negative_slope",
        ),
        ({"architecture": network(2)}, "architecture.arch_kwargs.conv_op"),
        ({"architecture": network(features_per_stage=[4, 8])}, "architecture.arch_kwargs.features_per_stage"),
        ({"architecture": network(strides=[[1, 1, 1], [2, 2], [2, 2, 2]])}, "architecture.arch_kwargs.strides"),
        ({"architecture": network(kernel_sizes=[[2, 2, 2], 3, 3])}, "configurations.3d_fullres.network.kernel_sizes"),
    ],
)
def test_what_is_not_computed_as_nnunet_does(tmp_path: Path, changed: Json, key: str) -> None:
    """Each is refused under its own key. Values that belong to our plan keep its path."""
    faults = faults_with(tmp_path, **changed)
    keys = [
        fault.removeprefix("plans.json: ").removeprefix("configurations.3d_fullres." * (not key.startswith("conf")))
        for fault in faults
    ]
    assert any(found.startswith(f"{key}:") for found in keys), faults


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("image_reader_writer", "NibabelIOWithReorient"),
        ("image_reader_writer", "MyReader"),
        ("transpose_forward", [0, 1, 1]),
        ("label_manager", "MyLabels"),
    ],
)
def test_what_is_not_supported_of_a_model(tmp_path: Path, key: str, value: Any) -> None:
    found = plans(c3d_fullres=configuration()) | {key: value}
    assert [fault.split(": ")[:2] for fault in faults_of(tmp_path, found, dataset())] == [["plans.json", key]]


def test_pictures_with_a_pixel_size(tmp_path: Path) -> None:
    found = plans(c2d=configuration(2)) | {"image_reader_writer": "NaturalImage2DIO"}
    assert "expected [1.0, 1.0], found [0.8, 0.7]" in faults_of(tmp_path, found, dataset(), "2d")[0]


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"labels": {"background": 1, "organ": 2}}, "labels.background"),
        ({"labels": {"organ": 1}}, "labels.background"),
        ({"labels": {"background": 0}}, "labels"),
        ({"labels": {"background": 0, "organ": "1"}}, "labels.organ"),
        ({"labels": {"background": 0, "organ": 1, "ignore": 3}}, "labels.ignore"),
        ({"labels": {"background": 0, "organ": 1, "tumour": 1}}, "labels"),
        ({"labels": {"background": 0, "organ": [1, 2]}}, "regions_class_order"),
        ({"labels": {"background": 0, "organ": [1, 2]}, "regions_class_order": [1, 2]}, "regions_class_order"),
        ({"channel_names": {"1": "CT"}}, "channel_names"),
        ({"channel_names": ["CT"]}, "channel_names"),
    ],
)
def test_faults_of_the_data_set(tmp_path: Path, changed: Json, key: str) -> None:
    assert faults_of(tmp_path, plans(c3d_fullres=configuration()), dataset(**changed))[0].startswith(f"dataset.json: {key}:")


def test_all_faults_at_once(tmp_path: Path) -> None:
    found = configuration(architecture=network(nonlin="torch.nn.ReLU", conv_bias="yes"))
    broken = plans(c3d_fullres=without(found, "spacing")) | {"transpose_forward": "zyx"}
    faults = faults_of(tmp_path, broken, dataset(labels={"background": 0, "organ": -1}))
    keys = sorted({": ".join(fault.split(": ")[:2]) for fault in faults})
    # labels cannot be read, so nothing is said of configurations, which need to know how many there are
    assert keys == ["dataset.json: labels", "dataset.json: labels.organ", "plans.json: transpose_forward"]
    faults = faults_of(tmp_path / "again", broken, dataset())
    assert sorted(fault.split(": ")[1].removeprefix("configurations.3d_fullres.") for fault in faults) == [
        "architecture.arch_kwargs.conv_bias",
        "architecture.arch_kwargs.nonlin",
        "spacing",
        "transpose_forward",
    ]


@pytest.mark.parametrize("text", ["{", "[]", "\x00"])
def test_files_that_are_no_json_object(tmp_path: Path, text: str) -> None:
    folder = write_model(tmp_path / "model", plans(c3d_fullres=configuration()), dataset())
    (folder / "plans.json").write_text(text)
    with pytest.raises(DataError, match=r"plans\.json"):
        read(folder)


def test_the_real_model(shared_data: Path) -> None:
    folder = shared_data / "nnunet_model" / "model"
    if not folder.is_dir():
        pytest.skip("the trained model is not at hand")
    plan = read(folder, facts("3d_fullres", (0, 1, 2))).plan
    assert (plan.rank, plan.channels, [target.name for target in plan.targets]) == (3, ("MRI",), ["Anterior", "Posterior"])
    assert plan.configurations["3d_fullres"].network.features == (32, 64, 128, 256)
    assert plan.configurations["3d_fullres"].training.patch_size == (40, 56, 40)
