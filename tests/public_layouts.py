"""Public sets as their publishers lay them out, with drawn images: names and folders are theirs, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image

SHAPE = (48, 64)
VOLUME = (8, 24, 20)


def drive(folder: Path) -> Path:
    """https://drive.grand-challenge.org/: images as TIFF, vessels and field of view as GIF."""
    for number in range(21, 25):
        _picture(folder / f"DRIVE/training/images/{number}_training.tif", number)
        _mask(folder / f"DRIVE/training/1st_manual/{number}_manual1.gif", _disc(6, number))
        _mask(folder / f"DRIVE/training/mask/{number}_training_mask.gif", _disc(23, 0))
    return folder


def busi(folder: Path) -> Path:
    """Al-Dhabyani et al. 2020: one folder for each class, some images with two masks, normal ones with an empty mask."""
    for group, number in (("benign", 3), ("malignant", 2), ("normal", 2)):
        for case in range(1, number + 1):
            name = folder / "Dataset_BUSI_with_GT" / group / f"{group} ({case}).png"
            _picture(name, case)
            _mask(name.with_name(f"{name.stem}_mask.png"), _disc(8, case) & (group != "normal"))
            if group == "benign" and case == 2:
                _mask(name.with_name(f"{name.stem}_mask_1.png"), _disc(3, -18))
    return folder


def isic(folder: Path) -> Path:
    """ISIC 2018, task 1: images and masks in folders of their own."""
    for number in range(4):
        name = f"ISIC_{number:07d}"
        _picture(folder / f"ISIC2018/ISIC2018_Task1-2_Training_Input/{name}.jpg", number)
        _mask(folder / f"ISIC2018/ISIC2018_Task1_Training_GroundTruth/{name}_segmentation.png", _disc(9, number))
    return folder


def kvasir(folder: Path) -> Path:
    """Kvasir-SEG (Jha et al. 2020): masks as JPEG in three equal channels."""
    for number in range(4):
        _picture(folder / f"Kvasir-SEG/images/cju{number}.jpg", number)
        mask = np.repeat(_disc(11, number)[..., None] * np.uint8(255), 3, 2)
        (folder / "Kvasir-SEG" / "masks").mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(folder / f"Kvasir-SEG/masks/cju{number}.jpg", quality=90)
    return folder


def brats(folder: Path) -> Path:
    """BraTS 2021: four channels, and values 1, 2 and 4 that lie within one another."""
    for number in range(1, 4):
        name = f"BraTS2021_{number:05d}"
        labels = np.zeros(VOLUME, np.uint8)
        labels[1:7, 4:20, 3:17], labels[2:6, 8:16, 6:14], labels[3:5, 10:13, 8:11] = 2, 1, 4
        for channel in ("flair", "t1", "t1ce", "t2"):
            _volume(
                folder / f"BraTS2021/{name}/{name}_{channel}.nii.gz",
                labels * 20 + np.random.default_rng(number).normal(size=VOLUME),
            )
        _volume(folder / f"BraTS2021/{name}/{name}_seg.nii.gz", labels)
    return folder


def lits(folder: Path) -> Path:
    """LiTS (Bilic et al. 2017): volumes and segmentations in one folder, numbered; 2, the tumour, lies in 1, the liver."""
    for number in range(3):
        labels = np.zeros(VOLUME, np.uint8)
        labels[1:7, 4:20, 3:17], labels[3:5, 10:13, 8:11] = 1, 2
        _volume(folder / f"LiTS/volume-{number}.nii", labels * 50 + np.random.default_rng(number).normal(size=VOLUME))
        _volume(folder / f"LiTS/segmentation-{number}.nii", labels)
    return folder


def acdc(folder: Path) -> Path:
    """ACDC (Bernard et al. 2018): two labelled frames of each patient beside the recording over time, which has no label."""
    for patient in ("patient001", "patient002"):
        for frame in ("frame01", "frame12"):
            labels = np.zeros(VOLUME, np.uint8)
            labels[1:7, 2:8, 3:17], labels[1:7, 10:20, 3:17], labels[1:7, 12:18, 5:15] = 1, 2, 3
            place = folder / "ACDC" / "training" / patient
            _volume(place / f"{patient}_{frame}.nii.gz", labels * 50 + np.random.default_rng(1).normal(size=VOLUME))
            _volume(place / f"{patient}_{frame}_gt.nii.gz", labels)
    return folder


