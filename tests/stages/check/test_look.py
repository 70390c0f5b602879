"""A case read once: what is noted of image and label, and what becomes a fault."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from autoseg.records import Case, Dataset, OutlineEncoding, Structure, ValueEncoding
from autoseg.stages.check.look import CaseLook, LookTask, look_at_case
from autoseg.stages.check.pairing import of_faults
from tests.layouts.written import picture

GREY = np.tile(np.arange(64, dtype=np.uint8) * 4, (48, 1))


def looked(root: Path, *, channels: tuple[str, ...] = ("grey",), outline: bool = False, suffix: str = ".png") -> CaseLook:
    case = Case(id="a", subject="a", images=(f"images/a{suffix}",), label=f"labels/a{suffix}", spacing_mm=None)
    dataset = Dataset(
        name="s",
        layout="folders",
        root=str(root),
        rank=3 if suffix == ".nii.gz" else 2,
        channels=channels,
        targets=(Structure(name="head", values=(1,), output_value=1),),
        encodings={"default": OutlineEncoding() if outline else ValueEncoding(values={0: 0, 1: 1})},
        cases=(case,),
    )
    return look_at_case(LookTask(dataset, case))


def test_a_picture_and_its_mask(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.png", GREY)
    mask = np.zeros(GREY.shape, np.uint8)
    mask[10:20, 10:30] = 1
    picture(tmp_path / "labels/a.png", mask)
    look = looked(tmp_path)
    assert look.faults == () and look.image is not None and look.label is not None
    assert look.image.shape == (48, 64) and look.image.spacing_mm is None and look.image.dtype == "uint8"
    (channel,) = look.image.channels
    assert (channel.low, channel.high) == (0.0, 252.0) and channel.bright >= 248
    assert look.image.thumbnails.shape == (1, 64, 64) and len(look.image.hashes) == 1
    assert dict(look.label.counts) == {"0": 48 * 64 - 200, "1": 200}


def test_colours_where_grey_is_expected(tmp_path: Path) -> None:
    colours = np.repeat(GREY[:, :, None], 3, axis=2)
    picture(tmp_path / "images/a.png", colours)
    picture(tmp_path / "labels/a.png", np.zeros(GREY.shape, np.uint8))
    assert looked(tmp_path).faults == ()
    colours[0, 0] = 255, 0, 0
    picture(tmp_path / "images/a.png", colours)
    look = looked(tmp_path)
    assert [fault.case for fault in look.faults] == ["a"] and "is in colour" in look.faults[0].message
    assert look.image is not None and look.image.coloured and look.image.content_hash is None


def test_what_cannot_be_read_is_a_fault_and_the_rest_is_looked_at(tmp_path: Path) -> None:
    picture(tmp_path / "labels/a.png", np.zeros(GREY.shape, np.uint8))
    path = picture(tmp_path / "images/a.png", GREY)
    path.write_bytes(path.read_bytes()[:60])
    look = looked(tmp_path)
    assert look.image is None and look.label is not None
    assert len(look.faults) == 1 and "a.png: cannot be read" in look.faults[0].message


def test_a_palette_is_told(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.png", GREY)
    mask = np.zeros(GREY.shape, np.uint8)
    mask[5:9, 5:9] = 1
    palette = Image.fromarray(mask).convert("P")
    palette.putpalette([0, 0, 0, 255, 0, 0] + [9] * 762)
    (tmp_path / "labels").mkdir()
    palette.save(tmp_path / "labels/a.png")
    label = looked(tmp_path).label
    assert label is not None and label.palette and dict(label.counts) == {"0": 48 * 64 - 16, "1": 16}


def test_a_declared_outline_is_filled_before_it_is_counted(tmp_path: Path) -> None:
    picture(tmp_path / "images/a.png", np.tile(GREY, (4, 4)))
    y, x = np.mgrid[:192, :256]
    radius = np.hypot((y - 96) / 60, (x - 128) / 90)
    picture(tmp_path / "labels/a.png", ((radius <= 1.02) & (radius >= 0.98)).astype(np.uint8) * 255)
    look = looked(tmp_path, outline=True)
    assert look.label is not None and look.label.counts["1"] == pytest.approx(np.pi * 60 * 90, rel=0.01)
    picture(tmp_path / "labels/a.png", (radius <= 1).astype(np.uint8) * 255)
    assert "is none" in looked(tmp_path, outline=True).faults[0].message


def test_a_volume_has_three_planes_and_an_orientation(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(100, 30, (12, 14, 16)).astype(np.float32)
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((1.0, 2.0, 3.0))
    sitk.WriteImage(image, str(tmp_path / "images/a.nii.gz"))
    sitk.WriteImage(sitk.GetImageFromArray((values > 150).astype(np.uint8)), str(tmp_path / "labels/a.nii.gz"))
    look = looked(tmp_path, suffix=".nii.gz")
    assert look.image is not None and look.image.spacing_mm == (3.0, 2.0, 1.0)
    assert look.image.orientation == "LPS" and look.image.thumbnails.shape == (3, 64, 64)
    assert look.image.text == ()


def test_channels_on_different_grids_are_a_fault(tmp_path: Path) -> None:
    picture(tmp_path / "images/a_0.png", GREY)
    picture(tmp_path / "images/a_1.png", GREY[:-1])
    picture(tmp_path / "labels/a.png", np.zeros(GREY.shape, np.uint8))
    case = Case(id="a", subject="a", images=("images/a_0.png", "images/a_1.png"), label="labels/a.png")
    dataset = Dataset(
        name="s",
        layout="folders",
        root=str(tmp_path),
        rank=2,
        channels=("T1", "T2"),
        targets=(Structure(name="head", values=(1,), output_value=1),),
        encodings={"default": ValueEncoding(values={0: 0, 1: 1})},
        cases=(case,),
    )
    look = look_at_case(LookTask(dataset, case))
    (found,) = of_faults(look.faults)
    assert found.kind == "grid" and "channel size (47, 64), a_0.png size (48, 64)" in found.told
    picture(tmp_path / "images/a_1.png", GREY)
    look = look_at_case(LookTask(dataset, case))
    assert look.faults == () and look.image is not None and look.image.identical == ((0, 1),)
