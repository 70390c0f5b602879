"""From DICOM to masks and back, and that nothing of the patient is left on the way. Networks that were never trained will do."""

from __future__ import annotations

import csv
import logging
from pathlib import Path

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom")
highdicom = pytest.importorskip("highdicom")

from PIL import Image  # noqa: E402

import autoseg  # noqa: E402
from autoseg.errors import DataError, RunFolderError  # noqa: E402
from autoseg.layouts.mm_table import read_spacings  # noqa: E402
from autoseg.pipeline import plan, preprocess  # noqa: E402
from autoseg.volume.files import read, read_header, write_labels  # noqa: E402
from tests.volume.dicom.written import CR_CLASS, PATIENT_ID, PLANTED, region, write_cine, write_frame, write_series  # noqa: E402

from .runs import run_of  # noqa: E402

SHAPE = (40, 48)


def noise(seed: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 255, shape).astype(np.uint8)


def frames(folder: Path) -> Path:
    write_frame(folder / "a.dcm", noise(0), regions=[region(0.05, 0.04, (0, 0, 47, 39))])
    write_frame(folder / "IM2", noise(1), PixelSpacing=[0.5, 0.5])
    return folder


def predicted(run: Path, images: Path, out: Path) -> autoseg.pipeline.Predictions:
    return autoseg.predict(run, images, out, engine="torch-float32")


def left_of_the_patient(*folders: Path) -> list[str]:
    """Words of the patient in any file of these folders, as text or as bytes, names of files included."""
    found = []
    for folder in folders:
        for file in (file for file in folder.rglob("*") if file.is_file()):
            content = file.read_bytes().decode("latin-1") + str(file)
            found += [f"{word} in {file.name}" for word in PLANTED if word in content]
    return found


def test_frames_become_png_masks_with_a_note_of_their_millimetres(tmp_path: Path) -> None:
    images, out = frames(tmp_path / "images"), tmp_path / "out"
    predictions = predicted(run_of(tmp_path / "run", rank=2, spacing=(0.5, 0.5)), images, out)
    assert {case.id: (case.status, case.mask) for case in predictions.cases} == {
        "a": ("done", "a.png"),
        "IM2": ("done", "IM2.png"),
    }
    assert {case.id: case.spacing_mm for case in predictions.cases} == {"a": pytest.approx((0.5, 0.4)), "IM2": (0.5, 0.5)}
    assert read(out / "a.png").array.shape == (1, *SHAPE)
    noted = read_spacings(out / "mask_pixel_size.csv", {"a": ["a.png"], "IM2": ["IM2.png"]})
    assert noted.faults == []
    assert noted.values == {"a": pytest.approx((0.5, 0.4)), "IM2": (0.5, 0.5)}
    with (out / "mask_pixel_size.csv").open(newline="") as file:
        assert next(csv.reader(file)) == ["filename", "pixel size y (mm)", "pixel size x (mm)"]


