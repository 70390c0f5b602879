"""Which DICOM objects hold no image, by the UIDs of their classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pydicom")

from pydicom.uid import UID_dictionary

from autoseg.volume.dicom import list_images, read
from autoseg.volume.dicom.other_objects import what_else

from .written import write_frame

NAMES = {uid: name for uid, (name, kind, *_) in UID_dictionary.items() if kind == "SOP Class" and "Storage" in name}
X_RAYS = [
    "1.2.840.10008.5.1.4.1.1.1.1",  # of the chest and the like
    "1.2.840.10008.5.1.4.1.1.1.2",  # of the breast
    "1.2.840.10008.5.1.4.1.1.1.3",  # of teeth
    "1.2.840.10008.5.1.4.1.1.13.1.4",  # of the breast, from all around
    "1.2.840.10008.5.1.4.1.1.14.1",  # optical, in vessels
]


@pytest.mark.parametrize("uid", X_RAYS)
def test_an_image_for_presentation_is_an_image(tmp_path: Path, uid: str) -> None:
    assert NAMES[uid].endswith("For Presentation")
    path = write_frame(tmp_path / "a.dcm", np.full((4, 5), 9, np.uint8), uid=uid, modality="DX")
    assert read(path).array.tolist() == np.full((1, 4, 5), 9).tolist()
    assert [image.name for image in list_images(tmp_path).images] == ["a"]


def test_no_class_of_images_is_taken_for_something_else() -> None:
    images = [uid for uid, name in NAMES.items() if "Image Storage" in name]
    assert len(images) > 50
    assert [NAMES[uid] for uid in images if what_else(uid, "") is not None] == []


def test_classes_without_images_are_known_for_what_they_are() -> None:
    told = {
        "Presentation State Storage": "how an image is shown",
        "SR Storage": "a structured report",
        "Waveform Storage": "a waveform",
        "RT Plan Storage": "an RT plan",
        "RT Ion Plan Storage": "an RT plan",
        "RT Dose Storage": "an RT dose",
        "RT Structure Set Storage": "RT structures",
        "Segmentation Storage": "a DICOM segmentation",
        "MR Spectroscopy Storage": "spectra",
        "Encapsulated PDF Storage": "a document",
        "Media Storage Directory Storage": "DICOMDIR",
    }
    for ending, words in told.items():
        found = [what_else(uid, "") for uid, name in NAMES.items() if name.endswith(ending)]
        assert found and all(one is not None and words in one for one in found), ending


def test_segmentations_are_known_by_their_modality_too() -> None:
    assert "a mask and no image" in str(what_else("1.2.3", "SEG"))
    assert what_else("1.2.3", "OT") is what_else(None, "") is None
