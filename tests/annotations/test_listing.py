"""Files found by patterns: cases, channels, structures, and what is missing or doubled."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoseg.annotations.base import MaskFile
from autoseg.annotations.listing import pattern_of, read_listing
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
        ("{case}.jpg", "a.JPG", "a"),
        ("{case}_T.jpg", "a_t.jpg", None),
        ("{case}/T1.nii.gz", "p7/T1.NII.GZ", "p7"),
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
        "p3: has no file that --label '{case}/seg.nii.gz' finds; mend the pattern, or add the file, or give --missing empty "
        "if a label that is not there means that nothing is on the image"
    ]


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
    with pytest.raises(DataError, match=r"a: --label '\{case\}_\?.png' finds a_m.png, a_n.png; make it find one, or name"):
        read_listing(root, {"": "{case}.jpg"}, {"": "{case}_?.png"})
    with pytest.raises(DataError, match="some patterns name one file"):
        read_listing(root, {"": "a.jpg"}, {"": "{case}_m.png"})
    with pytest.raises(DataError, match="each needs the name of its structure"):
        read_listing(root, {"": "{case}.jpg"}, {"": "{case}_m.png", "n": "{case}_n.png"})
    with pytest.raises(DataError, match="patterns are needed of images and of labels"):
        read_listing(root, {"": "{case}.jpg"}, {})


def test_several_files_of_one_structure_are_joined(tmp_path: Path) -> None:
    root = files(tmp_path, "p1/images/p1.png", *(f"p1/masks/{one}.png" for one in "abc"), "p2/images/p2.png", "p2/masks/d.png")
    found = read_listing(root, {"": "{case}/images/{case}.png"}, {"nuclei": "{case}/masks/*.png"})
    shapes = {image.name: [one.shape for one in image.annotations] for image in found.images}
    assert shapes["p1"] == [MaskFile(root / f"p1/masks/{one}.png") for one in "abc"] and len(shapes["p2"]) == 1
    assert found.notes == ("--label '{case}/masks/*.png' finds up to 3 files of a case, which are joined",)


def test_several_label_maps_or_images_of_one_case_are_refused(tmp_path: Path) -> None:
    root = files(tmp_path, "p1/i.png", *(f"p1/m{one}.png" for one in range(5)))
    with pytest.raises(
        DataError, match=r"finds p1/m0.png, p1/m1.png, p1/m2.png and 2 more; make it find one, or name what they show"
    ):
        read_listing(root, {"": "{case}/i.png"}, {"": "{case}/m*.png"})
    with pytest.raises(DataError, match=r"p1: --image .* finds p1/m0.png, p1/m1.png, p1/m2.png and 2 more; make it find one$"):
        read_listing(root, {"": "{case}/m*.png"}, {"": "{case}/i.png"})


@pytest.mark.parametrize(
    ("image", "label"), [("*/images/{case}.png", "*/gt/{case}.png"), ("**/images/{case}.png", "**/gt/{case}.png")]
)
def test_folders_become_part_of_a_name_that_is_not_unique(image: str, label: str, tmp_path: Path) -> None:
    root = files(tmp_path, *(f"{part}/{kind}/1_A.png" for part in ("train", "test") for kind in ("images", "gt")))
    found = read_listing(root, {"": image}, {"": label})
    assert {one.name: (one.files, one.label_map) for one in found.images} == {
        f"{part}_1_A": ((root / part / "images/1_A.png",), root / part / "gt/1_A.png") for part in ("train", "test")
    }


def test_folders_stay_out_of_names_that_are_unique(tmp_path: Path) -> None:
    root = files(tmp_path, "train/images/a.png", "train/gt/a.png", "test/images/b.png", "test/gt/b.png")
    found = read_listing(root, {"": "*/images/{case}.png"}, {"": "*/gt/{case}.png"})
    assert [one.name for one in found.images] == ["a", "b"]


def test_masks_of_parts_in_folders_are_joined_and_not_told_apart(tmp_path: Path) -> None:
    root = files(tmp_path, "x/a.png", "masks/left/a.png", "masks/right/a.png")
    (image,) = read_listing(root, {"": "x/{case}.png"}, {"lung": "masks/*/{case}.png"}).images
    assert image.name == "a" and len(image.annotations) == 2


def test_names_that_the_folders_do_not_tell_apart(tmp_path: Path) -> None:
    root = files(tmp_path, "u/1/a.png", "u/2/a.png", "gt/a.png")
    with pytest.raises(DataError, match=r"a: --image 'u/\*/\{case\}.png' finds u/1/a.png, u/2/a.png; make it find one"):
        read_listing(root, {"": "u/*/{case}.png"}, {"": "gt/{case}.png"})


def test_files_that_are_not_read_are_told_with_the_cure(tmp_path: Path) -> None:
    root = files(tmp_path, "a.png", *(f"gt/{one}.ppm.gz" for one in "abc"), "raw/a.IMG", "b.xml")
    for pattern, told in (
        ("gt/{case}.ppm.gz", "finds 3 files of .ppm.gz, which is not read; unpack them"),
        ("raw/{case}.*", "finds 1 files of .img, which is not read; values without a header: save them as PNG"),
        ("{case}.xml", "finds 1 files of .xml, which is not read; draw its shapes as masks"),
    ):
        with pytest.raises(DataError, match=told):
            read_listing(root, {"": "{case}.png"}, {"": pattern})
