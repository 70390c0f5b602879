"""What labels of imported sets mean: structures in structures, names of the user's own, missing masks, backgrounds, and images of other kinds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

import autoseg
from autoseg.errors import DataError
from autoseg.processing.cases import load_image, load_labels

from .imported import SHAPE, boxes, indexed, picture


def test_structures_that_share_values_are_regions(tmp_path: Path) -> None:
    """4 in 1 in 2, as tumours are drawn: the whole is 1, 2 and 4, its core 1 and 4, what enhances 4."""
    labels = np.zeros((6, 8, 9), np.uint8)
    labels[1:5, 1:6, 1:7], labels[2:4, 2:5, 2:6], labels[2, 2, 2:4] = 2, 1, 4
    (tmp_path / "set" / "a").mkdir(parents=True)
    sitk.WriteImage(sitk.GetImageFromArray(labels * 10), str(tmp_path / "set" / "a" / "image.nii.gz"))
    sitk.WriteImage(sitk.GetImageFromArray(labels), str(tmp_path / "set" / "a" / "seg.nii.gz"))
    files = {"images": {"": "{case}/image.nii.gz"}, "labels": {"": "{case}/seg.nii.gz"}}
    nested = {"enhancing": (4,), "core": (1, 4), "whole": (1, 2, 4)}
    report = autoseg.import_dataset(tmp_path / "set", tmp_path / "out", structures=nested, workers=0, **files)
    assert report.overlap == "regions" and {one.name: one.pixels for one in report.labels} == {
        "whole": 120,
        "core": 24,
        "enhancing": 2,
    }
    dataset = indexed(tmp_path / "out")
    assert dataset.regions and [one.name for one in dataset.targets] == [
        "whole",
        "core",
        "enhancing",
    ]  # large ones are painted first
    loaded = load_labels(dataset, dataset.cases[0])
    drawn = {one.name: np.isin(loaded, one.values) for one in dataset.targets}
    for name, values in nested.items():
        assert np.array_equal(drawn[name], np.isin(labels, values))
    only = autoseg.import_dataset(
        tmp_path / "set", tmp_path / "two", structures=nested, only=("core", "enhancing"), workers=0, **files
    )
    assert {one.name: one.pixels for one in only.labels} == {"core": 24, "enhancing": 2}
    assert [one.name for one in indexed(tmp_path / "two").targets] == ["core", "enhancing"]
    alone = autoseg.import_dataset(tmp_path / "set", tmp_path / "one", structures=nested, only=("whole",), workers=0, **files)
    assert [(one.name, one.pixels) for one in alone.labels] == [("whole", 120)] and not indexed(tmp_path / "one").regions


def test_what_is_chosen_may_be_called_otherwise(tmp_path: Path) -> None:
    """One new name for one label, one for two of which parts overlap, and names that change places; of shapes and of label maps."""
    for name, columns in (("left", slice(0, 5)), ("right", slice(3, 9)), ("other", slice(20, 22))):
        mask = np.zeros(SHAPE, np.uint8)
        mask[2:4, columns] = 255
        picture(tmp_path / "shapes" / "masks" / name / "a.png", mask)
    picture(tmp_path / "shapes" / "images" / "a.png")
    values = np.zeros(SHAPE, np.uint8)
    values[2:4, 0:3], values[2:4, 3:9], values[2:4, 20:22] = 1, 2, 3
    picture(tmp_path / "maps" / "labels" / "a.png", values)
    picture(tmp_path / "maps" / "images" / "a.png")
    of_maps = {"images": {"": "images/{case}.png"}, "labels": {"": "labels/{case}.png"}}
    of_maps |= {"structures": {"left": (1,), "right": (2,), "other": (3,)}}
    for source, more in ((tmp_path / "shapes", {}), (tmp_path / "maps", of_maps)):
        wishes = [
            ({"both": ("left", "right")}, {"both": 18}),
            ({"left": "right", "right": "left"}, {"left": 12, "right": 6}),
            (("other", "left"), {"other": 4, "left": 10 if source.name == "shapes" else 6}),
        ]
        for number, (only, pixels) in enumerate(wishes):
            out = tmp_path / f"{source.name}_{number}"
            report = autoseg.import_dataset(source, out, only=only, workers=0, **more)
            assert {one.name: one.pixels for one in report.labels} == pixels
            assert {one.name for one in indexed(out).targets} == set(pixels)
        for only, told in (
            ({"a": "nothing"}, "there is no label 'nothing'"),
            ({"a": "left", "b": "left"}, "takes 'left' for two"),
        ):
            with pytest.raises(DataError, match=told):
                autoseg.import_dataset(source, tmp_path / "no", only=only, workers=0, **more)


def test_a_missing_mask_of_a_chosen_structure_is_no_empty_one(tmp_path: Path) -> None:
    """As in retina sets whose test images have a mask of the field of view alone."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[5:9, 6:12] = 255
    for case, ends in (("a", ("artery", "field")), ("b", ("field",)), ("c", ("artery", "field"))):
        picture(tmp_path / "set" / f"{case}.png")
        for end in ends:
            picture(tmp_path / "set" / f"{case}_{end}.png", mask)
    report = autoseg.import_dataset(tmp_path / "set", tmp_path / "out", only=("artery",), workers=0)
    assert (report.cases, report.empty) == (2, 0)
    assert [(one.id, one.reason.split(";")[0]) for one in report.failed] == [("b.png", "has a mask of field and none of artery")]


