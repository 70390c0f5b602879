"""Binary masks for each class: in folders, beside the images, several of a class, and as retina sets have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from autoseg.annotations import binary_per_class, colour_masks
from autoseg.annotations.base import ReadOptions
from autoseg.annotations.painting import paint, region_values
from autoseg.errors import DataError
from tests.annotations.pictures import save


def row(*values: int) -> list[list[int]]:
    return [list(values)]


def test_a_folder_for_each_class_and_masks_that_overlap(tmp_path: Path) -> None:
    for name in ("a", "sub/b", "without"):
        save(tmp_path / f"images/{name}.jpg", row(9, 9, 9))
    save(tmp_path / "masks/head/a.png", row(255, 255, 0))
    save(tmp_path / "masks/head/sub/b.png", row(0, 0, 255))
    save(tmp_path / "masks/csp/a.png", row(0, 1, 0))
    assert binary_per_class.recognise(tmp_path) == "found masks/ with a folder for each of csp, head"
    found = binary_per_class.read(tmp_path)
    assert found.labels == ("csp", "head") and [image.name for image in found.images] == ["a.jpg", "sub/b.jpg"]
    labels = paint(found.images[0].annotations, (1, 3), found.labels, "regions").labels
    assert labels.tolist() == [[2, 3, 0]] and region_values(found.labels, [2, 3]) == {"csp": (3,), "head": (2, 3)}
    assert [str(fault) for fault in found.faults] == [f"without.jpg: {binary_per_class.WITHOUT_MASK}"]


def test_subsets_are_no_classes(tmp_path: Path) -> None:
    save(tmp_path / "masks/train/a.png", row(255))
    save(tmp_path / "masks/val/b.png", row(255))
    assert binary_per_class.recognise(tmp_path) is None


def test_folders_that_the_images_have_too_are_no_classes(tmp_path: Path) -> None:
    for patient in ("p1", "p2"):
        save(tmp_path / f"images/{patient}/a.png", row(9))
        save(tmp_path / f"masks/{patient}/a.png", row(255))
    assert binary_per_class.recognise(tmp_path) is None and colour_masks.recognise(tmp_path)


def test_classes_at_the_end_of_names(tmp_path: Path) -> None:
    """`p_1` is an image of its own, since no class is a number; `p_1_LV` is its mask, not one of `p`."""
    for name in ("p", "p_1", "q"):
        save(tmp_path / f"{name}.png", row(9, 9))
    for name in ("p_Brain", "p_left_LV", "p_1_LV", "q_Brain"):
        save(tmp_path / f"{name}.png", row(1, 0))
    found = binary_per_class.read(tmp_path)
    told = [(image.name, [one.label for one in image.annotations]) for image in found.images]
    assert told == [("p.png", ["Brain", "left_LV"]), ("p_1.png", ["LV"]), ("q.png", ["Brain"])]
    assert found.labels == ("Brain", "LV", "left_LV") and not found.faults


def busi(folder: Path) -> None:
    """The names of the breast ultrasound set, in which normal images have masks without a pixel."""
    for group, masks in (("benign", 2), ("malignant", 1), ("normal", 1)):
        save(folder / f"{group}/{group} (1).png", np.full((1, 3, 3), 90))
        for number in range(masks):
            end = f"_{number}" if number else ""
            picture = Image.fromarray(np.array(row(*(int(place == number and group != "normal") for place in range(3))), bool))
            picture.save(folder / f"{group}/{group} (1)_mask{end}.png")


def test_several_masks_of_one_class(tmp_path: Path) -> None:
    busi(tmp_path)
    assert binary_per_class.recognise(tmp_path) == "found benign (1)_mask.png as a mask of benign (1).png"
    found = binary_per_class.read(tmp_path)
    assert found.labels == ("mask",) and not found.faults
    assert [image.name for image in found.images] == [f"{group}/{group} (1).png" for group in ("benign", "malignant", "normal")]
    assert found.notes == ("the structure is called mask, as its masks are; --only NAME=mask gives it a name",)
    maps = [paint(image.annotations, (1, 3), found.labels).labels.tolist() for image in found.images]
    assert maps == [[[1, 1, 0]], [[1, 0, 0]], [[0, 0, 0]]]
    by_folder = binary_per_class.read(tmp_path, ReadOptions(folders_are_labels=True))
    assert by_folder.labels == ("benign", "malignant", "normal")


def test_a_mask_whose_image_was_lost_is_no_image(tmp_path: Path) -> None:
    busi(tmp_path)
    (tmp_path / "benign" / "benign (1).png").unlink()
    (tmp_path / "malignant" / "malignant (1)_mask.png").unlink()
    faults = {fault.case: fault.message for fault in binary_per_class.read(tmp_path).faults}
    told = "is by its name a mask of benign/benign (1), and there is no such image; add the image, or remove the mask"
    assert faults["benign/benign (1)_mask.png"] == told
    assert faults["malignant/malignant (1).png"] == binary_per_class.WITHOUT_MASK


def test_masks_in_a_folder_of_their_own(tmp_path: Path) -> None:
    """As in ISIC 2017, whose superpixels lie beside the images; a name that two images have is nobody's."""
    for name in ("a", "b"):
        save(tmp_path / f"Data/{name}.png", row(9, 9, 9))
        save(tmp_path / f"Data/{name}_superpixels.png", row(1, 2, 3))
        save(tmp_path / f"Truth/{name}_segmentation.png", row(0, 255, 0))
    found = binary_per_class.read(tmp_path)
    assert found.labels == ("segmentation", "superpixels") and not found.faults
    assert [image.name for image in found.images] == ["Data/a.png", "Data/b.png"]
    save(tmp_path / "More/b.png", row(9, 9, 9))
    assert "Truth/b_segmentation.png" in {fault.case for fault in binary_per_class.read(tmp_path).faults}


