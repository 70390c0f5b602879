"""A sheet of pictures: rows of patches beside one another, with contours, a heading over each, and a legend below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from autoseg.inference.overlay import GAP, PALETTE, draw_plane, font_of, greys_of, legend_of, save_picture, window_of

CELL_LONG_SIDE = 300  # pixels
TEXT_SIZE, LINE = 13, 17
BACKGROUND = (24, 24, 24)
WHITE = (240, 240, 240)
GREY = (150, 150, 150)


@dataclass(frozen=True, eq=False)
class Cell:
    """A plane (C, h, w) with its labels, (h, w) or as in `draw_plane` those of regions; `words` stand over it, one after another."""

    image: np.ndarray
    labels: np.ndarray
    words: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Row:
    """Cells of one size; grey values are shown as in the first one, so that what changed them shows, too."""

    name: str
    cells: tuple[Cell, ...]


def save_sheet(path: Path, rows: Sequence[Row], names: Mapping[int, str], *, rgb: bool, pixel_ratio: float = 1.0) -> None:
    """Write a PNG, atomically.

    Args:
        path: where to.
        rows: from top to bottom.
        names: label value -> name, in the legend's order.
        rgb: whether the channels are red, green and blue; else the first one is shown.
        pixel_ratio: height of a pixel by its width.
    """
    colours = {value: PALETTE[index % len(PALETTE)] for index, value in enumerate(names)}
    drawn = [_row_picture(row, colours, rgb, pixel_ratio) for row in rows]
    legend = legend_of([(colours[value], name) for value, name in names.items()], size=15) if names else None
    width = max([picture.width for picture in drawn] + ([legend.width] if legend else []))
    height = sum(picture.height + GAP for picture in drawn) + (legend.height if legend else 0)
    sheet = Image.new("RGB", (width, height), BACKGROUND)
    top = 0
    for picture in drawn:
        sheet.paste(picture, (0, top))
        top += picture.height + GAP
    if legend:
        sheet.paste(legend, (0, top))
    save_picture(path, sheet)


def _row_picture(row: Row, colours: Mapping[int, tuple[int, int, int]], rgb: bool, pixel_ratio: float) -> Image.Image:
    window = window_of(row.cells[0].image[:3] if rgb else row.cells[0].image[:1])
    height, width = row.cells[0].labels.shape[-2:]
    scale = CELL_LONG_SIDE / max(height * pixel_ratio, width)
    size = (max(1, round(height * pixel_ratio * scale)), max(1, round(width * scale)))
    headings = [_wrapped(cell.words, max(size[1], 120)) for cell in row.cells]
    lines = max(len(heading) for heading in headings)
    step = max(size[1], 120) + GAP
    picture = Image.new("RGB", (step * len(row.cells) - GAP, (lines + 1) * LINE + GAP + size[0]), BACKGROUND)
    draw = ImageDraw.Draw(picture)
    draw.text((2, 1), row.name, fill=WHITE, font=font_of(TEXT_SIZE))
    for index, (cell, heading) in enumerate(zip(row.cells, headings, strict=True)):
        for line, text in enumerate(heading):
            draw.text((index * step + 2, (line + 1) * LINE + 1), text, fill=GREY, font=font_of(TEXT_SIZE))
        plane = draw_plane(greys_of(cell.image, window, rgb), cell.labels, colours, size)
        picture.paste(Image.fromarray(plane), (index * step, (lines + 1) * LINE + GAP))
    return picture


def _wrapped(words: Sequence[str], width: int) -> list[str]:
    """Words joined to lines that are at most so many pixels wide, where a single one is not wider itself."""
    font, lines = font_of(TEXT_SIZE), [""]
    for word in words:
        longer = f"{lines[-1]}, {word}" if lines[-1] else word
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
