"""A picture of a label beside what a network sees: both as contours over the image, and where they differ.

Each row has three panels: the label, the network's mask, and the image with the pixels shaded at which the two differ. A 2D image makes
one row; a volume makes one for each plane, through the slice with most disagreement. Drawn for looking at; nothing is measured on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from autoseg.inference.overlay import (
    GAP,
    PALETTE,
    THINNEST_PANEL,
    draw_plane,
    font_of,
    greys_of,
    legend_of,
    save_picture,
    window_of,
    wrapped,
)

PANEL_LONG_SIDE = 420  # pixels
SHADE = (214, 39, 40)  # apart from the palette of the contours
OPACITY = 0.5
TITLE_SIZE, TITLE_LINE = 15, 20
TEXT_SIZE, TEXT_LINE = 13, 17
BACKGROUND = (24, 24, 24)
WHITE, GREY = (240, 240, 240), (170, 170, 170)


@dataclass(frozen=True, eq=False)
class Comparison:
    """An image (C, *spatial), its label and the network's mask (*spatial), of the same values; spacing None: cubes."""

    image: np.ndarray
    label: np.ndarray
    model: np.ndarray
    spacing_mm: Sequence[float] | None


def save_comparison(path: Path, shown: Comparison, names: Mapping[int, str], title: str, sentences: Sequence[str]) -> None:
    """Write a PNG, atomically.

    Args:
        path: where to.
        shown: what.
        names: value -> name, in the legend's order; a structure that neither side has is left out of the legend.
        title: above all.
        sentences: below it; broken where they do not fit.
    """
    colours = {value: PALETTE[index % len(PALETTE)] for index, value in enumerate(names)}
    rgb = len(shown.image) == 3 and shown.label.ndim == 2
    window = window_of(shown.image[:3] if rgb else shown.image[:1])
    rows = [_row(*plane, colours, window, rgb) for plane in _planes(shown)]
    found = [value for value in names if (shown.label == value).any() or (shown.model == value).any()]
    entries = [*((colours[value], names[value]) for value in found), (SHADE, "differs")]
    save_picture(path, _page(rows, legend_of(entries, size=TEXT_SIZE), title, sentences))


def _planes(shown: Comparison) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, int], str]]:
    """Image, label and mask of each plane, the size in which it is drawn, and its place."""
    spacing = tuple(shown.spacing_mm) if shown.spacing_mm is not None else (1.0,) * shown.label.ndim
    extent = [size * step for size, step in zip(shown.label.shape, spacing, strict=True)]
    if shown.label.ndim == 2:
        return [(shown.image, shown.label, shown.model, _size(extent), "")]
    differing = shown.label != shown.model
    thick = [axis for axis in range(3) if min(np.delete(shown.label.shape, axis)) >= THINNEST_PANEL]
    planes = []
    for axis in thick or [int(np.argmin(shown.label.shape))]:
        index = _busiest_slice(differing, shown.label > 0, axis)
        image, label, model = (
            np.take(shown.image, index, axis + 1),
            np.take(shown.label, index, axis),
            np.take(shown.model, index, axis),
        )
        if axis != 0:  # z points upwards
            image, label, model = image[:, ::-1], label[::-1], model[::-1]
        size = _size([extent[other] for other in range(3) if other != axis])
        planes.append((image, label, model, size, f"{'zyx'[axis]} = {index} of {shown.label.shape[axis]}"))
    return planes


def _size(extent: Sequence[float]) -> tuple[int, int]:
    scale = PANEL_LONG_SIDE / max(extent)
    height, width = (max(1, round(scale * side)) for side in extent)
    return height, width


def _busiest_slice(differing: np.ndarray, labelled: np.ndarray, axis: int) -> int:
    """With most disagreement; where there is none, with most of the label; else the middle."""
    others = tuple(other for other in range(3) if other != axis)
    for mask in (differing, labelled):
        counts = np.count_nonzero(mask, axis=others)
        if counts.any():
            return int(np.argmax(counts))
    return differing.shape[axis] // 2


def _row(
    image: np.ndarray,
    label: np.ndarray,
    model: np.ndarray,
    size: tuple[int, int],
    place: str,
    colours: Mapping[int, tuple[int, int, int]],
    window: tuple[float, float],
    rgb: bool,
) -> Image.Image:
    greys = greys_of(image, window, rgb)
    nothing = np.zeros_like(label)
    panels = [draw_plane(greys, labels, colours, size) for labels in (label, model, nothing)]
    differing = np.asarray(Image.fromarray(label != model).resize(size[::-1], Image.Resampling.NEAREST))
    shaded = panels[2].astype(np.float32)
    shaded[differing] += OPACITY * (np.asarray(SHADE, np.float32) - shaded[differing])
    panels[2] = (shaded + 0.5).astype(np.uint8)
    step = max(size[1], 150) + GAP
    row = Image.new("RGB", (3 * step - GAP, size[0] + TEXT_LINE), BACKGROUND)
    draw = ImageDraw.Draw(row)
    for index, (panel, heading) in enumerate(zip(panels, ("label", "network", "difference"), strict=True)):
        told = f"{heading}, {place}" if place and index == 0 else heading
        draw.text((index * step + 2, 1), told, fill=GREY, font=font_of(TEXT_SIZE))
        row.paste(Image.fromarray(panel), (index * step, TEXT_LINE))
    return row


def _page(rows: Sequence[Image.Image], legend: Image.Image, title: str, sentences: Sequence[str]) -> Image.Image:
    width = max(legend.width, *(row.width for row in rows))
    lines = [line for sentence in sentences for line in wrapped(sentence, font_of(TEXT_SIZE).getlength, width - 2 * GAP)]
    titles = wrapped(title, font_of(TITLE_SIZE).getlength, width - 2 * GAP)
    head = GAP + TITLE_LINE * len(titles) + TEXT_LINE * len(lines) + GAP
    page = Image.new("RGB", (width, head + sum(row.height + GAP for row in rows) + legend.height), BACKGROUND)
    draw = ImageDraw.Draw(page)
    top = GAP
    for line in titles:
        draw.text((GAP, top), line, fill=WHITE, font=font_of(TITLE_SIZE))
        top += TITLE_LINE
    for line in lines:
        draw.text((GAP, top), line, fill=GREY, font=font_of(TEXT_SIZE))
        top += TEXT_LINE
    top = head
    for row in rows:
        page.paste(row, (0, top))
        top += row.height + GAP
    page.paste(legend, (0, top))
    return page
