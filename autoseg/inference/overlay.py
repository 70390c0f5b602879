"""A picture of a prediction that a person can judge at a glance: contours over the image, with a legend.

2D images keep their size. Volumes become up to three orthogonal planes, each through the slice with most foreground,
in true proportions. Drawn for looking at; nothing is measured on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from autoseg.writing import whole_file

PALETTE = (  # Okabe & Ito (2008): told apart with every kind of colour blindness; ordered by contrast on grey images
    (230, 159, 0),
    (86, 180, 233),
    (240, 228, 66),
    (0, 158, 115),
    (213, 94, 0),
    (204, 121, 167),
    (0, 114, 178),
)
WINDOW_PERCENT = (0.5, 99.5)  # grey values outside are clipped, so that one bright pixel does not darken the rest
WINDOW_SAMPLE = 1_000_000  # values the window is taken from; more change nothing one can see
PANEL_LONG_SIDE = 480  # pixels, for the longest plane of a volume
THINNEST_PANEL = 8  # slices; a volume of fewer is shown only across them
THINNEST_LINE = 2.0  # pixels
PIXELS_PER_LINE = 300  # the line grows by a pixel with as many pixels of the long side
GAP = 6  # pixels between panels and around the legend


def save_overlay(
    path: Path,
    image: np.ndarray,
    labels: np.ndarray,
    names: Mapping[int, str],
    spacing_mm: Sequence[float] | None,
    *,
    rgb: bool | None = None,
) -> None:
    """Write a PNG, atomically.

    Args:
        path: where to.
        image: (C, *spatial) on the same grid as the labels; the first channel is shown unless `rgb`.
        labels: (*spatial) mask as it is written, 0 = background. Without foreground the image is shown bare.
        names: mask value -> name, in the legend's order; a structure without a pixel is listed as not found.
        spacing_mm: proportions of a volume's planes; None: cubic voxels.
        rgb: whether the channels are red, green and blue; None: they are in 2D when there are three.
    """
    colours = {value: PALETTE[index % len(PALETTE)] for index, value in enumerate(names)}
    if rgb is None:
        rgb = image.shape[0] == 3 and labels.ndim == 2
    window = window_of(image[:3] if rgb else image[:1])
    if labels.ndim == 2:
        picture = draw_plane(greys_of(image, window, rgb), labels, colours, labels.shape)
        free_corner = labels
    else:
        picture, free_corner = _montage(image, labels, colours, window, spacing_mm, rgb), None
    entries = [(colours[value], name if (labels == value).any() else f"{name} (not found)") for value, name in names.items()]
    save_picture(path, _with_legend(Image.fromarray(picture), entries, free_corner))


def window_of(image: np.ndarray) -> tuple[float, float]:
    """Grey values to be shown as black and as white."""
    values = image.ravel()
    values = values[:: max(1, values.size // WINDOW_SAMPLE)].astype(np.float32)
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(values, WINDOW_PERCENT))
    return (low, high) if high > low else (float(values.min()), max(float(values.max()), float(values.min()) + 1.0))


def greys_of(image: np.ndarray, window: tuple[float, float], rgb: bool) -> np.ndarray:
    """(h, w, 3) uint8 of a plane (C, h, w)."""
    low, high = window
    channels = image[:3] if rgb else np.repeat(image[:1], 3, axis=0)
    scaled = np.nan_to_num((channels.astype(np.float32) - low) / (high - low), nan=0.0, posinf=1.0, neginf=0.0)
    return np.ascontiguousarray(np.moveaxis(np.clip(scaled, 0, 1) * 255 + 0.5, 0, -1).astype(np.uint8))


def _montage(
    image: np.ndarray,
    labels: np.ndarray,
    colours: Mapping[int, tuple[int, int, int]],
    window: tuple[float, float],
    spacing_mm: Sequence[float] | None,
    rgb: bool,
) -> np.ndarray:
    """Planes across z, y and x side by side; z points upwards in the last two."""
    spacing = tuple(spacing_mm) if spacing_mm is not None else (1.0,) * 3
    extent_mm = [size * step for size, step in zip(labels.shape, spacing, strict=True)]
    axes = [axis for axis in range(3) if min(np.delete(labels.shape, axis)) >= THINNEST_PANEL] or [int(np.argmin(labels.shape))]
    longest = max(extent_mm[other] for axis in axes for other in range(3) if other != axis)
    panels = []
    for axis in axes:
        index = _fullest_slice(labels, axis)
        height, width = (max(1, round(PANEL_LONG_SIDE * extent_mm[other] / longest)) for other in range(3) if other != axis)
        plane, plane_labels = np.take(image, index, axis + 1), np.take(labels, index, axis)
        if axis != 0:
            plane, plane_labels = plane[:, ::-1], plane_labels[::-1]
        panel = draw_plane(greys_of(plane, window, rgb), plane_labels, colours, (height, width))
        panels.append(_captioned(panel, f"{'zyx'[axis]} = {index} of {labels.shape[axis]}"))
    canvas = np.zeros((max(len(p) for p in panels), sum(p.shape[1] for p in panels) + GAP * (len(panels) - 1), 3), np.uint8)
    left = 0
    for panel in panels:
        canvas[: len(panel), left : left + panel.shape[1]] = panel
        left += panel.shape[1] + GAP
    return canvas


def _fullest_slice(labels: np.ndarray, axis: int) -> int:
    counts = np.count_nonzero(labels, axis=tuple(other for other in range(3) if other != axis))
    return int(np.argmax(counts)) if counts.any() else labels.shape[axis] // 2


def draw_plane(
    greys: np.ndarray, labels: np.ndarray, colours: Mapping[int, tuple[int, int, int]], shape: tuple[int, ...]
) -> np.ndarray:
    """Contours over a plane (h, w, 3), both enlarged to `shape` first, so that lines stay fine. (*shape, 3) uint8.

    Labels are (h, w); or (values, h, w) with a plane for each of the colours' values in order, where structures lie over one another.
    """
    height, width = shape
    planes = [labels] if labels.ndim == 2 else list(labels)
    if labels.shape[-2:] != (height, width):
        greys = np.asarray(Image.fromarray(greys).resize((width, height), Image.Resampling.BICUBIC))
        planes = [_enlarged_labels(plane, height, width) for plane in planes]
    canvas = greys.astype(np.float32)
    thickness = max(THINNEST_LINE, max(height, width) / PIXELS_PER_LINE)
    for place, value in enumerate(sorted(colours)):
        _draw_contour(canvas, planes[place if labels.ndim > 2 else 0], value, colours[value], thickness)
    return (canvas + 0.5).astype(np.uint8)


def _enlarged_labels(labels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Labels on a finer grid with smooth borders: each value's mask is interpolated, the largest wins."""
    best = np.zeros((height, width), np.float32)
    enlarged = np.zeros((height, width), np.int32)
    for value in np.unique(labels):
        mask = Image.fromarray((labels == value).astype(np.float32))
        share = np.asarray(mask.resize((width, height), Image.Resampling.BILINEAR))
        enlarged[share > best] = value
        best = np.maximum(best, share)
    return enlarged