def test_retina_sets_with_gif_masks(tmp_path: Path) -> None:
    """As in DRIVE. White comes first in the palette of this GIF, so its places would say the opposite of its colours."""
    Image.fromarray(np.full((1, 3, 3), 90, np.uint8)).save(save(tmp_path / "images/21_training.tif", row(0)))
    (tmp_path / "1st_manual").mkdir()
    vessels = Image.fromarray(np.array(row(1, 0, 1), np.uint8), "P")
    vessels.putpalette([255, 255, 255, 0, 0, 0])
    vessels.save(tmp_path / "1st_manual/21_manual1.gif")
    (tmp_path / "mask").mkdir()
    Image.fromarray(np.array(row(0, 255, 255), np.uint8)).save(tmp_path / "mask/21_training_mask.gif")
    assert binary_per_class.recognise(tmp_path) == "found 21_manual1.gif as a mask of 21_training.tif"
    found = binary_per_class.read(tmp_path)
    (image,) = found.images
    assert image.name == "images/21_training.tif" and found.labels == ("manual1", "mask") and not found.faults
    drawn = {one.label: paint([one], (1, 3), [one.label]).labels.tolist() for one in image.annotations}
    assert drawn == {"manual1": [[0, 1, 0]], "mask": [[0, 1, 1]]}


def test_two_observers(tmp_path: Path) -> None:
    for name in ("Image_01L", "Image_01L_1stHO", "Image_01L_2ndHO"):
        save(tmp_path / f"{name}.png", row(1, 0))
    found = binary_per_class.read(tmp_path)
    assert found.labels == ("1stHO", "2ndHO") and [image.name for image in found.images] == ["Image_01L.png"]


def test_real_retinas(shared_data: Path) -> None:
    found = binary_per_class.read(shared_data / "CHASEDB1")
    assert found.labels == ("1stHO", "2ndHO") and len(found.images) == 20 and not found.faults
    first = found.images[0]
    assert first.name == "Image_01L.jpg"
    shares = [paint([one], (960, 999), [one.label]).labels.mean() for one in first.annotations]
    assert all(0.05 < share < 0.15 for share in shares)


def test_outlines_of_hc18_are_no_masks(tmp_path: Path) -> None:
    for name in ("001_HC", "001_2HC", "001_HC_Annotation", "001_2HC_Annotation"):
        save(tmp_path / f"{name}.png", row(1, 0))
    assert binary_per_class.recognise(tmp_path) is None


def test_what_is_no_set_of_binary_masks(tmp_path: Path) -> None:
    assert binary_per_class.recognise(tmp_path) is None
    with pytest.raises(DataError, match="holds no binary masks; put them into masks/<class>/"):
        binary_per_class.read(tmp_path)
    for name in ("a", "b", "c", "a_x"):
        save(tmp_path / f"{name}.png", row(1))
    assert binary_per_class.recognise(tmp_path) is None, "of one image in three there is a mask"
    save(tmp_path / "b_x.jpg", row(1))
    found = binary_per_class.read(tmp_path)
    assert [fault.case for fault in found.faults] == [
        "b.png",
        "c.png",
    ] and "b_x.jpg is JPEG, which changes values" in found.faults[0].message
