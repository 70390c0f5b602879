"""Pictures, volumes and frames of recordings out of DICOM, without anything of the patient."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom")

import autoseg  # noqa: E402
from autoseg.errors import DataError  # noqa: E402
from autoseg.volume.files import read  # noqa: E402
from tests.volume.dicom.written import PLANTED, region, write_cine, write_frame, write_series  # noqa: E402


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).integers(1, 255, shape).astype(np.uint8)


def test_every_image_becomes_a_file_that_predict_takes(tmp_path: Path) -> None:
    source, out = tmp_path / "dicom", tmp_path / "out"
    still, colours, film, slices = noise(40, 48), noise(30, 20, 3), noise(7, 24, 32), noise(5, 12, 14)
    write_frame(source / "still.dcm", still, regions=[region(0.05, 0.04, (0, 0, 47, 39))])
    write_frame(source / "colour.dcm", colours)
    write_cine(source / "film.dcm", film)
    write_series(source / "ct", slices.astype(np.int16), spacing=(2.5, 0.6, 0.8))
    report = autoseg.import_dataset(source, out, format="dicom", every=3)
    images = {path.name: path for path in (out / "images").iterdir()}
    assert (report.kind, report.cases, report.failed) == ("dicom", 6, ())
    assert np.array_equal(read(images["still.png"]).array[0], still)
    assert np.array_equal(np.moveaxis(read(images["colour.png"]).array, 0, -1), colours)
    assert [name for name in sorted(images) if name.startswith("film")] == ["film_f0.png", "film_f3.png", "film_f6.png"]
    assert np.array_equal(read(images["film_f3.png"]).array[0], film[3])
    (volume,) = [read(path) for name, path in images.items() if name.endswith(".nii.gz")]
    assert np.array_equal(volume.array[0], slices.astype(np.int16) - 1024)
    assert volume.geometry.spacing_mm == pytest.approx((2.5, 0.6, 0.8))
    with (out / "pixel_size.csv").open(newline="") as file:
        sizes = {row["image"]: (row["pixel size y (mm)"], row["pixel size x (mm)"]) for row in csv.DictReader(file)}
    assert sizes["still"] == ("0.5", "0.4") and sizes["film_f0"] == ("0.2", "0.2") and sizes["colour"] == ("", "")
    written = "".join(path.read_text() for path in out.iterdir() if path.is_file()) + "".join(images)
    assert not [word for word in PLANTED if word in written]


def test_what_is_damaged_is_named_and_a_folder_without_dicom_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "dicom"
    write_frame(source / "good.dcm", noise(10, 12))
    whole = write_frame(source / "bad.dcm", noise(10, 12))
    whole.write_bytes(whole.read_bytes()[:-30])
    report = autoseg.import_dataset(source, tmp_path / "out", format="dicom")
    assert report.cases == 1 and [one.id for one in report.failed] == ["bad"]
    (source / "worse.dcm").write_bytes(b"something else" * 100)
    report = autoseg.import_dataset(source, tmp_path / "once", format="dicom")
    assert sorted(one.id for one in report.failed) == ["bad", "worse"], "each is told once"
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no DICOM image"):
        autoseg.import_dataset(tmp_path / "empty", tmp_path / "none", format="dicom")
    assert not (tmp_path / "none").exists()


def test_a_damaged_slice_is_told_once_by_its_name_and_its_volume_is_left_out(tmp_path: Path) -> None:
    source = tmp_path / "dicom"
    for name in ("first", "second"):
        write_series(source / name, noise(5, 12, 14).astype(np.int16))
    slice_file = source / "second" / "IM002.dcm"
    slice_file.write_bytes(slice_file.read_bytes()[:400])
    report = autoseg.import_dataset(source, tmp_path / "out", format="dicom")
    (failed,) = report.failed
    assert report.cases == 1 and failed.id == "second"
    assert failed.reason.startswith("IM002.dcm: ") and failed.reason.endswith("no series of its folder is read without it")


def test_images_of_one_name_are_kept_apart(tmp_path: Path) -> None:
    source = tmp_path / "dicom"
    pictures = {name: noise(10, 12) + place for place, name in enumerate(("a/b.dcm", "a_b.dcm", "a/b.ima", "A_B.dicom"))}
    for name, array in pictures.items():
        write_frame(source / name, array)
    write_cine(source / "film.dcm", noise(3, 10, 12))
    write_frame(source / "film_f0.dcm", noise(10, 12) + 9)
    report = autoseg.import_dataset(source, tmp_path / "out", format="dicom", every=2)
    stored = {path.stem: read(path).array[0] for path in (tmp_path / "out" / "images").iterdir()}
    assert report.cases == len(stored) == 7 and len({name.casefold() for name in stored}) == 7
    for array in (*pictures.values(), noise(10, 12) + 9):
        assert sum(np.array_equal(array, one) for one in stored.values()) == 1
    renamed = [note for note in report.notes if "is the name of several images" in note]
    assert len(renamed) == 4 and any("the one of a/b.ima is called a_b_" in note for note in renamed)


def test_words_in_pixels_are_not_searched_and_that_is_said(tmp_path: Path) -> None:
    source = tmp_path / "dicom"
    for name, said in (("yes", "YES"), ("no", "NO"), ("silent", None)):
        write_frame(source / f"{name}.dcm", noise(10, 12), **({} if said is None else {"BurnedInAnnotation": said}))
    report = autoseg.import_dataset(source, tmp_path / "out", format="dicom")
    (told,) = [note for note in report.notes if "burned into" in note]
    assert "the pixels of 2 of 3 images were not searched" in told and "YES in 1, and not told in 1" in told
    for name in ("yes", "silent"):
        (source / f"{name}.dcm").unlink()
    report = autoseg.import_dataset(source, tmp_path / "sure", format="dicom")
    assert not [note for note in report.notes if "burned into" in note]


@pytest.mark.parametrize("slope", [1, 0.5])
def test_a_tilted_series_keeps_its_shear(tmp_path: Path, slope: float) -> None:
    """Slices go 1.5 mm up the rows with every 2 mm; whole numbers and others."""
    slices = noise(5, 12, 14).astype(np.int16)
    write_series(tmp_path / "dicom" / "ct", slices, step=(0, 1.5, 2.0), RescaleSlope=slope, RescaleIntercept=0)
    report = autoseg.import_dataset(tmp_path / "dicom", tmp_path / "out", format="dicom")
    (name,) = (path.name for path in (tmp_path / "out" / "images").iterdir())
    assert name.endswith(".nii.gz") and any("tilted by 36.9 degrees" in note for note in report.notes)
    imported, own = read(tmp_path / "out" / "images" / name), read(tmp_path / "dicom" / "ct")
    assert np.array_equal(imported.array, own.array) and imported.array.dtype == own.array.dtype
    np.testing.assert_allclose(imported.geometry.direction, own.geometry.direction, atol=1e-6)
    np.testing.assert_allclose(imported.geometry.direction[2::3], (0, 0.6, 0.8), atol=1e-6)
    assert imported.geometry.origin == pytest.approx((-10, -20, 30))
    assert imported.geometry.spacing_mm == pytest.approx((2.5, 0.6, 0.8))


def test_no_name_ends_as_that_of_a_channel_by_its_folder(tmp_path: Path) -> None:
    """What is called so by its owner stays: these are channels."""
    source = tmp_path / "dicom"
    write_series(source / "ct_one", noise(1, 12, 14).astype(np.int16), names=["0000.dcm"])
    write_frame(source / "pair_0001.dcm", noise(10, 12))
    write_series(source / "study", noise(3, 12, 14).astype(np.int16), number=1201)
    write_series(source / "study", noise(3, 12, 14).astype(np.int16), number=7, names=["a", "b", "c"])
    write_cine(source / "us" / "0001.dcm", noise(1, 10, 12).repeat(2, axis=0))
    report = autoseg.import_dataset(source, tmp_path / "out", format="dicom")
    assert sorted(path.name.split(".")[0] for path in (tmp_path / "out" / "images").iterdir()) == [
        "ct_one-0000", "pair_0001", "study_series-1201", "study_series_7", "us_0001_f0", "us_0001_f1",
    ]  # fmt: skip
    assert "names that would end as those of channels do have a hyphen: 2, such as ct_one-0000 for ct_one_0000" in report.notes
