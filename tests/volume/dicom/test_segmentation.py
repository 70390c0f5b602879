"""Masks as DICOM-SEG, read back with highdicom and with pydicom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom")
highdicom = pytest.importorskip("highdicom")

from autoseg.errors import DataError  # noqa: E402
from autoseg.volume import files  # noqa: E402
from autoseg.volume.dicom import planes_of  # noqa: E402
from autoseg.volume.dicom.segmentation import Origin, write_segmentation  # noqa: E402

from .written import CT_CLASS, PATIENT_NAME, region, write_enhanced, write_frame, write_series  # noqa: E402

ORIGIN = Origin("1.2.3", "0123456789abcdef", "3d_fullres")
STRUCTURES = {"Brain": (1,), "LV": (2,), "head": (1, 2)}
SHAPE = (4, 5, 6)


def labels() -> np.ndarray:
    """Slices 1 and 2 hold structures; 0 and 3 are empty."""
    found = np.zeros(SHAPE, np.uint8)
    found[1, 1:4, 2:5], found[2, 2, 3], found[2, 4, 0] = 1, 2, 1
    return found


def written(image: Path, mask: np.ndarray, **options: Any) -> Any:
    order = planes_of(image)
    path = image.parent / "seg.dcm"
    write_segmentation(path, mask, STRUCTURES, *order, origin=options.pop("origin", ORIGIN), **options)
    assert pydicom.dcmread(path).SOPClassUID.name == "Segmentation Storage"
    return highdicom.seg.segread(path)


def test_a_series_comes_back_with_masks_geometry_and_codes(tmp_path: Path) -> None:
    """The slices' files are named against their places."""
    write_series(tmp_path / "case", np.zeros(SHAPE), orientation=(0.8, 0.6, 0, -0.6, 0.8, 0), names=["d", "c", "b", "a"])
    found = written(tmp_path / "case", labels())
    volume = found.get_volume(combine_segments=False)
    expected = np.stack([np.isin(labels(), values) for values in STRUCTURES.values()], axis=-1)
    geometry = files.read_header(tmp_path / "case").geometry
    axes = np.reshape(geometry.direction, (3, 3))
    whole = np.zeros_like(expected)  # empty slices are not stored, and highdicom may count from above
    for index, frame in enumerate(volume.array):
        position = (volume.affine @ (index, 0, 0, 1))[:3]
        whole[round(float((position - geometry.origin) @ axes[:, 2] / 2.5))] = frame
    np.testing.assert_array_equal(whole, expected)
    np.testing.assert_allclose(volume.spacing, geometry.spacing_mm or (), atol=1e-6)
    np.testing.assert_allclose(volume.affine[:3, 1] / 0.6, axes[:, 1], atol=1e-6)
    np.testing.assert_allclose(volume.affine[:3, 2] / 0.8, axes[:, 0], atol=1e-6)
    segments = [found.get_segment_description(number) for number in (1, 2, 3)]
    assert [segment.segment_label for segment in segments] == ["Brain", "LV", "head"]
    assert [segment.segmented_property_type.value for segment in segments] == ["12738006", "LV", "69536005"]
    assert segments[1].segmented_property_type.scheme_designator == "99AUTOSEG"
    algorithm = segments[0].algorithm_identification[0]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("autoseg", "1.2.3")
    assert segments[0].algorithm_type.value == "AUTOMATIC"


def test_every_frame_refers_to_the_image_it_lies_on(tmp_path: Path) -> None:
    """As pydicom sees the file: one bit each, the patient of the images, and slice 1 on the second image from below."""
    paths = write_series(tmp_path / "case", np.zeros(SHAPE), step=(0, 0, -2.5))
    written(tmp_path / "case", labels())
    data = pydicom.dcmread(tmp_path / "seg.dcm")
    source = pydicom.dcmread(paths[2])  # the third file lies second from below
    assert (data.BitsAllocated, str(data.PatientName), data.StudyInstanceUID) == (1, PATIENT_NAME, source.StudyInstanceUID)
    assert data.SeriesInstanceUID != source.SeriesInstanceUID
    assert data.SeriesNumber == 1003
    assert data.FrameOfReferenceUID == source.FrameOfReferenceUID
    frames = {
        (
            int(group.SegmentIdentificationSequence[0].ReferencedSegmentNumber),
            float(group.PlanePositionSequence[0].ImagePositionPatient[2]),
        ): (
            group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID,
            frame,
        )
        for group, frame in zip(data.PerFrameFunctionalGroupsSequence, data.pixel_array, strict=True)
    }
    referred, frame = frames[1, 25.0]
    assert referred == source.SOPInstanceUID
    np.testing.assert_array_equal(frame, labels()[1] == 1)
    assert {uid for uid, _ in frames.values()} <= {pydicom.dcmread(path).SOPInstanceUID for path in paths}


