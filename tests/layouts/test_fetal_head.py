"""The fetal-head set in its published layout, unpacked and zipped."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autoseg.errors import DataError
from autoseg.layouts.archives import members_of
from autoseg.layouts.base import ReadOptions, stem_of
from autoseg.layouts.fetal_head import read, recognise
from autoseg.records import Dataset
from tests.layouts.fetal_head_set import Packing, write_set


def read_sound(path: Path) -> Dataset:
    result = read(path, ReadOptions())
    assert result.faults == ()
    assert result.dataset is not None
    return result.dataset


@pytest.mark.parametrize("packing", ["unpacked", "masks zipped", "groups zipped", "one zip"])
def test_all_four_groups_are_found_however_packed(tmp_path: Path, packing: Packing) -> None:
    path = write_set(tmp_path / "set", packing)
    before = sorted(path.rglob("*"))
    assert recognise(path) is not None
    dataset = read_sound(path)
    assert {
        group: sum(case.group == group for case in dataset.cases)
        for group in sorted({case.group or "" for case in dataset.cases})
    } == {
        "Diverse": 3,
        "Trans-cerebellum": 2,
        "Trans-thalamic": 3,
        "Trans-ventricular": 2,
    }
    for case in dataset.cases:
        assert dataset.path(case.images[0]).is_file()
        assert case.label and dataset.path(case.label).parent.name == "SegmentationClass"
        assert Image.open(dataset.path(case.images[0])).size == (48, 33), "not the original-size copy"
    assert sorted(path.rglob("*")) == before, "the download is left as it is"
    assert (tmp_path / "set.unpacked").exists() == (packing != "unpacked")


def test_targets_derived_and_encodings(tmp_path: Path) -> None:
    dataset = read_sound(write_set(tmp_path / "set"))
    assert [(target.name, target.values, target.output_value) for target in dataset.targets] == [
        ("Brain", (1,), 1),
        ("CSP", (2,), 2),
        ("LV", (3,), 3),
    ]
    assert [(structure.name, structure.values) for structure in dataset.derived] == [("head", (1, 2, 3))]
    assert dataset.channels == ("ultrasound",)
    usual = {"0,0,0": 0, "255,0,0": 1, "0,255,0": 2, "0,0,255": 3}
    diverse = {"0,0,0": 0, "255,0,0": 1, "255,255,0": 2, "0,0,255": 3}
    colours = {name: encoding.colours for name, encoding in dataset.encodings.items() if encoding.kind == "colours"}
    assert colours == {"Trans-thalamic": usual, "Trans-cerebellum": usual, "Trans-ventricular": usual, "Diverse": diverse}
    assert all(case.encoding == case.group for case in dataset.cases)


def test_subjects_span_the_groups_and_pixel_sizes_are_read(tmp_path: Path) -> None:
    cases = {case.id: case for case in read_sound(write_set(tmp_path / "set")).cases}
    assert {id for id, case in cases.items() if case.subject == "Patient00188"} == {
        "Patient00188_Plane3_2_of_3",
        "Patient00188_Plane3_3_of_3",
        "Patient00188_Plane2_1_of_2",
    }
    assert cases["001_HC"].subject == cases["001_2HC"].subject == "HC18-001"
    assert cases["Patient00188_Plane3_3_of_3"].spacing_mm == (0.11, 0.11)
    assert cases["001_HC"].spacing_mm is None


def test_notes_say_what_is_unknown_and_left_alone(tmp_path: Path) -> None:
    notes = "\n".join(read_sound(write_set(tmp_path / "set")).notes)
    assert "Diverse: no pixel sizes" in notes
    assert "left alone" in notes and "PASCAL" in notes


def test_unpacked_archives_are_reused(tmp_path: Path) -> None:
    path = write_set(tmp_path / "set", "masks zipped")
    first = read_sound(path)
    label = first.path(first.cases[0].label or "")
    stamp = label.stat().st_mtime_ns
    assert read_sound(path).cases == first.cases
    assert label.stat().st_mtime_ns == stamp
    archive = next(file for file in sorted(path.rglob("*.zip")) if stem_of(label) in " ".join(members_of(file)))
    with zipfile.ZipFile(archive) as opened:
        contents = {name: opened.read(name) for name in opened.namelist()}
    with zipfile.ZipFile(archive, "w") as opened:
        for name, content in contents.items():
            opened.writestr(name, content)
    read_sound(path)
    assert label.stat().st_mtime_ns != stamp, "what was unpacked of another zip is not taken"


def test_a_member_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    path = write_set(tmp_path / "set")
    with zipfile.ZipFile(path / "Trans-extra.zip", "w") as archive:
        archive.writestr("../../escaped.png", b"x")
    with pytest.raises(DataError, match="leads out of the folder"):
        read(path, ReadOptions())
    assert not list(tmp_path.rglob("escaped.png"))


def test_a_damaged_archive_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    path = write_set(tmp_path / "set", "masks zipped")
    archive = next(path.rglob("Trans-thalamic-Segmentation.zip"))
    archive.write_bytes(archive.read_bytes()[:200])
    with pytest.raises(DataError, match=r"Trans-thalamic-Segmentation\.zip: cannot be unpacked"):
        read(path, ReadOptions())
    assert not [file for file in (tmp_path / "set.unpacked").rglob("*.png") if "thalamic" in file.as_posix()]


def test_missing_mask_is_a_fault_unless_the_export_does_not_list_the_image(tmp_path: Path) -> None:
    path = write_set(tmp_path / "set")
    export = path / "Trans-thalamic/Trans-thalamic/Trans-thalamic-Segmentation"
    (export / "SegmentationClass/Patient00188_Plane3_2_of_3.png").unlink()
    (fault,) = read(path, ReadOptions()).faults
    assert fault.case == "Patient00188_Plane3_2_of_3" and "no mask" in fault.message
    (export / "ImageSets/Segmentation/default.txt").write_text("Patient00188_Plane3_3_of_3\nPatient00216_Plane3_2_of_5\n")
    dataset = read_sound(path)
    assert {case.id for case in dataset.cases if case.label is None} == {"Patient00188_Plane3_2_of_3"}
    assert any("1 images are not in the mask export" in note for note in dataset.notes)


def test_missing_rows_and_missing_labelmap_are_reported_together(tmp_path: Path) -> None:
    path = write_set(tmp_path / "set")
    table = path / "Trans-cerebellum/Trans-cerebellum/Trans-cerebellum-Pixel-Size.csv"
    table.write_text("Label,Pixel in mm\nPatient00305_Plane2_1_of_5.png,abc\n")
    (path / "Trans-ventricular/Trans-ventricular/Trans-ventricular-segmentation-mask/labelmap.txt").unlink()
    faults = {fault.case: fault.message for fault in read(path, ReadOptions()).faults}
    assert set(faults) == {"Patient00188_Plane2_1_of_2", "Patient00305_Plane2_1_of_5", "Trans-ventricular"}
    assert "no row in Trans-cerebellum-Pixel-Size.csv" in faults["Patient00188_Plane2_1_of_2"]
    assert "found 'abc'" in faults["Patient00305_Plane2_1_of_5"]


def test_equal_names_in_two_groups_get_the_group_in_front(tmp_path: Path) -> None:
    path = write_set(tmp_path / "set")
    inner = path / "Trans-ventricular/Trans-ventricular"
    name = "Patient00188_Plane3_2_of_3"
    for folder in ("Trans-ventricular", "Trans-ventricular-segmentation-mask/SegmentationClass"):
        Image.fromarray(np.zeros((33, 48, 3), np.uint8)).save(inner / folder / f"{name}.png")
    with (inner / "Trans-ventricular-Pixel-Size.csv").open("a") as table:
        table.write(f"{name}.png,0.2\n")
    cases = {case.id: case for case in read_sound(path).cases}
    assert cases[f"Trans-ventricular_{name}"].spacing_mm == (0.2, 0.2)
    assert cases[f"Trans-thalamic_{name}"].spacing_mm == (0.1, 0.1)
    assert name not in cases


def test_one_group_alone_is_read(tmp_path: Path) -> None:
    path = write_set(tmp_path / "set") / "Trans-thalamic"
    assert recognise(path) is not None
    assert {case.group for case in read_sound(path).cases} == {"Trans-thalamic"}


def test_a_labelmap_without_masks_beside_it_is_no_evidence(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "001_HC.png")
    (tmp_path / "labelmap.txt").write_text("Brain:255,0,0::\n")
    assert recognise(tmp_path) is None


def test_the_published_labelmap_and_rows(tmp_path: Path, shared_data: Path) -> None:
    path = write_set(tmp_path / "set")
    inner = path / "Trans-ventricular/Trans-ventricular"
    (inner / "Trans-ventricular-segmentation-mask/labelmap.txt").write_bytes(
        (shared_data / "fetal_head_layout/labelmap.txt").read_bytes()
    )
    rows = (shared_data / "fetal_head_layout/Trans-ventricular-Pixel-Size.HEAD.csv").read_bytes()
    for name in ("Patient00188_Plane3_2_of_3", "Patient00699_Plane3_3_of_4"):
        (inner / "Trans-ventricular" / f"{name}.png").write_bytes(
            (inner / "Trans-ventricular/Patient00630_Plane1_1_of_1.png").read_bytes()
        )
        masks = inner / "Trans-ventricular-segmentation-mask/SegmentationClass"
        (masks / f"{name}.png").write_bytes((masks / "Patient00630_Plane1_1_of_1.png").read_bytes())
    (inner / "Trans-ventricular-Pixel-Size.csv").write_bytes(
        rows + b"Patient00630_Plane1_1_of_1.png,0.3\nPatient00644_Plane1_1_of_3.png,0.3\n"
    )
    cases = {case.id: case for case in read_sound(path).cases}
    assert cases["Trans-ventricular_Patient00188_Plane3_2_of_3"].spacing_mm == (0.195924765, 0.195924765)
    assert cases["Patient00699_Plane3_3_of_4"].spacing_mm == (0.151515152, 0.151515152)


def test_a_few_images_on_which_nothing_was_drawn_take_no_part(tmp_path: Path) -> None:
    """One of 23 listed images has no mask; with so few, nothing is missing."""
    path = write_set(tmp_path / "set")
    inner = path / "Trans-thalamic" / "Trans-thalamic"
    image = inner / "Trans-thalamic" / "Patient00216_Plane3_2_of_5.png"
    mask = inner / "Trans-thalamic-Segmentation" / "SegmentationClass" / image.name
    listing = inner / "Trans-thalamic-Segmentation" / "ImageSets" / "Segmentation" / "default.txt"
    names = [f"Patient{number:05d}_Plane3_1_of_1" for number in range(20)]
    for name in names:
        shutil.copy(image, image.with_name(f"{name}.png"))
        shutil.copy(mask, mask.with_name(f"{name}.png"))
    listing.write_text(listing.read_text() + "\n".join(names))
    mask.with_name(f"{names[3]}.png").unlink()
    found = read(path, ReadOptions(spacing_given=True))
    assert found.faults == () and found.dataset is not None
    (bare,) = [case for case in found.dataset.cases if case.label is None]
    assert bare.id == names[3]
    assert f"Trans-thalamic: 1 images are listed without a mask and take no part: {names[3]}" in found.dataset.notes
