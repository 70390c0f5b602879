"""From annotations of other programs to a data set that `plan` reads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

import autoseg
from autoseg.annotations import coco, cvat
from autoseg.annotations.base import LabelledImage
from autoseg.errors import DataError, RunFolderError
from autoseg.processing.cases import load_image, load_labels
from autoseg.records import ImportReport

from ..annotations.exports import BOX_EXPORTS, EXPORTS
from .imported import SHAPE, boxes, indexed, picture


@pytest.mark.parametrize("kind", ["coco", "cvat"])
def test_annotations_become_label_maps(tmp_path: Path, kind: str) -> None:
    source = tmp_path / "set"
    for name in ("a/001_HC.png", "a/001_2HC.png", "b/002_HC.png", "b/empty.png", "b/unlisted.png"):
        picture(source / "images" / name)
    listed = [LabelledImage(f"{name}.png", boxes()) for name in ("001_HC", "001_2HC", "002_HC")]
    listed.append(LabelledImage("empty.png", np.zeros(SHAPE, np.uint8)))
    if kind == "coco":
        coco.write(source / "annotations" / "instances_default.json", listed, {"Brain": (1,), "LV": (2,)})
    else:
        cvat.write(source / "annotations.xml", listed, {"Brain": (1,), "LV": (2,)})
    (tmp_path / "mm.csv").write_text("image,mm per pixel x,mm per pixel y\n" + "".join(f"{one.name},0.1,0.2\n" for one in listed))
    report = autoseg.import_dataset(source, tmp_path / "out", spacing=tmp_path / "mm.csv", workers=0)
    assert (report.kind, report.cases, report.subjects, report.empty, report.failed) == (kind, 4, 3, 1, ())
    assert {one.name: (one.cases, one.pixels) for one in report.labels} == {"Brain": (3, 3 * 197), "LV": (3, 3 * 24)}
    assert any("1 images are not annotated" in note and "unlisted.png" in note for note in report.notes)
    assert (
        ImportReport.load(tmp_path / "out" / "import.json") == report and (tmp_path / "out" / "preview.png").stat().st_size > 1000
    )
    dataset = indexed(tmp_path / "out")
    assert [target.name for target in dataset.targets] == ["Brain", "LV"]
    assert {case.id: (case.subject, case.spacing_mm) for case in dataset.cases} == {
        "001_HC": ("001", (0.2, 0.1)), "001_2HC": ("001", (0.2, 0.1)), "002_HC": ("002", (0.2, 0.1)), "empty": ("empty", (0.2, 0.1)),
    }  # fmt: skip
    for case in dataset.cases:
        assert np.array_equal(load_labels(dataset, case), boxes() * (case.id != "empty"))
        assert np.array_equal(load_image(dataset, case).array[0], np.asarray(Image.open(source / "images" / "a/001_HC.png")))


def test_overlapping_structures_stay_regions(tmp_path: Path) -> None:
    whole, core = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    whole[2:15, 3:20], core[5:9, 6:25] = 255, 255
    picture(tmp_path / "set" / "a.png")
    picture(tmp_path / "set" / "a_core.png", core)
    picture(tmp_path / "set" / "a_whole.png", whole)
    patterns = {"core": "{case}_core.png", "whole": "{case}_whole.png"}
    report = autoseg.import_dataset(
        tmp_path / "set", tmp_path / "out", images={"": "a.png"}, labels={name: one.replace("{case}", "a") for name, one in patterns.items()},
        overlap="regions", workers=0,
    )  # fmt: skip
    dataset = indexed(tmp_path / "out")
    assert dataset.regions and [target.name for target in dataset.targets] == ["whole", "core"], "the larger is painted first"
    labels = load_labels(dataset, dataset.cases[0])
    for target, mask in zip(dataset.targets, (whole, core), strict=True):
        assert np.array_equal(np.isin(labels, target.values), mask > 0)
    assert [(one.below, one.above, one.pixels) for one in report.covered] == [("core", "whole", 56)]


def test_volumes_and_undeclared_values(tmp_path: Path) -> None:
    labels = np.zeros((4, 5, 6), np.uint8)
    labels[1, 1:3, 1:4], labels[2, 2, 2] = 3, 7
    for case in ("p1", "p2"):
        (tmp_path / "set" / case).mkdir(parents=True)
        for name, array in (("t1", labels * 9.0), ("t2", labels + 1.0), ("seg", labels)):
            image = sitk.GetImageFromArray(array)
            image.SetSpacing((0.5, 0.6, 2.0))
            sitk.WriteImage(image, str(tmp_path / "set" / case / f"{name}.nii.gz"))
    patterns = {"images": {"T1": "{case}/t1.nii.gz", "T2": "{case}/t2.nii.gz"}, "labels": {"": "{case}/seg.nii.gz"}}
    autoseg.import_dataset(tmp_path / "set", tmp_path / "out", **patterns, workers=0)
    dataset = indexed(tmp_path / "out")
    assert dataset.channels == ("T1", "T2") and [target.name for target in dataset.targets] == ["class_3", "class_7"]
    assert np.array_equal(load_labels(dataset, dataset.cases[0]), np.select([labels == 3, labels == 7], [1, 2]))
    assert load_image(dataset, dataset.cases[0]).geometry.spacing_mm == pytest.approx((2.0, 0.6, 0.5))
    named = autoseg.import_dataset(
        tmp_path / "set", tmp_path / "named", **patterns, structures={"gm": (3,), "wm": (7,)}, only=("wm",), workers=0
    )
    assert [(one.name, one.cases) for one in named.labels] == [("wm", 2)]
    missing = autoseg.import_dataset(
        tmp_path / "set", tmp_path / "half", **patterns, structures={"gm": (3,)}, unknown="background", workers=0
    )
    assert [one.name for one in missing.labels] == [
        "gm"
    ] and "1 values or colours occur that nobody named: 7 (2 pixels in 2 images)" in missing.notes
    with pytest.raises(DataError, match="1 values or colours that nobody named \\(7\\)"):
        autoseg.import_dataset(tmp_path / "set", tmp_path / "none", **patterns, structures={"gm": (3,)}, workers=0)
    assert not (tmp_path / "none").exists()


def test_colours_that_nobody_named(tmp_path: Path) -> None:
    mask = np.zeros((*SHAPE, 3), np.uint8)
    mask[2:15, 3:20], mask[5:9, 6:12] = (255, 0, 0), (0, 255, 0)
    fringe = mask.copy()
    fringe[2, 3:20] = (128, 0, 0)
    for case, colours in (("a", mask), ("b", fringe)):
        picture(tmp_path / "set" / f"{case}.png")
        picture(tmp_path / "set" / f"{case}_mask.png", colours)
    images, labels = {"": "{case}.png"}, {"": "{case}_mask.png"}
    names = {"Brain": (255, 0, 0), "CSP": (0, 255, 0)}
    report = autoseg.import_dataset(tmp_path / "set", tmp_path / "out", images=images, labels=labels, colours=names, workers=0)
    assert report.cases == 1 and [one.id for one in report.failed] == ["b"]
    assert "1 values or colours that nobody named (128,0,0)" in report.failed[0].reason
    nearest = autoseg.import_dataset(
        tmp_path / "set", tmp_path / "near", images=images, labels=labels, colours=names, unknown="nearest", workers=0
    )
    assert nearest.cases == 2 and {one.pixels for one in nearest.labels} == {2 * 197, 2 * 24}, (
        "dark red is nearer to red than to black"
    )
    assert not (tmp_path / "out" / "images" / "b.png").exists() and not list((tmp_path / "out" / "labels").glob("b*"))


def test_other_layouts_are_rewritten(tmp_path: Path) -> None:
    source = tmp_path / "Dataset001_X"
    for number in range(2):
        picture(source / "imagesTr" / f"case{number}_0000.png")
        picture(source / "labelsTr" / f"case{number}.png", boxes())
    content = {
        "channel_names": {"0": "US"},
        "labels": {"background": 0, "head": [1, 2], "core": 2},
        "regions_class_order": [1, 2],
        "numTraining": 2,
        "file_ending": ".png",
    }
    (source / "dataset.json").write_text(json.dumps(content))
    report = autoseg.import_dataset(source, tmp_path / "out", workers=0)
    before, after = indexed(source), indexed(tmp_path / "out")
    assert report.kind == "nnunet" and after.regions and after.channels == ("US",)
    assert [(one.name, one.values, one.output_value) for one in before.targets] == [
        (one.name, one.values, one.output_value) for one in after.targets
    ]
    for one, other in zip(before.cases, after.cases, strict=True):
        assert np.array_equal(load_labels(before, one), load_labels(after, other))


def test_a_case_that_fails_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "set"
    picture(source / "a.png")
    picture(source / "b.png", np.zeros((7, 7), np.uint8))
    coco.write(source / "c.json", [LabelledImage(f"{name}.png", boxes()) for name in "abx"], {"Brain": (1,), "LV": (2,)})
    report = autoseg.import_dataset(source, tmp_path / "out", workers=0)
    assert report.cases == 1
    assert {one.id: one.reason.split(";")[0] for one in report.failed} == {
        "x.png": f"there is no such image in {source}",
        "b": "was annotated at 30x20 pixels, and its image has 7x7",
    }
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.png")) == ["a.png", "a.png", "preview.png"]


def test_places_that_are_taken(tmp_path: Path) -> None:
    picture(tmp_path / "set" / "a.png")
    coco.write(tmp_path / "set" / "c.json", [LabelledImage("a.png", boxes())], {"Brain": (1,), "LV": (2,)})
    autoseg.import_dataset(tmp_path / "set", tmp_path / "out", workers=0)
    with pytest.raises(RunFolderError, match="is not empty; give a new folder, or --overwrite"):
        autoseg.import_dataset(tmp_path / "set", tmp_path / "out", workers=0)
    assert autoseg.import_dataset(tmp_path / "set", tmp_path / "out", overwrite=True, workers=0).cases == 1
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(RunFolderError, match="was not made by `autoseg import`"):
        autoseg.import_dataset(tmp_path / "set", tmp_path / "mine", overwrite=True, workers=0)
    with pytest.raises(RunFolderError, match="lies inside the set"):
        autoseg.import_dataset(tmp_path / "set", tmp_path / "set" / "out", workers=0)
    with pytest.raises(DataError, match=r"is not recognised \(known: coco, .*\nor name the files"):
        autoseg.import_dataset(tmp_path / "mine", tmp_path / "new", workers=0)
    with pytest.raises(DataError, match="unknown format 'cocoo', did you mean 'coco'"):
        autoseg.import_dataset(tmp_path / "set", tmp_path / "new", format="cocoo", workers=0)


def test_vessels_of_the_retina(shared_data: Path, tmp_path: Path) -> None:
    report = autoseg.import_dataset(
        shared_data / "CHASEDB1",
        tmp_path / "out",
        images={"": "{case}.jpg"},
        labels={"vessels": "{case}_1stHO.png"},
        subjects=r"Image_(\d+)",
        workers=0,
    )
    assert (report.cases, report.subjects, report.failed) == (20, 10, ())
    assert indexed(tmp_path / "out").channels == ("red", "green", "blue")


COLOURS = {"Brain": (255, 0, 0), "LV": (0, 0, 255)}


@pytest.mark.parametrize("name", EXPORTS)
@pytest.mark.parametrize("zipped", [False, True], ids=["folder", "zip"])
def test_every_export_of_cvat_comes_in(tmp_path: Path, name: str, zipped: bool) -> None:
    """With images beside the annotations, as a folder and as the zip that was downloaded."""
    kind, write = EXPORTS[name]
    random = np.random.default_rng(0)
    maps = {"a.png": boxes(), "b.png": np.flipud(boxes()).copy()}
    images = {file: random.integers(0, 255, SHAPE).astype(np.uint8) for file in maps}
    write(tmp_path / "export", maps, COLOURS, images)
    for file, values in images.items():  # some exports come without their images
        if not list((tmp_path / "export").rglob(file)) or name in ("voc", "camvid", "cityscapes", "openimages", "labelme-xml"):
            picture(tmp_path / "images" / file, values)
    elsewhere = tmp_path / "images" if (tmp_path / "images").exists() else None
    source = tmp_path / "export"
    if zipped:
        source = Path(shutil.make_archive(str(tmp_path / "download"), "zip", source))
    report = autoseg.import_dataset(source, tmp_path / "out", images_folder=elsewhere, workers=0)
    assert (report.kind, report.cases, report.failed, report.source) == (kind, 2, (), str(source))
    dataset = indexed(tmp_path / "out")
    assert [target.name for target in dataset.targets] == ["Brain", "LV"]
    for case in dataset.cases:
        assert np.array_equal(load_labels(dataset, case), maps[f"{case.id}.png"])
        assert np.array_equal(load_image(dataset, case).array[0], images[f"{case.id}.png"])
    assert not list(tmp_path.glob(".out*")), "nothing is left of what was unpacked"


@pytest.mark.parametrize("name", BOX_EXPORTS)
def test_boxes_alone_are_refused(tmp_path: Path, name: str) -> None:
    BOX_EXPORTS[name](tmp_path / "export", {"a.png": boxes()}, COLOURS)
    with pytest.raises(DataError, match="boxes"):
        autoseg.import_dataset(tmp_path / "export", tmp_path / "out", workers=0)


def test_several_masks_of_one_image_and_empty_normals(tmp_path: Path) -> None:
    """As breast ultrasound comes: folders of kinds, several lesions in one image, and normal images whose mask is empty."""
    one, two = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    one[2:5, 2:9], two[10:14, 20:26] = 255, 255
    for file, values in {
        "benign/benign (1).png": None, "benign/benign (1)_mask.png": one, "benign/benign (1)_mask_1.png": two,
        "malignant/malignant (1).png": None, "malignant/malignant (1)_mask.png": two,
        "normal/normal (1).png": None, "normal/normal (1)_mask.png": np.zeros(SHAPE, np.uint8),
    }.items():  # fmt: skip
        picture(tmp_path / "set" / file, values)
    report = autoseg.import_dataset(tmp_path / "set", tmp_path / "out", workers=0)
    assert (report.kind, report.cases, report.empty, report.failed) == ("binary-per-class", 3, 1, ())
    dataset = indexed(tmp_path / "out")
    labels = {case.id: load_labels(dataset, case) for case in dataset.cases}
    assert np.array_equal(labels["benign (1)"] > 0, (one | two) > 0) and not labels["normal (1)"].any()


def listed(source: Path, *names: str) -> Path:
    """A set in COCO's format of these images, which have the labels of `boxes`."""
    coco.write(source / "c.json", [LabelledImage(name, boxes()) for name in names], {"Brain": (1,), "LV": (2,)})
    return source


