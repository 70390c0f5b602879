"""Files found by patterns: cases, channels, structures, and what is missing or doubled."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoseg.annotations.base import MaskFile
from autoseg.annotations.listing import pattern_of, read_listing
from autoseg.annotations.suggesting import suggested
from autoseg.errors import DataError


def files(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.mark.parametrize(
    ("pattern", "path", "case"),
    [
        ("{case}.png", "a_b.png", "a_b"),
        ("{case}.png", "a/b.png", None),
        ("**/{case}/t1*.nii.gz", "x/y/p7/t1_reg.nii.gz", "p7"),
        ("**/{case}/t1*.nii.gz", "p7/t1.nii.gz", "p7"),
        ("{case}/{case}_gt?.tif", "p7/p7_gt1.tif", "p7"),
        ("{case}/{case}_gt?.tif", "p7/p8_gt1.tif", None),
        ("a(1).{case}.png", "a(1).x.png", "x"),
    ],
)
def test_patterns(pattern: str, path: str, case: str | None) -> None:
    found = pattern_of(pattern).fullmatch(path)
    assert (found["case"] if found else None) == case


def test_channels_and_a_label_map(tmp_path: Path) -> None:
    root = files(
        tmp_path,
        *(f"{case}/{kind}.nii.gz" for case in ("p1", "p2") for kind in ("t1", "t2", "seg")),
        "p3/t1.nii.gz",
        "p3/t2.nii.gz",
    )
    found = read_listing(root, {"T1": "{case}/t1.nii.gz", "T2": "{case}/t2.nii.gz"}, {"": "{case}/seg.nii.gz"})
    assert found.channels == ("T1", "T2") and [one.name for one in found.images] == ["p1", "p2"]
    assert found.images[0].files == (root / "p1/t1.nii.gz", root / "p1/t2.nii.gz")
    assert found.images[0].label_map == root / "p1/seg.nii.gz"
    assert [str(fault) for fault in found.faults] == [
        "p3: has no file that --label '{case}/seg.nii.gz' finds; mend the pattern, or add the file"
    ]


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
        (["a.png", "b.png", "c_mask.png"], None),
        ([], None),
    ],
)
def test_patterns_that_would_fit_are_suggested(names: list[str], told: str | None, tmp_path: Path) -> None:
    assert suggested(files(tmp_path, *names)) == told


def test_masks_of_structures(tmp_path: Path) -> None:
    root = files(tmp_path, "a.jpg", "a_axon.png", "a_myelin.png")
    found = read_listing(root, {"": "{case}.jpg"}, {"axon": "{case}_axon.png", "myelin": "{case}_myelin.png"})
    (image,) = found.images
    assert found.labels == ("axon", "myelin") and found.channels == ()
    assert [(one.label, one.shape) for one in image.annotations] == [
        ("axon", MaskFile(root / "a_axon.png")),
        ("myelin", MaskFile(root / "a_myelin.png")),
    ]


def test_labels_without_an_image_are_told(tmp_path: Path) -> None:
    root = files(tmp_path, "a.jpg", "a_m.png", "b_m.png", "c_m.png", "a_n.png")
    found = read_listing(root, {"": "{case}.jpg"}, {"m": "{case}_m.png", "n": "{case}_n.png"})
    assert [one.name for one in found.images] == ["a"] and not found.faults
    assert found.notes == (
        "2 files that --label '{case}_m.png' finds belong to no image that --image finds, and are left out, such as b_m.png",
    )


def test_patterns_of_single_files(tmp_path: Path) -> None:
    root = files(tmp_path, "t2/t2.nii.gz", "t2/seg.nii.gz")
    (image,) = read_listing(root, {"": "t2/t2.nii.gz"}, {"cord": "t2/seg.nii.gz"}).images
    assert image.name == "t2" and image.files == (root / "t2/t2.nii.gz",)


def test_what_cannot_be_meant(tmp_path: Path) -> None:
    root = files(tmp_path, "a.jpg", "a_m.png", "a_n.png", "b.jpg", "b_m.png")
    with pytest.raises(DataError, match=r"--label 'x_\{case\}.png' finds no file; there are .*a_m.png"):
        read_listing(root, {"": "{case}.jpg"}, {"": "x_{case}.png"})
    with pytest.raises(DataError, match=r"a: --label '\{case\}_\?.png' finds a_m.png, a_n.png; make it find one"):
        read_listing(root, {"": "{case}.jpg"}, {"": "{case}_?.png"})
    with pytest.raises(DataError, match="some patterns name one file"):
        read_listing(root, {"": "a.jpg"}, {"": "{case}_m.png"})
    with pytest.raises(DataError, match="each needs the name of its structure"):
        read_listing(root, {"": "{case}.jpg"}, {"": "{case}_m.png", "n": "{case}_n.png"})
    with pytest.raises(DataError, match="patterns are needed of images and of labels"):
        read_listing(root, {"": "{case}.jpg"}, {})
