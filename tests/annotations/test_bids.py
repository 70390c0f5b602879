"""BIDS: subjects, sidecars, label maps and masks of structures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autoseg.annotations import bids
from autoseg.annotations.base import MaskFile
from autoseg.errors import DataError


def write(root: Path, *names: str) -> Path:
    (root / "derivatives").mkdir(parents=True)
    (root / "dataset_description.json").write_text("{}")
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.ones((3, 4), np.uint8)).save(root / name)
    return root


def test_label_maps_and_masks(tmp_path: Path) -> None:
    root = write(
        tmp_path / "set", "sub-1/micr/sub-1_SEM.png", "sub-2/micr/sub-2_SEM.png", "sub-3/micr/sub-3_SEM.png",
        "derivatives/labels/sub-1/micr/sub-1_SEM_seg-axon-manual.png", "derivatives/labels/sub-1/micr/sub-1_SEM_label-myelin_mask.png",
        "derivatives/labels/sub-2/micr/sub-2_SEM_dseg.png", "derivatives/labels/sub-9/micr/sub-9_SEM_dseg.png",
    )  # fmt: skip
    (root / "sub-1/micr/sub-1_SEM.json").write_text(json.dumps({"PixelSize": [0.1, 0.2], "PixelSizeUnits": "um"}))
    assert bids.recognise(root) == "found dataset_description.json, sub-* and derivatives/"
    found = bids.read(root)
    first, second = found.images
    assert (first.name, first.subject, second.subject) == ("sub-1_SEM", "sub-1", "sub-2")
    assert first.spacing_mm == pytest.approx((2e-4, 1e-4)) and second.spacing_mm is None
    assert sorted(one.label for one in first.annotations) == ["axon", "myelin"] and first.label_map is None
    assert all(isinstance(one.shape, MaskFile) for one in first.annotations)
    assert second.label_map is not None and second.label_map.name == "sub-2_SEM_dseg.png"
    assert len(found.notes) == 2 and "1 labels are named as no image is" in found.notes[0] and "sub-3_SEM" in found.notes[1]


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        ("_seg", "map"),
        ("_seg-manual", "map"),
        ("_dseg", "map"),
        ("_lesion-manual", "lesion"),
        ("_desc-tumor_mask", "tumor"),
        ("_seg-gm", "gm"),
        ("_seg-axon-manual", "axon"),
        ("_gmseg-manual", "gmseg"),
        ("_softseg", "softseg"),
        ("_label-SC_seg", "SC"),
        ("_label-GM_desc-rater_probseg", "GM"),
        ("_space-orig_label-WM_mask", "WM"),
        ("_space-orig_desc-aparcaseg_dseg", "map"),
    ],
)
def test_endings(tmp_path: Path, ending: str, kind: str) -> None:
    root = write(tmp_path / "set", "sub-1/sub-1_T1w.png", f"derivatives/sub-1/sub-1_T1w{ending}.png")
    (image,) = bids.read(root).images
    assert (image.label_map is not None) == (kind == "map")
    assert [one.label for one in image.annotations] == ([] if kind == "map" else [kind])


def test_labels_beside_images_and_in_the_place_of_their_last_word(tmp_path: Path) -> None:
    """As in FeTA, without derivatives; `sub-3` has two images that its label may mean, and none is guessed."""
    root = tmp_path / "set"
    names = [f"sub-{number}/anat/sub-{number}_rec-mial_{word}.png" for number in (1, 2) for word in ("T2w", "dseg")]
    names += [f"sub-3/anat/sub-3_{word}.png" for word in ("T1w", "T2w", "desc-brain_mask")]
    names += ["sub-4/anat/sub-4_T1w.png", "derivatives/brains/sub-4/sub-4_desc-brain_mask.png"]
    write(root, *names)
    (root / "dataset_description.json").unlink()
    assert bids.recognise(root) is None
    (root / "participants.tsv").touch()
    assert bids.recognise(root) == "found participants.tsv, sub-* and derivatives/"
    found = bids.read(root)
    assert [image.name for image in found.images] == ["sub-1_rec-mial_T2w", "sub-2_rec-mial_T2w", "sub-4_T1w"]
    assert [image.label_map and image.label_map.name for image in found.images] == [
        "sub-1_rec-mial_dseg.png",
        "sub-2_rec-mial_dseg.png",
        None,
    ]
    assert found.labels == ("brain",) and "1 labels are named as no image is, or as several are" in found.notes[0]
    shutil.rmtree(root / "derivatives")
    assert bids.recognise(root) == "found participants.tsv, sub-* and sub-1_rec-mial_dseg.png"


def test_derivatives_that_are_no_labels(tmp_path: Path) -> None:
    """Filtered and resampled images, centre lines, points, labels on another grid, and a name that only begins as an image's."""
    endings = (
        "_desc-preproc_T1w",
        "_space-MNI_T1w",
        "_centerline",
        "_desc-preproc",
        "_label-lesion",
        "_space-MNI_dseg",
        "_mtr",
        "x_dseg",
    )
    others = [f"derivatives/sub-1/sub-1_T1w{ending}.png" for ending in endings]
    root = write(tmp_path / "set", "sub-1/sub-1_T1w.png", "sub-2/sub-2_T1w.png", "derivatives/sub-2/sub-2_T1w_dseg.png", *others)
    found = bids.read(root)
    assert [one.name for one in found.images] == ["sub-2_T1w"] and found.labels == () and not found.faults
    assert found.notes[0].startswith(
        "8 files of derivatives/ are by their names neither label maps nor masks, and are left out, such as"
    )
    assert found.notes[1] == "1 images have no label and are left out, such as sub-1_T1w"
    (root / "derivatives/sub-2/sub-2_T1w_dseg.png").unlink()
    with pytest.raises(DataError, match="is named as it is"):
        bids.read(root)