def _draw_contour(canvas: np.ndarray, labels: np.ndarray, value: int, colour: tuple[int, int, int], thickness: float) -> None:
    """Blend the border of one value into the canvas, half of the line on either side of it.

    Where two structures touch, the border belongs to the higher value: a structure inside another is drawn once.
    """
    boxes = ndimage.find_objects((labels == value).astype(np.uint8))
    if not boxes:
        return
    margin = int(np.ceil(thickness)) + 1
    box = tuple(slice(max(0, side.start - margin), side.stop + margin) for side in boxes[0])
    inside, lower = labels[box] == value, labels[box] < value
    if not lower.any():
        return
    distance = np.where(inside, ndimage.distance_transform_edt(~lower), ndimage.distance_transform_edt(~inside))
    distance[labels[box] > value] = np.inf
    opacity = np.clip(thickness / 2 + 1 - distance, 0, 1)[..., None]  # distance 1 is the pixel at the border
    canvas[box] += opacity * (np.asarray(colour, np.float32) - canvas[box])


def _captioned(panel: np.ndarray, text: str) -> np.ndarray:
    picture = Image.fromarray(panel)
    ImageDraw.Draw(picture).text((4, 2), text, fill=(255, 255, 255), font=font_of(13), stroke_width=1, stroke_fill=(0, 0, 0))
    return np.asarray(picture)


def _with_legend(
    picture: Image.Image, entries: Sequence[tuple[tuple[int, int, int], str]], labels: np.ndarray | None
) -> Image.Image:
    """The legend in the corner with least foreground if it covers little there, else below the picture."""
    if not entries:
        return picture
    legend = legend_of(entries, size=int(np.clip(min(picture.size) / 30, 11, 40)))
    small = legend.width <= picture.width / 2 and legend.height <= picture.height / 3
    if labels is None or not small:
        below = Image.new("RGB", (max(picture.width, legend.width), picture.height + legend.height + GAP))
        below.paste(picture, (0, 0))
        below.paste(legend, (0, picture.height + GAP))
        return below
    corners = [(x, y) for y in (0, picture.height - legend.height) for x in (0, picture.width - legend.width)]
    covered = [np.count_nonzero(labels[y : y + legend.height, x : x + legend.width]) for x, y in corners]
    picture.paste(legend, corners[int(np.argmin(covered))])
    return picture


def legend_of(entries: Sequence[tuple[tuple[int, int, int], str]], size: int) -> Image.Image:
    """A box of names, each with its colour."""
    font = font_of(size)
    line = round(size * 1.4)
    width = round(max(font.getlength(name) for _, name in entries)) + line + 2 * GAP
    legend = Image.new("RGB", (width, line * len(entries) + GAP), (24, 24, 24))
    draw = ImageDraw.Draw(legend)
    for row, (colour, name) in enumerate(entries):
        top = GAP // 2 + row * line
        draw.rectangle((GAP, top + line // 4, GAP + line // 2, top + 3 * line // 4), fill=colour)
        draw.text((GAP + line, top + line / 2), name, fill=(240, 240, 240), font=font, anchor="lm")
    return legend


def font_of(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, in pixels."""
    return ImageFont.load_default(size=size)


def wrapped(text: str, length: Callable[[str], float], width: float, *, indent: str = "") -> list[str]:
    """A text in lines that are no longer than `width`; a word that is longer by itself has a line of its own.

    Args:
        text: words with spaces between them.
        length: of a line, such as a font's `getlength`.
        width: in the same unit.
        indent: put before all lines but the first.
    """
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and length(longer) > width:
            lines.append(f"{indent}{word}")
        else:
            lines[-1] = longer
    return lines


def save_picture(path: Path, picture: Image.Image) -> None:
    """Write a PNG, atomically."""
    with whole_file(path) as temporary:
        picture.save(temporary, format="PNG")
