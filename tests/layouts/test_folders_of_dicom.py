"""`images/` of DICOM files, or of folders that hold a series each, beside `labels/` of other formats."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pydicom")

from PIL import Image

from autoseg.processing.cases import load_image
from autoseg.processing.facts import Task, measure_case
from autoseg.stages.index import index_dataset
from autoseg.stages.preprocess import case_digest
from autoseg.volume.files import read_header, write_labels
from tests.volume.dicom.written import CR_CLASS, region, write_frame, write_series


def frames(root: Path, *, colours: bool = False) -> Path:
    (root / "labels").mkdir(parents=True)
    for index, name in enumerate(("a.dcm", "b.dcm", "1.2.840.17")):
        array = np.random.default_rng(index).integers(0, 255, (8, 9) + ((3,) if colours else ()), dtype=np.uint8)
        write_frame(root / "images" / name, array, regions=[region(0.02, 0.02, (0, 0, 8, 7))])
        label = np.zeros((8, 9), np.uint8)
        label[2:5, 2:6] = 1
        Image.fromarray(label).save(root / "labels" / f"{name.removesuffix('.dcm')}.png")
    return root


def series(root: Path) -> Path:
    for index, name in enumerate(("case_1", "case_2")):
        write_series(root / "images" / name, np.random.default_rng(index).integers(0, 999, (4, 8, 9)))
        label = np.zeros((4, 8, 9), np.uint8)
        label[1:3, 2:5, 2:6] = 1
        write_labels(root / "labels" / f"{name}.nii.gz", label, read_header(root / "images" / name).geometry)
    return root


def test_frames_are_matched_by_name_and_bring_their_millimetres(tmp_path: Path) -> None:
    dataset, faults = index_dataset(frames(tmp_path))
    assert faults == []
    assert dataset is not None
    assert [(case.id, case.images) for case in dataset.cases] == [
        ("1.2.840.17", ("images/1.2.840.17",)),
        ("a", ("images/a.dcm",)),
        ("b", ("images/b.dcm",)),
    ]
    assert (dataset.rank, dataset.channels) == (2, ("grey",))
    assert load_image(dataset, dataset.cases[0]).geometry.spacing_mm == pytest.approx((0.2, 0.2))


def test_a_table_goes_before_what_the_files_say(tmp_path: Path) -> None:
    root = frames(tmp_path)
    (root / "size.csv").write_text("name,pixel size(mm)\na.dcm,0.5\nb.dcm,0.5\n1.2.840.17,0.5\n")
    dataset, faults = index_dataset(root)
    assert faults == []
    assert dataset is not None
    assert {case.spacing_mm for case in dataset.cases} == {(0.5, 0.5)}


def test_coloured_frames_have_three_channels(tmp_path: Path) -> None:
    dataset, _ = index_dataset(frames(tmp_path, colours=True))
    assert dataset is not None
    assert dataset.channels == ("red", "green", "blue")


def test_what_is_measured_at_the_detector_is_noted(tmp_path: Path) -> None:
    root = frames(tmp_path)
    array = np.random.default_rng(3).integers(0, 255, (8, 9), dtype=np.uint8)
    write_frame(root / "images" / "a.dcm", array, uid=CR_CLASS, modality="CR", ImagerPixelSpacing=[0.2, 0.2])
    dataset, _ = index_dataset(root)
    assert dataset is not None
    assert any("a: its 0.2 mm per pixel are measured at the detector" in note for note in dataset.notes)


def test_series_are_cases_by_the_names_of_their_folders(tmp_path: Path) -> None:
    dataset, faults = index_dataset(series(tmp_path))
    assert faults == []
    assert dataset is not None
    assert [(case.id, case.images, case.label) for case in dataset.cases] == [
        ("case_1", ("images/case_1",), "labels/case_1.nii.gz"),
        ("case_2", ("images/case_2",), "labels/case_2.nii.gz"),
    ]
    measured = measure_case(Task(dataset, dataset.cases[0], 100))
    assert measured.faults == ()
    assert measured.facts is not None
    assert measured.facts.spacing_mm == pytest.approx((2.5, 0.6, 0.8))
    assert [size.pixels for size in measured.facts.structures.values()] == [2 * 3 * 4]


def test_a_label_turned_against_its_series_is_a_fault(tmp_path: Path) -> None:
    """As converters that flip rows leave it: the size is the same, the array is not."""
    root = series(tmp_path)
    geometry = read_header(root / "images" / "case_1").geometry
    turned = geometry.__class__(3, geometry.spacing_mm, geometry.origin, (1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0))
    write_labels(root / "labels" / "case_1.nii.gz", np.ones((4, 8, 9), np.uint8), turned)
    dataset, _ = index_dataset(root)
    assert dataset is not None
    measured = measure_case(Task(dataset, dataset.cases[0], 100))
    assert [fault.message for fault in measured.faults] == [
        "the label lies elsewhere or is turned against its DICOM series (origin or direction); resave it on the series' grid"
    ]


def test_a_slice_that_changes_prepares_its_case_anew(tmp_path: Path) -> None:
    from tests.stages.predicting import plan_of

    dataset, _ = index_dataset(series(tmp_path))
    assert dataset is not None
    preparation = next(iter(plan_of(3).configurations.values())).preparation
    before = [case_digest(dataset, case, preparation) for case in dataset.cases]
    changed = tmp_path / "images" / "case_2" / "IM001.dcm"
    shutil.copy(tmp_path / "images" / "case_1" / "IM001.dcm", changed)
    after = [case_digest(dataset, case, preparation) for case in dataset.cases]
    assert after[0] == before[0]
    assert after[1] != before[1]