def test_a_case_that_fails_takes_no_other_with_it(tmp_path: Path) -> None:
    """Names that begin alike: `a` fails, and `a_2` and `a.b` stay."""
    for name in ("a_2.png", "a.b.png"):
        picture(tmp_path / "set" / name)
    picture(tmp_path / "set" / "a.png", np.zeros((7, 7), np.uint8))
    report = autoseg.import_dataset(listed(tmp_path / "set", "a_2.png", "a.b.png", "a.png"), tmp_path / "out", workers=0)
    assert [one.id for one in report.failed] == ["a"]
    assert {case.id for case in indexed(tmp_path / "out").cases} == {"a_2", "a.b"}


def test_subjects_of_cases_that_failed_do_not_count(tmp_path: Path) -> None:
    """Two frames of one person and one image of another that is missing: still a table of subjects."""
    for name in ("1_a.png", "1_b.png"):
        picture(tmp_path / "set" / name)
    picture(tmp_path / "set" / "2_a.png", np.zeros((7, 7), np.uint8))
    source = listed(tmp_path / "set", "1_a.png", "1_b.png", "2_a.png")
    report = autoseg.import_dataset(source, tmp_path / "out", subjects=r"(\d+)_", workers=0)
    assert (report.cases, report.subjects) == (2, 1)
    assert {case.subject for case in indexed(tmp_path / "out").cases} == {"1"}