def test_an_ultrasound_frame_comes_back(tmp_path: Path) -> None:
    """It has no place in space; the size of its pixels comes from its region."""
    path = write_frame(tmp_path / "us.dcm", np.zeros((*SHAPE[1:], 3), np.uint8), regions=[region(0.02, 0.03, (0, 0, 5, 4))])
    found = written(path, labels()[1], spacing_mm=files.read_header(path).spacing_mm)
    uid = pydicom.dcmread(path).SOPInstanceUID
    pixels = found.get_pixels_by_source_instance([uid], assert_missing_frames_are_empty=True)
    np.testing.assert_array_equal(pixels[0], np.stack([np.isin(labels()[1], values) for values in STRUCTURES.values()], axis=-1))
    measures = pydicom.dcmread(tmp_path / "seg.dcm").SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert [float(step) for step in measures.PixelSpacing] == pytest.approx([0.2, 0.3])


def test_a_picture_has_the_spacing_that_it_was_measured_with(tmp_path: Path) -> None:
    """0.7 / 3 mm of its region, in as many digits as the element holds, and not those of PixelSpacing."""
    steps = region(0.07 / 3, 0.03, (0, 0, 5, 4))
    path = write_frame(tmp_path / "us.dcm", np.zeros(SHAPE[1:], np.uint8), regions=[steps], PixelSpacing=[0.7, 0.6])
    written(path, labels()[1], spacing_mm=files.read_header(path).spacing_mm)
    measures = pydicom.dcmread(tmp_path / "seg.dcm").SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert [float(step) for step in measures.PixelSpacing] == pytest.approx([0.7 / 3, 0.3], rel=1e-12)


def test_a_single_slice_keeps_its_place(tmp_path: Path) -> None:
    (path,) = write_series(tmp_path / "case", np.zeros((1, 5, 6)), origin=(1.0, 2.0, 3.0))
    volume = written(path, labels()[1]).get_volume(segment_numbers=[1], combine_segments=False)
    np.testing.assert_array_equal(volume.array[0, ..., 0], labels()[1] == 1)
    assert volume.position == pytest.approx((1.0, 2.0, 3.0))


def test_an_enhanced_file_is_referred_to_by_frame(tmp_path: Path) -> None:
    """Its frames are not in the order of their places."""
    path = write_enhanced(tmp_path / "a.dcm", np.zeros(SHAPE), order=(2, 0, 3, 1))
    written(path, labels())
    data = pydicom.dcmread(tmp_path / "seg.dcm")
    seen = {}
    for group, frame in zip(data.PerFrameFunctionalGroupsSequence, data.pixel_array, strict=True):
        if group.SegmentIdentificationSequence[0].ReferencedSegmentNumber == 3:
            z = float(group.PlanePositionSequence[0].ImagePositionPatient[2])
            seen[round((z - 7.0) / 3.0)] = frame
            referred = group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber
            assert (2, 0, 3, 1)[int(referred) - 1] == round((z - 7.0) / 3.0)
    assert sorted(seen) == [1, 2]
    for place, frame in seen.items():
        np.testing.assert_array_equal(frame, labels()[place] > 0)


def test_tilted_slices_keep_their_places(tmp_path: Path) -> None:
    write_series(tmp_path / "case", np.zeros(SHAPE), step=(0, 1.5, 2.0))
    written(tmp_path / "case", labels())
    groups = pydicom.dcmread(tmp_path / "seg.dcm").PerFrameFunctionalGroupsSequence
    places = {tuple(float(x) for x in group.PlanePositionSequence[0].ImagePositionPatient) for group in groups}
    assert places == {(-10.0, -18.5, 32.0), (-10.0, -17.0, 34.0)}