def nuclei(folder: Path) -> Path:
    """Data Science Bowl 2018: a folder for each image, with a mask for each nucleus, all called by hashes."""
    for number in range(3):
        place = folder / "DSB2018" / "stage1_train" / f"{number}f{number}"
        _picture(place / "images" / f"{place.name}.png", number)
        for nucleus in range(number + 1):
            _mask(place / "masks" / f"{number}a{nucleus}.png", _disc(3, 8 * nucleus))
    return folder


def fives(folder: Path) -> Path:
    """FIVES (Jin et al. 2022): numbers with a letter for the disease, from 1 on in both parts."""
    for part, number in (("train", 3), ("test", 2)):
        for case in range(1, number + 1):
            _picture(folder / f"FIVES/{part}/Original/{case}_A.png", case)
            _mask(folder / f"FIVES/{part}/Ground truth/{case}_A.png", _disc(7, case))
    return folder


def stare(folder: Path) -> Path:
    """STARE (Hoover et al. 2000): PPM, with the drawings of two persons."""
    for case in range(1, 4):
        _picture(folder / f"STARE/stare-images/im000{case}.ppm", case)
        for person, moved in (("ah", 0), ("vk", 2)):
            _mask(folder / f"STARE/labels-{person}/im000{case}.{person}.ppm", _disc(7, case + moved))
    return folder


def refuge(folder: Path) -> Path:
    """REFUGE: the cup is black, the disc grey, and all else white."""
    for group, number in (("Glaucoma", 1), ("Glaucoma", 2), ("Non-Glaucoma", 1)):
        name = f"{'g' if group == 'Glaucoma' else 'n'}{number:04d}"
        _picture(folder / f"REFUGE/Training400/{group}/{name}.jpg", number)
        mask = np.where(_disc(3, number), 0, np.where(_disc(7, number), 128, 255)).astype(np.uint8)
        path = folder / f"REFUGE/Annotation-Training400/Disc_Cup_Masks/{group}/{name}.bmp"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(path)
    return folder


def idrid(folder: Path) -> Path:
    """IDRiD: a folder for each kind of lesion, with masks of the eyes alone that have it."""
    root = folder / "A. Segmentation"
    kinds = (("1. Microaneurysms", "MA"), ("2. Haemorrhages", "HE"), ("3. Hard Exudates", "EX"), ("4. Soft Exudates", "SE"))
    for number in range(1, 5):
        _picture(root / f"1. Original Images/a. Training Set/IDRiD_{number:02d}.jpg", number)
        for place, (kind, short) in enumerate(kinds):
            if number != 4 and (short != "SE" or number == 2):
                _mask(
                    root / f"2. All Segmentation Groundtruths/a. Training Set/{kind}/IDRiD_{number:02d}_{short}.tif",
                    _disc(3, 6 * place),
                )
    return folder


LAYOUTS = {
    "REFUGE": refuge,
    "IDRiD": idrid,
    "DRIVE": drive,
    "BUSI": busi,
    "ISIC 2018": isic,
    "Kvasir-SEG": kvasir,
    "BraTS 2021": brats,
    "LiTS": lits,
    "ACDC": acdc,
    "Data Science Bowl 2018": nuclei,
    "FIVES": fives,
    "STARE": stare,
}


def _disc(radius: int, moved: int) -> np.ndarray:
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return (rows - SHAPE[0] / 2) ** 2 + (columns - SHAPE[1] / 2 - moved % 25) ** 2 < radius**2


def _picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (*SHAPE, 3)).astype(np.uint8)).save(path)


def _mask(path: Path, inside: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(inside * np.uint8(255)).save(path)


def _volume(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(array.astype(np.float32) if array.dtype == float else array), str(path))