def test_several_labels_of_one_image(tmp_path: Path) -> None:
    stem = "sub-1/sub-1_T1w"
    names = [f"derivatives/{rater}/{stem}_label-lesion_mask.png" for rater in "ab"]
    root = write(tmp_path / "set", f"{stem}.png", *names)
    (image,) = bids.read(root).images
    assert [one.shape for one in image.annotations] == [MaskFile(root / names[0])], "masks of two raters are not joined"
    (fault,) = bids.read(root).faults
    assert fault.case == "sub-1_T1w" and "which one counts is not known" in fault.message


@pytest.mark.parametrize(
    "sidecar",
    [
        {"PixelSize": [0.1, 0.2]},
        {"PixelSize": [0.1, 0.2], "PixelSizeUnits": "px"},
        {"PixelSize": [None, 1], "PixelSizeUnits": "um"},
    ],
)
def test_pixel_sizes_of_no_known_unit(tmp_path: Path, sidecar: dict[str, object]) -> None:
    root = write(tmp_path / "set", "sub-1/sub-1_SEM.png", "derivatives/sub-1/sub-1_SEM_dseg.png")
    (root / "sub-1/sub-1_SEM.json").write_text(json.dumps(sidecar))
    found = bids.read(root)
    assert found.images[0].spacing_mm is None
    assert [("without PixelSizeUnits" in note) for note in found.notes] == [True] * ("PixelSizeUnits" not in sidecar)


def test_sets_without_labels(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file below .*derivatives or beside an image is named as it is"):
        bids.read(write(tmp_path / "set", "sub-1/sub-1_T1w.png"))
    with pytest.raises(DataError, match="holds no image below sub-"):
        bids.read(write(tmp_path / "empty"))


def test_electron_microscopy_as_it_is_published(shared_data: Path) -> None:
    found = bids.read(shared_data / "data_axondeepseg_sem")
    assert sorted(found.labels) == ["axon", "axonmyelin", "myelin"] and len(found.images) == 3
    assert [one.subject for one in found.images] == ["sub-rat2", "sub-rat4", "sub-rat6"]
    assert found.images[0].spacing_mm == pytest.approx((9.3e-5, 9.3e-5))