def test_slices_that_lack_their_thickness_or_differ_in_the_last_digit_do(tmp_path: Path) -> None:
    paths = write_series(tmp_path / "case", np.zeros(SHAPE), SliceThickness=None, SpacingBetweenSlices=77.0)
    data = pydicom.dcmread(paths[2])
    data.ImageOrientationPatient = [1, 0.00001, 0, -0.00001, 1, 0]
    pydicom.dcmwrite(paths[2], data)
    written(tmp_path / "case", labels(), spacing_mm=(2.5, 0.6, 0.8))
    data = pydicom.dcmread(tmp_path / "seg.dcm")
    measures = data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert [float(step) for step in measures.PixelSpacing] == [0.6, 0.8]
    assert (float(measures.SliceThickness), float(measures.SpacingBetweenSlices)) == (2.5, 2.5)
    referred = {
        group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        for group in data.PerFrameFunctionalGroupsSequence
    }
    assert referred == {pydicom.dcmread(path).SOPInstanceUID for path in paths[1:3]}


def test_enhanced_files_may_repeat_for_each_frame_what_all_share(tmp_path: Path) -> None:
    path = write_enhanced(tmp_path / "a.dcm", np.zeros(SHAPE))
    data = pydicom.dcmread(path)
    shared = data.SharedFunctionalGroupsSequence[0]
    for group in data.PerFrameFunctionalGroupsSequence:
        group.PlaneOrientationSequence, group.PixelMeasuresSequence = (
            shared.PlaneOrientationSequence,
            shared.PixelMeasuresSequence,
        )
    del shared.PlaneOrientationSequence, shared.PixelMeasuresSequence
    pydicom.dcmwrite(path, data)
    assert files.read_header(path).spacing_mm == (3.0, 0.5, 0.5)
    found = written(path, labels())
    assert found.get_volume(segment_numbers=[3], combine_segments=False).array.sum() == (labels() > 0).sum()


def test_an_empty_mask_is_written_as_empty(tmp_path: Path) -> None:
    write_series(tmp_path / "case", np.zeros(SHAPE))
    found = written(tmp_path / "case", np.zeros(SHAPE, np.uint8))
    assert not found.pixel_array.any()
    assert found.number_of_segments == 3


def test_a_corrected_mask_is_called_semiautomatic(tmp_path: Path) -> None:
    write_series(tmp_path / "case", np.zeros(SHAPE))
    found = written(tmp_path / "case", labels(), origin=Origin("1", "m", "c", corrected=True))
    assert found.get_segment_description(1).algorithm_type.value == "SEMIAUTOMATIC"


def test_a_side_becomes_a_modifier(tmp_path: Path) -> None:
    write_series(tmp_path / "case", np.zeros(SHAPE))
    write_segmentation(tmp_path / "seg.dcm", labels(), {"left kidney": (1,)}, *planes_of(tmp_path / "case"), origin=ORIGIN)
    kind = pydicom.dcmread(tmp_path / "seg.dcm").SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0]
    assert kind.CodeMeaning == "Kidney"
    assert kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"


def test_images_without_identifying_elements_do(tmp_path: Path) -> None:
    gone = dict.fromkeys(("PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyTime"))
    write_series(tmp_path / "case", np.zeros(SHAPE), **gone)
    assert written(tmp_path / "case", labels()).PatientBirthDate in ("", None)


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    write_series(tmp_path / "case", np.zeros(SHAPE))
    with pytest.raises(DataError, match="seg: the mask has 3 x 5 x 6 pixels, its images have 4 x 5 x 6"):
        written(tmp_path / "case", labels()[:3])


def test_images_that_cannot_be_referred_to_are_told_without_the_patient(tmp_path: Path) -> None:
    path = write_frame(tmp_path / "a.dcm", np.zeros(SHAPE[1:], np.int16), uid=CT_CLASS, modality="CT")
    with pytest.raises(DataError, match=r"seg: a DICOM-SEG cannot refer to its images: .*Frame Of Reference UID") as raised:
        written(path, labels()[1])
    assert "lanted" not in str(raised.value)
    assert not (tmp_path / "seg.dcm").exists()
