"""Looks at cases, made by hand: what the checks decide from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from autoseg.records import Case, ColourEncoding, Dataset, Splits, Structure, ValueEncoding
from autoseg.stages.check.facts import SetLook
from autoseg.stages.check.label_look import LabelLook
from autoseg.stages.check.look import CaseLook, ChannelLook, ImageLook
from autoseg.volume.geometry import Geometry

NOISE = np.random.default_rng(0)


def label_look(counts: dict[str, int] | None = None, *, shape: tuple[int, ...] = (100, 100), **changes: object) -> LabelLook:
    """A uint8 label of two values, 10 000 pixels of which 400 are 1."""
    counts = {"0": 9600, "1": 400} if counts is None else counts
    look = LabelLook(
        shape=shape,
        geometry=Geometry.plain(len(shape)),
        dtype="uint8",
        counts=counts,
        distinct=len(counts),
        content_hash=f"label{NOISE.integers(1 << 40)}",
    )
    return replace(look, **changes)  # type: ignore[arg-type]


def image_look(*, shape: tuple[int, ...] = (100, 100), **changes: object) -> ImageLook:
    """An 8-bit image of noise that no other image is like."""
    planes = 1 if len(shape) == 2 else 3
    look = ImageLook(
        shape=shape,
        geometry=Geometry.plain(len(shape)),
        spacing_mm=(0.2,) * len(shape),
        spacing_from_table=True,
        orientation=None if len(shape) == 2 else "LPS",
        dtype="uint8",
        stored_channels=1,
        coloured=False,
        channels=(ChannelLook(0.0, 255.0, 200.0),),
        identical=(),
        not_finite=0,
        distinct=16,
        content_hash=f"image{NOISE.integers(1 << 40)}",
        thumbnails=NOISE.integers(0, 256, (planes, 64, 64)).astype(np.uint8),
        hashes=tuple(int(one) for one in NOISE.integers(0, 1 << 62, planes)),
    )
    return replace(look, **changes)  # type: ignore[arg-type]


def look(
    name: str, image: ImageLook | None = None, label: LabelLook | None = None, *, subject: str | None = None, **changes: object
) -> CaseLook:
    """A case with image and label; its subject is its own name."""
    case = Case(id=name, subject=subject or name, images=(f"images/{name}.png",), label=f"labels/{name}.png")
    return replace(
        CaseLook(case, image or image_look(), label or label_look()),
        **changes,  # type: ignore[arg-type]
    )


def numbered(number: int, *, start: int = 0) -> list[CaseLook]:
    """So many cases without a fault: c00, c01, ..."""
    return [look(f"c{place:02d}") for place in range(start, start + number)]


def set_look(
    looks: list[CaseLook],
    *,
    names: tuple[str, ...] = ("head",),
    colours: dict[str, int] | None = None,
    declared: bool = True,
    splits: Splits | None = None,
    folds: int = 5,
    rank: int = 2,
    channels: tuple[str, ...] = ("grey",),
    root: Path = Path("nowhere"),
) -> SetLook:
    """A set whose structures have the values 1, 2, ... in the order of their names (none: nothing is known of them)."""
    targets = tuple(Structure(name=name, values=(value,), output_value=value) for value, name in enumerate(names, start=1))
    values = ValueEncoding(values={value: value for value in range(len(names) + 1)})
    dataset = Dataset(
        name="set",
        layout="folders",
        root=str(root),
        rank=rank,  # type: ignore[arg-type]
        channels=channels,
        targets=targets,
        encodings={"default": values if colours is None else ColourEncoding(colours=colours)},
        cases=tuple(one.case for one in looks),
    )
    return SetLook(dataset, tuple(looks), declared, folds, splits)
