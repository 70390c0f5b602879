"""Writes the layout of Zenodo 8265464 with small images: all four groups, their own spellings, zipped or unpacked."""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 33, 48
COLOURS = {"Brain": (255, 0, 0), "CSP": (0, 255, 0), "LV": (0, 0, 255)}
LABELMAP = "# label:color_rgb:parts:actions\n" + "".join(f"{n}:{c[0]},{c[1]},{c[2]}::\n" for n, c in COLOURS.items())

Packing = Literal["unpacked", "masks zipped", "groups zipped", "one zip"]


@dataclass(frozen=True)
class WrittenGroup:
    folder: str
    images: str
    masks: str
    table: str | None
    names: tuple[str, ...]
    header: str = "Label,Pixel in mm"
    bom: bool = False
    csp: tuple[int, int, int] = COLOURS["CSP"]
    foreign: tuple[str, ...] = ()


GROUPS = (
    WrittenGroup(
        "Trans-thalamic", "Trans-thalamic", "Trans-thalamic-Segmentation", "Trans-Thalamic-Pixel-Size.csv",
        ("Patient00188_Plane3_2_of_3", "Patient00188_Plane3_3_of_3", "Patient00216_Plane3_2_of_5"),
        header="Label,Pixel  in mm", bom=True, foreign=("Trans-thalamic-PASCAL", "Trans-thalamic-Cityscapes", "Trans-thalamic-YOLO"),
    ),
    WrittenGroup(
        "Trans-cerebellum", "Trans-cerebellum", "Trans-cerebellum-Segmentation", "Trans-cerebellum-Pixel-Size.csv",
        ("Patient00188_Plane2_1_of_2", "Patient00305_Plane2_1_of_5"), foreign=("Trans-cerebellum-PASCAL",),
    ),
    WrittenGroup(
        "Trans-ventricular", "Trans-ventricular", "Trans-ventricular-segmentation-mask", "Trans-ventricular-Pixel-Size.csv",
        ("Patient00630_Plane1_1_of_1", "Patient00644_Plane1_1_of_3"), foreign=("Trans-ventricular-PASCAL-VOC ", "Trans-ventricular-COCO"),
    ),
    WrittenGroup(
        "Diverse Fetal Head Images", "Orginal_train_images_to_959_661", "Test-Dataset-Segmentation", None,
        ("001_HC", "001_2HC", "010_HC"), csp=(255, 255, 0), foreign=("Test-Dataset-CitySpaces",),
    ),
)  # fmt: skip


def write_set(folder: Path, packing: Packing = "unpacked") -> Path:
    """The data set's folder (or, with "one zip", the archive that holds it)."""
    folder.mkdir(parents=True)
    for group in GROUPS:
        inner = folder / group.folder / group.folder
        _write_group(inner, group)
        if packing != "unpacked":
            zip_folder(inner / group.masks)
        if packing in ("groups zipped", "one zip"):
            zip_folder(folder / group.folder, keep_name=True)
    if packing == "one zip":
        zip_folder(folder)
        return folder.with_name(folder.name + ".zip")
    return folder


def mask_of(csp: tuple[int, int, int]) -> np.ndarray:
    """Brain 10x20 = 200 pixels, of which 12 are painted over by CSP and 8 by LV."""
    mask = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    mask[10:20, 10:30] = COLOURS["Brain"]
    mask[12:14, 12:18] = csp
    mask[16:18, 20:24] = COLOURS["LV"]
    return mask


def _write_group(inner: Path, group: WrittenGroup) -> None:
    (inner / group.images).mkdir(parents=True)
    export = inner / group.masks
    (export / "SegmentationClass").mkdir(parents=True)
    (export / "SegmentationObject").mkdir()
    (export / "ImageSets" / "Segmentation").mkdir(parents=True)
    grey = np.random.default_rng(5).integers(0, 255, (HEIGHT, WIDTH, 1), np.uint8).repeat(3, axis=2)
    for name in group.names:
        Image.fromarray(grey).save(inner / group.images / f"{name}.png")
        Image.fromarray(mask_of(group.csp)).save(export / "SegmentationClass" / f"{name}.png")
        Image.fromarray(mask_of(group.csp)).save(export / "SegmentationObject" / f"{name}.png")
    (inner / group.images / f"._{group.names[0]}.png").write_bytes(b"left by macOS")
    csp = ",".join(map(str, group.csp))
    (export / "labelmap.txt").write_text(LABELMAP.replace("0,255,0", csp) + "background:0,0,0::\n")
    (export / "ImageSets" / "Segmentation" / "default.txt").write_text("\n".join(group.names) + "\n")
    if group.table:
        rows = [group.header, *(f"{name}.png,{0.1 + index / 100:.9f}" for index, name in enumerate(group.names))]
        (inner / group.table).write_text("\n".join(rows) + "\n", encoding="utf-8-sig" if group.bom else "utf-8")
    for foreign in group.foreign:  # exports that hold label maps and pictures of the same names too
        (inner / foreign / "SegmentationClass").mkdir(parents=True)
        (inner / foreign / "labelmap.txt").write_text("Brain:128,0,0::\n")
        Image.fromarray(grey).save(inner / foreign / "SegmentationClass" / f"{group.names[0]}.png")
        zip_folder(inner / foreign)
    original = inner / f"{group.folder}-orginal-size"
    original.mkdir()
    Image.fromarray(grey[:20, :20]).save(original / f"{group.names[0]}.png")


def zip_folder(folder: Path, *, keep_name: bool = False) -> None:
    """Replace a folder by `<folder>.zip` of its content (with its own name inside, or without)."""
    base = folder.parent if keep_name else folder
    with zipfile.ZipFile(folder.with_name(folder.name + ".zip"), "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(base).as_posix())
    shutil.rmtree(folder)