def test_pictures_get_no_such_note(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.fromarray(noise(0)).save(tmp_path / "images" / "a.png")
    predicted(run_of(tmp_path / "run", rank=2), tmp_path / "images", tmp_path / "out")
    assert not (tmp_path / "out" / "mask_pixel_size.csv").exists()


def test_a_series_becomes_a_nifti_mask_where_it_lies(tmp_path: Path) -> None:
    write_series(tmp_path / "studies" / "case_1", noise(0, (6, 18, 20)), orientation=(0, 1, 0, 0, 0, -1))
    run = run_of(tmp_path / "run", rank=3, spacing=(2.5, 0.6, 0.8), channels=("CT",))
    predictions = predicted(run, tmp_path / "studies", tmp_path / "out")
    assert [(case.id, case.status, case.mask) for case in predictions.cases] == [("case_1", "done", "case_1.nii.gz")]
    image, mask = (read_header(path) for path in (tmp_path / "studies" / "case_1", tmp_path / "out" / "case_1.nii.gz"))
    assert mask.shape == image.shape == (6, 18, 20)
    np.testing.assert_allclose(mask.geometry.direction, image.geometry.direction, atol=1e-6)
    np.testing.assert_allclose(mask.geometry.origin, image.geometry.origin, atol=1e-4)
    again = predicted(run, tmp_path / "studies", tmp_path / "out")
    assert again.cases[0].seconds == predictions.cases[0].seconds  # kept, not predicted again
    assert not (tmp_path / "out" / "mask_pixel_size.csv").exists()


def test_a_cine_fails_by_its_name_and_a_doubt_about_the_size_is_a_warning(tmp_path: Path) -> None:
    write_cine(tmp_path / "images" / "film.dcm", np.stack([noise(index) for index in range(3)]))
    write_frame(tmp_path / "images" / "chest.dcm", noise(4), uid=CR_CLASS, modality="CR", ImagerPixelSpacing=[0.5, 0.5])
    cases = {case.id: case for case in predicted(run_of(tmp_path / "run", rank=2), tmp_path / "images", tmp_path / "out").cases}
    assert cases["film"].status == "failed"
    assert "autoseg import SRC DST --from dicom" in (cases["film"].error or "")
    assert cases["chest"].status == "done"
    assert "at the detector" in cases["chest"].warnings[0]


def test_masks_go_back_as_dicom_seg(tmp_path: Path) -> None:
    images, out = frames(tmp_path / "images"), tmp_path / "out"
    predictions = predicted(run_of(tmp_path / "run", rank=2), images, out)
    mask = read(out / "a.png").array[0]
    assert {one.id: one.error for one in autoseg.export_masks(out)} == {"a": None, "IM2": None}
    found = highdicom.seg.segread(out / "dicom-seg" / "a.dcm")
    uid = pydicom.dcmread(images / "a.dcm").SOPInstanceUID
    pixels = found.get_pixels_by_source_instance([uid], assert_missing_frames_are_empty=True)[0]
    np.testing.assert_array_equal(pixels[..., 0], mask > 0)
    names = [found.get_segment_description(number).segment_label for number in found.segment_numbers]
    assert names == [structure.name for structure in (*predictions.targets, *predictions.derived)]
    assert found.PatientID == PATIENT_ID
    assert [one.error for one in autoseg.export_masks(out)] == [
        f"{out / 'dicom-seg' / name} exists already; give another folder, or --overwrite to replace it"
        for name in ("IM2.dcm", "a.dcm")
    ]
    write_labels(out / "a.png", np.flipud(mask), read_header(out / "a.png").geometry)  # corrected by hand
    assert [one.error for one in autoseg.export_masks(out, overwrite=True)] == [None, None]
    kinds = {
        name: highdicom.seg.segread(out / "dicom-seg" / f"{name}.dcm").get_segment_description(1).algorithm_type.value
        for name in ("a", "IM2")
    }
    assert kinds == {"a": "SEMIAUTOMATIC", "IM2": "AUTOMATIC"}


def test_a_mask_with_values_of_no_structure_is_refused(tmp_path: Path) -> None:
    images, out = frames(tmp_path / "images"), tmp_path / "out"
    predicted(run_of(tmp_path / "run", rank=2), images, out)
    mask = read(out / "a.png").array[0]
    mask[:2, :2], mask[5, 5] = 9, 200
    write_labels(out / "a.png", mask, read_header(out / "a.png").geometry)
    done = {one.id: one.error for one in autoseg.export_masks(out)}
    assert done == {"a": "its mask holds 9, 200, which the model does not paint; mend the mask, or predict it again", "IM2": None}


def test_a_table_of_millimetres_goes_into_dicom_seg_too(tmp_path: Path) -> None:
    images, out = frames(tmp_path / "images"), tmp_path / "out"
    (images / "mm.csv").write_text("filename,pixel size (mm)\na.dcm,0.25\nIM2,0.5\n")
    run = run_of(tmp_path / "run", rank=2, spacing=(0.5, 0.5))
    autoseg.predict(run, images, out, engine="torch-float32", spacing=str(images / "mm.csv"))
    autoseg.export_masks(out)
    for name, size in (("a", 0.25), ("IM2", 0.5)):
        groups = pydicom.dcmread(out / "dicom-seg" / f"{name}.dcm").SharedFunctionalGroupsSequence[0]
        assert [float(step) for step in groups.PixelMeasuresSequence[0].PixelSpacing] == [size, size]


def test_what_cannot_go_back_is_told_and_the_rest_is_written(tmp_path: Path) -> None:
    images, out = frames(tmp_path / "images"), tmp_path / "out"
    write_cine(images / "film.dcm", np.stack([noise(index) for index in range(3)]))
    Image.fromarray(noise(5)).save(images / "photo.png")
    predicted(run_of(tmp_path / "run", rank=2), images, out)
    (images / "IM2").unlink()
    done = {one.id: one.error for one in autoseg.export_masks(out, tmp_path / "segs")}
    assert done["a"] is None
    assert "there is no mask, as its prediction failed" in (done["film"] or "")
    assert "its image is not DICOM" in (done["photo"] or "")
    assert "or is gone" in (done["IM2"] or "")
    assert [path.name for path in (tmp_path / "segs").iterdir()] == ["a.dcm"]


def test_masks_of_pictures_have_nothing_to_refer_to(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.fromarray(noise(0)).save(tmp_path / "images" / "a.png")
    predicted(run_of(tmp_path / "run", rank=2), tmp_path / "images", tmp_path / "out")
    with pytest.raises(DataError, match="none of these masks was made from DICOM images"):
        autoseg.export_masks(tmp_path / "out")
    with pytest.raises(RunFolderError, match=r"has no predictions\.json"):
        autoseg.export_masks(tmp_path / "images")


def test_nothing_of_the_patient_is_written_or_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """A data set that is planned and prepared, frames and series that are predicted, and failures among them; the log at its most talkative."""
    data, images, series = tmp_path / "data", frames(tmp_path / "images"), tmp_path / "series"
    (data / "labels").mkdir(parents=True)
    for index in range(5):
        write_frame(data / "images" / f"c{index}.dcm", noise(index), regions=[region(0.05, 0.05, (0, 0, 47, 39))])
        Image.fromarray((noise(index) > 99).astype(np.uint8)).save(data / "labels" / f"c{index}.png")
    write_series(series / "good", noise(0, (6, 18, 20)))
    write_series(series / "odd", noise(0, (6, 18, 20)))[2].unlink()
    (images / "bad.dcm").write_bytes((images / "a.dcm").read_bytes()[:-900])
    runs = run_of(tmp_path / "run_2d", rank=2, spacing=(0.5, 0.5)), run_of(tmp_path / "run_3d", rank=3, channels=("CT",))
    caplog.clear()
    capfd.readouterr()
    with caplog.at_level(logging.DEBUG):
        plan(data, tmp_path / "planned", preset="nnunet", workers=1)
        preprocess(tmp_path / "planned", workers=1)
        found = predicted(runs[0], images, tmp_path / "out_2d"), predicted(runs[1], series, tmp_path / "out_3d")
        autoseg.export_masks(tmp_path / "out_2d", tmp_path / "segs")
    assert [[case.id for case in one.cases if case.status == "failed"] for one in found] == [["bad"], ["odd"]]
    assert len(list((tmp_path / "segs").iterdir())) == 2
    assert left_of_the_patient(data / "images")  # the search finds what is there
    written = [tmp_path / name for name in ("planned", "run_2d", "run_3d", "out_2d", "out_3d")]
    assert sum(1 for folder in written for file in folder.rglob("*.json") if file.is_file()) > 6
    assert left_of_the_patient(*written) == []
    said = caplog.text + "".join(capfd.readouterr())
    assert [word for word in PLANTED if word in said] == []
    uids = [pydicom.dcmread(path).SeriesInstanceUID for path in (images / "a.dcm", series / "good" / "IM000.dcm")]
    contents = [file.read_bytes() for folder in written for file in folder.rglob("*") if file.is_file()]
    assert [uid for uid in uids for content in contents if uid.encode() in content] == []