def test_subjects_by_the_folders_of_images(tmp_path: Path) -> None:
    names = ("anna/1.png", "anna/2.png", "bert/3.png")
    for name in names:
        picture(tmp_path / "set" / name)
    autoseg.import_dataset(listed(tmp_path / "set", *names), tmp_path / "out", subjects="^([^/]+)/", workers=0)
    assert {case.id: case.subject for case in indexed(tmp_path / "out").cases} == {"1": "anna", "2": "anna", "3": "bert"}


def test_what_would_be_replaced_is_not_read_from(tmp_path: Path) -> None:
    """An import whose source, or whose images, lie in the folder that the next one would replace."""
    picture(tmp_path / "set" / "a.png")
    autoseg.import_dataset(listed(tmp_path / "set", "a.png"), tmp_path / "out", workers=0)
    for source, images in (
        (tmp_path / "out", None),
        (tmp_path / "out" / "images", None),
        (tmp_path / "set", tmp_path / "out" / "images"),
    ):
        with pytest.raises(RunFolderError, match=r"would be replaced|lies inside the set"):
            autoseg.import_dataset(source, tmp_path / "out", images_folder=images, overwrite=True, workers=0)
    assert len(indexed(tmp_path / "out").cases) == 1


def test_a_picture_that_is_to_be_shown_turned_is_refused(tmp_path: Path) -> None:
    """Programs that draw labels turn it, and others do not; upside down even the size is the same."""
    for name, orientation in (("a.png", 1), ("b.png", 3)):
        (tmp_path / "set").mkdir(exist_ok=True)
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(boxes()).save(tmp_path / "set" / name, exif=exif)
    report = autoseg.import_dataset(listed(tmp_path / "set", "a.png", "b.png"), tmp_path / "out", workers=0)
    assert [(one.id, "EXIF" in one.reason) for one in report.failed] == [("b", True)]


