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
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no DICOM image"):
        autoseg.import_dataset(tmp_path / "empty", tmp_path / "none", format="dicom")
    assert not (tmp_path / "none").exists()