def test_masks_of_black_and_white_and_of_eyes_need_no_word(tmp_path: Path) -> None:
    """`images/` beside `masks/` of 0 and 255, as of skin; and an eye set, whose folder `mask` holds no label maps of `images`."""
    white = np.zeros(SHAPE, np.uint8)
    white[3:9, 4:10] = 255
    for name in ("s1", "s2"):
        picture(tmp_path / "skin" / "images" / f"{name}.png")
        picture(tmp_path / "skin" / "masks" / f"{name}_segmentation.png", white)
    report = autoseg.import_dataset(tmp_path / "skin", tmp_path / "skin_out", workers=0)
    assert (report.kind, report.cases) == ("colour-masks", 2) and [(one.name, one.pixels) for one in report.labels] == [
        ("foreground", 72)
    ]
    for name in ("21", "22"):
        picture(tmp_path / "eyes" / "images" / f"{name}_training.tif")
        picture(tmp_path / "eyes" / "1st_manual" / f"{name}_manual1.gif", white)
        field = np.full(SHAPE, 255, np.uint8)
        field[3, 4] = 0  # one of 36 pixels of the vessels lies beyond it
        picture(tmp_path / "eyes" / "mask" / f"{name}_training_mask.gif", field)
    with pytest.raises(DataError, match=r"manual1 lies below mask, .* choose with --only manual1"):
        autoseg.import_dataset(tmp_path / "eyes", tmp_path / "eyes_out", workers=0)
    report = autoseg.import_dataset(tmp_path / "eyes", tmp_path / "eyes_out", only={"vessels": "manual1"}, workers=0)
    assert [(one.name, one.pixels) for one in report.labels] == [("vessels", 72)]


def test_images_that_lie_elsewhere_are_taken_from_there(tmp_path: Path) -> None:
    """Also where the export holds images of its own, such as small copies."""
    for subset in ("train", "val"):
        picture(tmp_path / "set" / "imgsFine" / "leftImg8bit" / subset / f"{subset}1_leftImg8bit.png", np.zeros((5, 5), np.uint8))
        picture(tmp_path / "set" / "gtFine" / subset / f"{subset}1_gtFine_labelIds.png", boxes())
        picture(tmp_path / "elsewhere" / f"{subset}1.png")
    (tmp_path / "set" / "label_colors.txt").write_text("0 0 0 background\n255 0 0 Brain\n0 255 0 LV\n")
    report = autoseg.import_dataset(tmp_path / "set", tmp_path / "out", images_folder=tmp_path / "elsewhere", workers=0)
    assert report.cases == 2 and not report.failed
    with pytest.raises(DataError, match="leave --images out"):
        patterns = {"images": {"": "{case}.png"}, "labels": {"": "{case}.png"}}
        autoseg.import_dataset(tmp_path / "set", tmp_path / "no", images_folder=tmp_path / "elsewhere", workers=0, **patterns)