def test_a_structure_of_which_nothing_would_be_left_is_told(tmp_path: Path) -> None:
    """As in retina sets, whose masks of the field of view cover all vessels."""
    vessels, field = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    vessels[5:9, 6:12], field[2:18, 2:28] = 255, 255
    picture(tmp_path / "set" / "a.png")
    picture(tmp_path / "set" / "a_artery.png", vessels)
    picture(tmp_path / "set" / "a_field.png", field)
    with pytest.raises(DataError, match="artery lies below field, all of it or nearly so"):
        autoseg.import_dataset(tmp_path / "set", tmp_path / "out", workers=0)
    assert not (tmp_path / "out").exists()
    report = autoseg.import_dataset(tmp_path / "set", tmp_path / "out", overlap="smaller", workers=0)
    assert {one.name: one.pixels for one in report.labels} == {"artery": 24, "field": 16 * 26 - 24}


@pytest.mark.parametrize("kind", ["origin", "spacing"])
def test_label_maps_of_volumes_that_lie_elsewhere(tmp_path: Path, kind: str) -> None:
    """Another origin is told, as when planning; voxels of another size are another grid."""
    labels = np.zeros((6, 8, 9), np.uint8)
    labels[2:4, 2:5, 2:6] = 1
    for case in "ab":
        image, label = sitk.GetImageFromArray(labels.astype(np.float32)), sitk.GetImageFromArray(labels)
        if case == "b":
            label.SetOrigin((5.0, 0.0, 0.0)) if kind == "origin" else label.SetSpacing((2.0, 1.0, 1.0))
        (tmp_path / "set" / case).mkdir(parents=True)
        sitk.WriteImage(image, str(tmp_path / "set" / case / "image.nii.gz"))
        sitk.WriteImage(label, str(tmp_path / "set" / case / "seg.nii.gz"))
    patterns = {"images": {"": "{case}/image.nii.gz"}, "labels": {"": "{case}/seg.nii.gz"}}
    report = autoseg.import_dataset(tmp_path / "set", tmp_path / "out", workers=0, **patterns)
    if kind == "origin":
        assert report.cases == 2 and any(note.startswith("1 cases, such as b: the label's header") for note in report.notes)
    else:
        assert [one.id for one in report.failed] == ["b"] and "spacing" in report.failed[0].reason


def test_images_in_two_files_come_along_whole(tmp_path: Path) -> None:
    """A header and its values: MetaImage as many programs write it."""
    labels = np.zeros((6, 8, 9), np.uint8)
    labels[2:4, 2:5, 2:6] = 1
    for case in "ab":
        (tmp_path / "set" / case).mkdir(parents=True)
        sitk.WriteImage(sitk.GetImageFromArray(labels * 10), str(tmp_path / "set" / case / "image.mhd"))
        sitk.WriteImage(sitk.GetImageFromArray(labels), str(tmp_path / "set" / case / "seg.nii.gz"))
    autoseg.import_dataset(
        tmp_path / "set", tmp_path / "out", images={"": "{case}/image.mhd"}, labels={"": "{case}/seg.nii.gz"}, workers=0
    )
    shutil.rmtree(tmp_path / "set")
    dataset = indexed(tmp_path / "out")
    assert [np.array_equal(load_image(dataset, case).array[0], labels * 10) for case in dataset.cases] == [True, True]
