"""DICOM objects that come along with images and hold none: which they are, by the UIDs of their classes, and what to do with them.

Names of classes do not tell: those of X-rays end in "For Presentation", as presentation states begin.
"""

from __future__ import annotations

STORAGE = "1.2.840.10008.5.1.4.1.1."
KINDS = {  # a UID, or with a dot at its end the beginning of several
    "1.2.840.10008.1.3.10": "is a directory of other files (DICOMDIR); give the folder with the images",
    f"{STORAGE}4.2": "holds spectra and no image; leave it out",
    f"{STORAGE}9.": "holds a waveform and no image; leave it out",
    f"{STORAGE}11.": "tells how an image is shown and holds none; leave it out",
    f"{STORAGE}66.4": "is a DICOM segmentation, which is a mask and no image; convert it to NIfTI to use it as a label",
    f"{STORAGE}66.5": "is a DICOM segmentation of surfaces, which holds no image; leave it out",
    f"{STORAGE}66.7": "is a DICOM segmentation, which is a mask and no image; convert it to NIfTI to use it as a label",
    f"{STORAGE}88.": "is a structured report, which holds no image; leave it out",
    f"{STORAGE}104.": "holds a document and no image; leave it out",
    f"{STORAGE}481.2": "is an RT dose, which is no image to segment; leave it out",
    f"{STORAGE}481.3": "holds RT structures, which are outlines and no image; convert them to a label map",
    f"{STORAGE}481.5": "is an RT plan, which holds no image; leave it out",
    f"{STORAGE}481.8": "is an RT plan, which holds no image; leave it out",
}
OF_MODALITY = {"SEG": KINDS[f"{STORAGE}66.4"]}  # whatever the class: private ones, and those that are newer than this table


def what_else(class_uid: str | None, modality: str) -> str | None:
    """What an object is that holds no image to segment; None of every other one."""
    uid = str(class_uid or "")
    found = next((told for kind, told in KINDS.items() if uid == kind or (kind.endswith(".") and uid.startswith(kind))), None)
    return found or OF_MODALITY.get(modality)