def test_what_is_of_another_kind_fails_alone(tmp_path: Path) -> None:
    """Recordings over time among pictures, all of them with labels."""
    for name, shape in (("a", (8, 9)), ("b", (8, 9)), ("sequence", (4, 8, 9))):
        for kind in ("image", "label"):
            (tmp_path / "set").mkdir(exist_ok=True)
            sitk.WriteImage(sitk.GetImageFromArray(np.ones(shape, np.uint8)), str(tmp_path / "set" / f"{name}_{kind}.nii.gz"))
    files = {"images": {"": "{case}_image.nii.gz"}, "labels": {"a": "{case}_label.nii.gz"}}
    report = autoseg.import_dataset(tmp_path / "set", tmp_path / "out", workers=0, **files)
    told = "is 3D while 2 of 3 cases are 2D; a data set holds one kind"
    assert report.cases == 2 and [(one.id, one.reason) for one in report.failed] == [("sequence", told)]
    assert [file.name for file in sorted((tmp_path / "out" / "images").iterdir())] == ["a.nii.gz", "b.nii.gz"]
    assert "a fills the rim of 2 of 2 images" in " ".join(report.notes)


def test_pixel_sizes_that_lie_in_the_set_are_kept(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        picture(tmp_path / "set" / "images" / f"{name}.png")
        picture(tmp_path / "set" / "masks" / f"{name}.png", boxes() * 127)
    (tmp_path / "set" / "sizes.csv").write_text("image,pixel size (mm)\na.png,0.1\nb.png,0.2\n")
    report = autoseg.import_dataset(tmp_path / "set", tmp_path / "out", workers=0)
    assert "mm per pixel from sizes.csv, which has them of 2 of 3 images" in report.notes
    assert [case.spacing_mm for case in indexed(tmp_path / "out").cases] == [(0.1, 0.1), (0.2, 0.2), None]
    (tmp_path / "set" / "more.csv").write_text("image,pixel size (mm)\na.png,0.1\n")
    report = autoseg.import_dataset(tmp_path / "set", tmp_path / "two", workers=0)
    assert any(note.startswith("more.csv, sizes.csv all have pixel sizes, and none is taken") for note in report.notes)


def test_a_set_whose_background_is_white(tmp_path: Path) -> None:
    """0 in 128 in 255, of which 255 is what is around, as sets of the optic disc have it: told, and read as it is meant."""
    values = np.full(SHAPE, 255, np.uint8)
    values[4:16, 6:20], values[7:12, 9:15] = 128, 0
    for name in ("a", "b"):
        picture(tmp_path / "set" / f"{name}.png")
        picture(tmp_path / "set" / "masks" / f"{name}.bmp", values)
    files = {"images": {"": "{case}.png"}, "labels": {"": "masks/{case}.bmp"}}
    report = autoseg.import_dataset(tmp_path / "set", tmp_path / "one", workers=0, **files)
    assert any(note.startswith("class_255 fills the rim of 2 of 2 images") for note in report.notes)
    meant = {"background": (255,), "cup": (0,), "disc": (0, 128)}
    report = autoseg.import_dataset(tmp_path / "set", tmp_path / "two", structures=meant, workers=0, **files)
    assert {one.name: one.pixels for one in report.labels} == {"disc": 2 * 168, "cup": 2 * 30} and not report.empty
    dataset = indexed(tmp_path / "two")
    assert dataset.regions and [one.name for one in dataset.targets] == ["disc", "cup"]


def test_a_missing_mask_may_mean_that_nothing_is_there(tmp_path: Path) -> None:
    """Lesions of which most images have some alone; of patterns, masks beside images, and masks in a folder; else each is a fault."""
    white = np.zeros(SHAPE, np.uint8)
    white[3:9, 4:10] = 255
    for name in ("a", "b", "c"):
        picture(tmp_path / "lesions" / "images" / f"{name}.jpg")
        picture(tmp_path / "beside" / f"{name}.png")
        picture(tmp_path / "folder" / "images" / f"{name}.png")
    picture(tmp_path / "lesions" / "MA" / "a_MA.tif", white)
    picture(tmp_path / "lesions" / "SE" / "b_SE.tif", white.T.copy().reshape(SHAPE))
    for name in ("a", "b"):
        picture(tmp_path / "beside" / f"{name}_tumour.png", white)
        picture(tmp_path / "folder" / "masks" / f"{name}.png", white)
    patterns = {"images": {"": "images/{case}.jpg"}, "labels": {"MA": "MA/{case}_MA.tif", "SE": "SE/{case}_SE.tif"}}
    with pytest.raises(DataError, match=r"c: has no file that --label 'SE/{case}_SE.tif' finds; .* or give --missing empty"):
        autoseg.import_dataset(tmp_path / "lesions", tmp_path / "no", workers=0, **patterns)
    report = autoseg.import_dataset(tmp_path / "lesions", tmp_path / "some", missing="empty", workers=0, **patterns)
    assert (report.cases, report.empty) == (3, 1) and {one.name: one.cases for one in report.labels} == {"MA": 1, "SE": 1}
    assert "finds no file of 2 cases, which count as empty there, such as b" in " ".join(report.notes)
    for name in ("beside", "folder"):
        report = autoseg.import_dataset(tmp_path / name, tmp_path / f"{name}_1", workers=0)
        assert report.cases == 2 and "give --missing empty for all such images" in report.failed[0].reason
        report = autoseg.import_dataset(tmp_path / name, tmp_path / f"{name}_2", missing="empty", workers=0)
        assert (report.cases, report.empty, report.failed) == (3, 1, ())


def test_pictures_that_are_stored_as_three_slices(tmp_path: Path) -> None:
    """As fetal heads in the birth canal are: an image of 3 x 20 x 30 in colour, and a label map of 20 x 30."""
    colours = np.random.default_rng(0).integers(0, 255, (3, *SHAPE)).astype(np.uint8)
    for folder, array in (("image_mha", colours), ("label_mha", boxes())):
        (tmp_path / "set" / folder).mkdir(parents=True)
        sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / "set" / folder / "00001.mha"))
    files = {"images": {"": "image_mha/{case}.mha"}, "labels": {"": "label_mha/{case}.mha"}}
    structures = {"symphysis": (1,), "head": (2,)}
    report = autoseg.import_dataset(tmp_path / "set", tmp_path / "out", structures=structures, workers=0, **files)
    assert report.cases == 1 and any("red, green and blue" in note for note in report.notes)
    dataset = indexed(tmp_path / "out")
    assert dataset.rank == 2 and dataset.channels == ("red", "green", "blue")
    assert np.array_equal(load_image(dataset, dataset.cases[0]).array, colours)
    assert np.array_equal(load_labels(dataset, dataset.cases[0]), boxes())
    sitk.WriteImage(sitk.GetImageFromArray(colours.astype(np.int16)), str(tmp_path / "set" / "image_mha" / "00001.mha"))
    with pytest.raises(DataError, match="hold int16 and not 8 bits; save it as PNG"):
        autoseg.import_dataset(tmp_path / "set", tmp_path / "no", structures=structures, workers=0, **files)
