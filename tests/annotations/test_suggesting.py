"""Patterns that would fit: the ones by which most cases are complete, and none where that is not sure."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from autoseg.annotations.suggesting import example, suggested
from tests.public_layouts import acdc, brats, drive, isic, lits

CASES = ("p1", "p2", "p3")
SHAPE = (12, 16)


def files(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def picture(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def photograph(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, SHAPE).astype(np.uint8)


def mask(rows: slice, columns: slice, value: int = 255) -> np.ndarray:
    found = np.zeros(SHAPE, np.uint8)
    found[rows, columns] = value
    return found


def volume(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path))


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (
            [f"B_{case}/B_{case}_{kind}.nii.gz" for case in (1, 2, 3) for kind in ("t1", "t1ce", "seg")],
            "--image 't1={case}/{case}_t1.nii.gz' --image 't1ce={case}/{case}_t1ce.nii.gz' --label '{case}/{case}_seg.nii.gz'",
        ),
        (
            [*(f"Input/I_00{case}.jpg" for case in (1, 2, 3)), *(f"Truth/I_00{case}_segmentation.png" for case in (1, 2))],
            "--image 'Input/{case}.jpg' --label 'Truth/{case}_segmentation.png'",
        ),
        (
            [f"all/p{case}/{kind}.nrrd" for case in (1, 2) for kind in ("ct", "liver_mask", "tumour_mask")],
            "--image 'all/{case}/ct.nrrd' --label 'liver=all/{case}/liver_mask.nrrd' --label 'tumour=all/{case}/tumour_mask.nrrd'",
        ),
        (
            [f"{folder}/{name}{number:04}.nii.gz" for folder, name in (("img", "img"), ("gt", "label")) for number in (1, 2, 3)],
            "--image 'img/img{case}.nii.gz' --label 'gt/label{case}.nii.gz'",
        ),
        (
            [f"{kind}-{case}.nii" for case in range(3) for kind in ("volume", "segmentation")],
            "--image 'volume-{case}.nii' --label 'segmentation-{case}.nii'",
        ),
        (
            [f"{folder}/{case}.tif" for case in CASES for folder in ("Original", "Ground Truth")],
            "--image 'Original/{case}.tif' --label 'Ground Truth/{case}.tif'",
        ),
        (
            [*(f"A/Disc_Cup_Masks/{g}/{g}1.bmp" for g in "xyz"), *(f"T/{g}/{g}1.jpg" for g in "xyz")],
            "--image 'T/*/{case}.jpg' --label 'A/Disc_Cup_Masks/*/{case}.bmp'",
        ),
        (
            [f"{part}/{kind}/{one}.png" for part in ("train", "test") for kind in ("images", "masks") for one in "ab"],
            "--image '*/images/{case}.png' --label '*/masks/{case}.png'",
        ),
        (
            [*(f"im/{case}_000{n}.nii.gz" for case in CASES for n in (0, 1)), *(f"labels/{case}.nii.gz" for case in CASES)],
            "--image '0000=im/{case}_0000.nii.gz' --image '0001=im/{case}_0001.nii.gz' --label 'labels/{case}.nii.gz'",
        ),
        (
            [*(f"{c}/images/{c}.png" for c in CASES), *(f"{c}/masks/{c}{one}x.png" for c in CASES for one in "ab")],
            "--image '{case}/images/{case}.png' --label 'foreground={case}/masks/*.png'",
        ),
        (
            [f"{folder}/{case}.png" for case in CASES for folder in ("CXR_png", "ManualMask/leftMask", "ManualMask/rightMask")],
            "--image 'CXR_png/{case}.png' --label 'left=ManualMask/leftMask/{case}.png' --label 'right=ManualMask/rightMask/{case}.png'",
        ),
        (  # the recording over time is no channel
            [f"{c}/{c}_{kind}.nii.gz" for c in CASES for kind in ("4d", "frame01", "frame01_gt")],
            "--image '{case}/{case}_frame01.nii.gz' --label '{case}/{case}_frame01_gt.nii.gz'",
        ),
        ([f"{c}/{c}.jpg" for c in CASES] + [f"{c}/{c}_gt.nii.gz" for c in CASES], None),  # pictures and volumes
        ([f"{kind}/{c}.png" for c in CASES for kind in ("one", "other", "masks")], None),  # which are the images?
        (
            [f"{part}/{city}/{city}_{n}.png" for part, city in (("photo", "ulm"), ("gt", "bonn")) for n in (1, 2, 3)],
            None,
        ),  # by chance
        (["a.png", "b.png", "c_mask.png"], None),
        ([], None),
    ],
)
def test_patterns_by_names_alone(names: list[str], told: str | None, tmp_path: Path) -> None:
    assert suggested(files(tmp_path, *names)) == told


@pytest.mark.parametrize(
    ("layout", "told"),
    [
        (acdc, "--image 'ACDC/training/*/{case}.nii.gz' --label 'ACDC/training/*/{case}_gt.nii.gz'"),
        (drive, "--image 'DRIVE/training/images/{case}_training.tif' --label 'DRIVE/training/1st_manual/{case}_manual1.gif'"),
        (lits, "--image 'LiTS/volume-{case}.nii' --label 'LiTS/segmentation-{case}.nii'"),
        (
            isic,
            "--image 'ISIC2018/ISIC2018_Task1-2_Training_Input/{case}.jpg' "
            "--label 'ISIC2018/ISIC2018_Task1_Training_GroundTruth/{case}_segmentation.png'",
        ),
        (
            brats,
            " ".join(
                [
                    *(f"--image '{one}=BraTS2021/{{case}}/{{case}}_{one}.nii.gz'" for one in ("flair", "t1", "t1ce", "t2")),
                    "--label 'BraTS2021/{case}/{case}_seg.nii.gz'",
                ]
            ),
        ),
    ],
)
def test_patterns_of_public_sets(layout, told: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert suggested(layout(tmp_path)) == told


def test_a_label_map_stands_alone(tmp_path: Path) -> None:
    labels = np.zeros((4, 6, 5), np.uint8)
    labels[1:3, 2:4, 1:3], labels[1, 2, 1] = 1, 2
    for case in CASES:
        volume(tmp_path / case / "imaging.nii.gz", np.random.default_rng(1).normal(size=labels.shape).astype(np.float32))
        volume(tmp_path / case / "segmentation.nii.gz", labels)
        volume(tmp_path / case / "instances" / "kidney_annotation-1.nii.gz", (labels > 0).astype(np.uint8))
    assert suggested(tmp_path) == "--image '{case}/imaging.nii.gz' --label '{case}/segmentation.nii.gz'"


def test_a_label_map_is_known_by_its_values(tmp_path: Path) -> None:
    """Its name does not say so, and the mask beside it is less than it."""
    labels = np.zeros((4, 6, 5), np.uint8)
    labels[1:3, 2:4, 1:3], labels[1, 2, 1] = 1, 2
    for case in CASES:
        volume(tmp_path / case / "srr.nii.gz", np.random.default_rng(1).normal(size=labels.shape).astype(np.float32))
        volume(tmp_path / case / "parcellation.nii.gz", labels)
        volume(tmp_path / case / "mask.nii.gz", (labels > 0).astype(np.uint8))
    assert suggested(tmp_path) == "--image '{case}/srr.nii.gz' --label '{case}/parcellation.nii.gz'"


def test_pictures_of_edges_are_neither_images_nor_labels(tmp_path: Path) -> None:
    for number, case in enumerate(CASES):
        picture(tmp_path / "photo" / f"{case}.png", photograph(number))
        picture(tmp_path / "masks" / f"{case}.png", mask(slice(3, 9), slice(3, 9)))
        picture(tmp_path / "edges" / f"{case}.png", mask(slice(3, 4), slice(3, 9)))
    assert suggested(tmp_path) == "--image 'photo/{case}.png' --label 'masks/{case}.png'"


def test_predictions_beside_label_maps_leave_it_open_which_count(tmp_path: Path) -> None:
    labels = np.zeros((4, 6, 5), np.uint8)
    labels[1:3, 2:4, 1:3], labels[1, 2, 1] = 1, 2
    for number, case in enumerate(CASES):
        volume(tmp_path / "ct" / f"{case}.nii.gz", np.random.default_rng(number).normal(size=labels.shape).astype(np.float32))
        volume(tmp_path / "labels" / f"{case}.nii.gz", labels)
        volume(tmp_path / "network" / f"{case}.nii.gz", labels)
    assert suggested(tmp_path) is None


def test_alpha_says_nothing(tmp_path: Path) -> None:
    """Else the mask would cover all, as one of the field of view does."""
    for number, case in enumerate(CASES):
        picture(tmp_path / "images" / f"{case}.png", photograph(number))
        drawn = mask(slice(3, 6), slice(3, 6))
        picture(tmp_path / "mask" / f"{case}.png", np.stack([drawn, drawn, drawn, np.full(SHAPE, 255, np.uint8)], axis=-1))
        picture(tmp_path / "vessel_manual" / f"{case}.png", mask(slice(8, 9), slice(3, 9)))
    assert (
        suggested(tmp_path)
        == "--image 'images/{case}.png' --label 'foreground=mask/{case}.png' --label 'vessel=vessel_manual/{case}.png'"
    )


def test_images_and_labels_of_several_sizes_are_no_pair(tmp_path: Path) -> None:
    for number, case in enumerate(CASES):
        picture(tmp_path / "images" / f"{case}.png", photograph(number))
        picture(tmp_path / "masks" / f"{case}.png", np.zeros((5, 5), np.uint8))
    assert suggested(tmp_path) is None


def test_recordings_among_pictures_are_no_set(tmp_path: Path) -> None:
    for number, case in enumerate(CASES):
        shape = (2, 6, 5) if number else (6, 5)
        volume(tmp_path / f"{case}.nii.gz", np.random.default_rng(number).normal(size=shape).astype(np.float32))
        volume(tmp_path / f"{case}_gt.nii.gz", np.ones(shape, np.uint8))
    assert suggested(tmp_path) is None


def test_masks_as_jpeg_are_named_since_a_label_map_could_not_be_read(tmp_path: Path) -> None:
    for number, case in enumerate(CASES):
        picture(tmp_path / "trainval-image" / f"{case}.jpg", photograph(number))
        picture(tmp_path / "trainval-mask" / f"{case}.jpg", mask(slice(3, 9), slice(3, 9)))
    assert suggested(tmp_path) == "--image 'trainval-image/{case}.jpg' --label 'foreground=trainval-mask/{case}.jpg'"


def test_of_two_persons_drawings_one_is_taken(tmp_path: Path) -> None:
    for number, case in enumerate(CASES):
        picture(tmp_path / "photo" / f"{case}.png", photograph(number))
        picture(tmp_path / "labels-ah" / f"{case}.ah.png", mask(slice(2, 8), slice(2, 8)))
        picture(tmp_path / "labels-vk" / f"{case}.vk.png", mask(slice(3, 9), slice(2, 8)))  # 30 of 42 pixels are in both
    assert suggested(tmp_path) == "--image 'photo/{case}.png' --label 'labels-ah/{case}.ah.png'"


def test_a_mask_within_another_one_is_not_hidden(tmp_path: Path) -> None:
    for number, case in enumerate(CASES):
        picture(tmp_path / "images" / f"{case}.png", photograph(number))
        picture(tmp_path / "infection masks" / f"{case}.png", mask(slice(3, 4), slice(3, 4)))
        picture(tmp_path / "lung masks" / f"{case}.png", mask(slice(2, 8), slice(2, 8)))
    told = suggested(tmp_path)
    assert told is not None and shlex.split(told) == [
        *("--image", "images/{case}.png", "--label", "infection=infection masks/{case}.png"),
        *("--label", "lung=lung masks/{case}.png", "--overlap", "smaller"),
    ]


def test_an_example_has_the_suffix_that_is_there(tmp_path: Path) -> None:
    assert example(tmp_path) == "--image '{case}_image.png' --label '{case}_label.png'"
    files(tmp_path, "x.nii.gz", "y.nii.gz", "z.png")
    assert example(tmp_path) == "--image '{case}_image.nii.gz' --label '{case}_label.nii.gz'"
