"""A picture of one case and what was measured on it: contours, the ellipse of a head with BPD and OFD, widths, and all of it in words below.

Drawn in true proportions, and large enough to be read. Drawn for looking at; nothing is measured on it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from autoseg.inference.overlay import PALETTE, draw_plane, font_of, greys_of, save_overlay, save_picture, window_of, wrapped
from autoseg.metrics.gestation import weeks_and_days
from autoseg.metrics.measures import FIRST, Measured, is_head
from autoseg.volume.ellipse import Ellipse

LONG_SIDE = 1000  # pixels of the drawn picture
LARGEST_ZOOM = 8.0  # of a pixel; a picture of few pixels stays small
SMOOTH = 2  # lines are drawn so many times larger, and made smaller again
INK = (90, 225, 255)  # ellipse and lines; like none of the contours' colours
DOUBT, FAILURE = (255, 200, 90), (255, 130, 110)
PAPER, WORDS = (18, 18, 18), (238, 238, 238)
MASK_GREY = 70  # of the structures, where there is no image
ELLIPSE_POINTS = 360
TICK = 9  # pixels, half the length of the bar at a line's end
TEXT = 22  # pixels, beside a line
SMALL_TEXT = 18  # pixels, below the picture
PAD = 10
BESIDE = 6  # pixels between a line and its words
INDENT = "    "
MOST_LINES = 14  # of words below the picture; measurements.csv has all
OF_MEASURES = {
    "HC": "HC",
    "BPD": "BPD",
    "OFD": "OFD",
    "cephalic_index": "cephalic index",
    "GA_HC": "GA by HC",
    "GA_BPD": "GA by BPD",
}

Point = tuple[float, float]
Box = tuple[float, float, float, float]
Colour = tuple[int, int, int]
Place = Callable[[Point], Point]


def save_measured_picture(
    path: Path,
    image: np.ndarray | None,
    labels: np.ndarray,
    structures: Mapping[str, Sequence[int]],
    found: Mapping[str, Measured],
    spacing_mm: Sequence[float] | None,
) -> None:
    """Write a PNG of a 2D case, atomically.

    Args:
        path: where to.
        image: `(C, y, x)` on the same grid; None draws the mask in grey instead.
        labels: `(y, x)` the mask.
        structures: the values of each structure.
        found: what was measured of each.
        spacing_mm: `(y, x)`; None: square pixels, and nothing but contours is drawn.
    """
    step = np.asarray(spacing_mm if spacing_mm is not None else (1.0, 1.0), dtype=float)
    extent = np.array(labels.shape) * step
    zoom = min(LONG_SIDE / float(extent.max()), LARGEST_ZOOM / float(step.min()))  # drawn pixels in a mm
    height, width = (max(1, round(float(side) * zoom)) for side in extent)
    index, colours = _contours(labels, structures)
    greys = _greys(image, labels)
    picture = Image.fromarray(draw_plane(greys, index, colours, (height, width)))
    if spacing_mm is not None:

        def place(point: Point) -> Point:
            """(y, x) in mm from the centre of the first pixel -> (x, y) in the drawing."""
            return (point[1] + step[1] / 2) * zoom, (point[0] + step[0] / 2) * zoom

        picture = _with_lines(picture, found, place, zoom)
    names = {name: colours[value] for value, name in enumerate(_outlined(structures), start=1)}
    save_picture(path, _with_words(picture, path.stem, found, names))


def save_measured_volume(
    path: Path,
    image: np.ndarray | None,
    labels: np.ndarray,
    structures: Mapping[str, Sequence[int]],
    found: Mapping[str, Measured],
    spacing_mm: Sequence[float] | None,
) -> None:
    """Write a PNG of three planes of a volume with contours; the legend gives the volumes. Arguments as above, `(C, z, y, x)`."""
    index, _ = _contours(labels, structures)
    names = {}
    for value, name in enumerate(_outlined(structures), start=1):
        volume = found[name].record.measures["volume"]
        names[value] = name if volume.value is None else f"{name}: {volume.value:.4g} {volume.unit}"
    shown = image if image is not None else (index > 0).astype(np.uint8)[None]
    save_overlay(path, shown, index, names, spacing_mm)


def _outlined(structures: Mapping[str, Sequence[int]]) -> list[str]:
    """Structures whose contours are drawn: all but unions of others, whose outline is seen anyway."""
    names = list(structures)
    parts = [name for name in names if not _is_union(name, structures)]
    return parts or names


def _is_union(name: str, structures: Mapping[str, Sequence[int]]) -> bool:
    own = set(structures[name])
    inside = [set(values) for other, values in structures.items() if other != name and set(values) < own]
    return bool(inside) and set().union(*inside) == own


def _contours(labels: np.ndarray, structures: Mapping[str, Sequence[int]]) -> tuple[np.ndarray, dict[int, Colour]]:
    """The mask with structures numbered from 1, later ones over earlier ones, and the colour of each number."""
    index = np.zeros(labels.shape, np.int32)
    colours = {}
    for value, name in enumerate(_outlined(structures), start=1):
        index[np.isin(labels, structures[name])] = value
        colours[value] = PALETTE[(value - 1) % len(PALETTE)]
    return index, colours


def _greys(image: np.ndarray | None, labels: np.ndarray) -> np.ndarray:
    if image is None:
        return np.repeat(np.where(labels > 0, MASK_GREY, 0).astype(np.uint8)[..., None], 3, axis=-1)
    rgb = len(image) >= 3
    shown = image[:3] if rgb else image[:1]
    return greys_of(shown, window_of(shown), rgb)


class _Sheet:
    """A picture drawn on at twice its size, and the boxes that words already take."""

    def __init__(self, picture: Image.Image):
        self.size = picture.size
        self.large = picture.resize((picture.width * SMOOTH, picture.height * SMOOTH), Image.Resampling.BICUBIC)
        self.draw = ImageDraw.Draw(self.large)
        self.taken: list[Box] = []
        self.busy: list[Point] = []  # where lines run, which words ought not to cover

    def path(self, points: Sequence[Point], width: float) -> None:
        self.busy += points
        scaled = [(x * SMOOTH, y * SMOOTH) for x, y in points]
        self.draw.line(scaled, fill=(0, 0, 0), width=round((width + 2) * SMOOTH), joint="curve")
        self.draw.line(scaled, fill=INK, width=round(width * SMOOTH), joint="curve")

    def words(self, text: str, anchors: Sequence[Point]) -> None:
        """At the one of these places (middles of the text) where it is whole and covers least."""
        wide, high = self.room(text)
        boxes = [self._inside((x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)) for x, y in anchors]
        costs = [self._cost(box) + 0.01 * place for place, box in enumerate(boxes)]
        left, top, right, bottom = boxes[costs.index(min(costs))]
        self.taken.append((left, top, right, bottom))
        self.draw.rounded_rectangle([side * SMOOTH for side in (left, top, right, bottom)], 5 * SMOOTH, fill=PAPER)
        middle = ((left + right) / 2 * SMOOTH, (top + bottom) / 2 * SMOOTH)
        self.draw.text(middle, text, fill=INK, font=font_of(TEXT * SMOOTH), anchor="mm")

    @staticmethod
    def room(text: str) -> tuple[float, float]:
        """Width and height of words in their box."""
        return font_of(TEXT * SMOOTH).getlength(text) / SMOOTH + PAD, TEXT + PAD

    def finished(self) -> Image.Image:
        return self.large.resize(self.size, Image.Resampling.LANCZOS)

    def _inside(self, box: Box) -> Box:
        left, top, right, bottom = box
        x = min(max(left, 2.0), max(2.0, self.size[0] - 2 - (right - left)))
        y = min(max(top, 2.0), max(2.0, self.size[1] - 2 - (bottom - top)))
        return x, y, x + right - left, y + bottom - top

    def _cost(self, box: Box) -> float:
        left, top, right, bottom = box
        area = (right - left) * (bottom - top)
        over = sum(max(0.0, min(right, r) - max(left, x)) * max(0.0, min(bottom, b) - max(top, y)) for x, y, r, b in self.taken)
        lines = sum(left <= x <= right and top <= y <= bottom for x, y in self.busy)
        return 10 * over / area + lines


def _with_lines(picture: Image.Image, found: Mapping[str, Measured], place: Place, zoom: float) -> Image.Image:
    sheet = _Sheet(picture)
    for measured in found.values():
        if measured.ellipse is not None:
            sheet.path([place(point) for point in _ellipse_points(measured.ellipse)], 2.5)
        if measured.circle_mm is not None:
            (y, x), diameter = measured.circle_mm
            circle = Ellipse((y, x), (diameter / 2, diameter / 2), 0.0)
            sheet.path([place(point) for point in _ellipse_points(circle)], 1.5)
        for line in measured.lines:
            _draw_line(sheet, [place(end) for end in line.ends_mm])
    for name, measured in found.items():  # words last, when all lines are known
        for line in measured.lines:
            ends = [place(end) for end in line.ends_mm]
            if is_head(name):
                text = f"{line.name} {math.dist(*line.ends_mm):.1f} mm"
                sheet.words(text, list(_beside(ends[0], ends[1], sheet.room(text))))
        if measured.circle_mm is not None:
            (y, x), diameter = measured.circle_mm
            centre = place((y, x))
            sheet.words(f"{name} {diameter:.1f} mm", list(_around(centre, diameter * zoom / 2)))
    return sheet.finished()


def _draw_line(sheet: _Sheet, ends: Sequence[Point]) -> None:
    (x0, y0), (x1, y1) = ends
    length = math.hypot(x1 - x0, y1 - y0) or 1.0
    count = max(2, round(length / 4))
    sheet.path([(x0 + (x1 - x0) * part / count, y0 + (y1 - y0) * part / count) for part in range(count + 1)], 2.0)
    tick = min(TICK, length / 4)
    across = (-(y1 - y0) / length * tick, (x1 - x0) / length * tick)
    for x, y in ends:
        sheet.path([(x - across[0], y - across[1]), (x + across[0], y + across[1])], 2.0)


def _beside(start: Point, end: Point, room: tuple[float, float]) -> Iterator[Point]:
    """Places for words along a line: close beside it, nearer to its ends than to its middle, where lines cross."""
    (x0, y0), (x1, y1) = start, end
    length = math.hypot(x1 - x0, y1 - y0) or 1.0
    across = (-(y1 - y0) / length, (x1 - x0) / length)
    off = (abs(across[0]) * room[0] + abs(across[1]) * room[1]) / 2 + BESIDE
    for part in (0.75, 0.25, 0.85, 0.15, 0.65, 0.35):
        for side in (off, -off):
            yield x0 + (x1 - x0) * part + across[0] * side, y0 + (y1 - y0) * part + across[1] * side


def _around(centre: Point, radius: float) -> Iterator[Point]:
    """Places for words around a small circle."""
    for away in (radius + 35, radius + 60, radius + 90):
        for turn in range(0, 360, 30):
            angle = math.radians(turn - 90)
            yield centre[0] + (away + 45) * math.cos(angle), centre[1] + away * math.sin(angle)


def _ellipse_points(ellipse: Ellipse) -> list[Point]:
    turn = np.linspace(0, 2 * math.pi, ELLIPSE_POINTS + 1)
    u, v = ellipse.semi_axes[0] * np.cos(turn), ellipse.semi_axes[1] * np.sin(turn)
    cosine, sine = math.cos(ellipse.angle_rad), math.sin(ellipse.angle_rad)
    y, x = ellipse.centre_yx[0] + u * sine + v * cosine, ellipse.centre_yx[1] + u * cosine - v * sine
    return [(float(a), float(b)) for a, b in zip(y, x, strict=True)]


def _with_words(picture: Image.Image, case: str, found: Mapping[str, Measured], colours: Mapping[str, Colour]) -> Image.Image:
    """The picture with its figures, doubts and reasons in words below."""
    font = font_of(SMALL_TEXT)
    width = max(picture.width, 480)
    lines: list[tuple[str, Colour]] = [(case, WORDS)]
    for name, measured in found.items():
        lines.append((f"{name}: {_told(measured)}", colours.get(name, INK)))
    for name, measured in found.items():
        doubts = dict.fromkeys(doubt for measure in measured.record.measures.values() for doubt in measure.warnings)
        lines += [(f"doubt about {name}: {doubt}", DOUBT) for doubt in doubts]
    told = [(part, colour) for text, colour in lines for part in wrapped(text, font.getlength, width - 2 * PAD, indent=INDENT)]
    if len(told) > MOST_LINES:
        told = [*told[: MOST_LINES - 1], (f"... and {len(told) - MOST_LINES + 1} more lines in measurements.csv", WORDS)]
    step = round(SMALL_TEXT * 1.4)
    sheet = Image.new("RGB", (width, picture.height + step * len(told) + 2 * PAD), PAPER)
    sheet.paste(picture, ((width - picture.width) // 2, 0))
    draw = ImageDraw.Draw(sheet)
    for row, (text, colour) in enumerate(told):
        draw.text((PAD, picture.height + PAD + row * step), text, fill=colour, font=font)
    return sheet


def _told(measured: Measured) -> str:
    """The figures of a structure in a line, or why there are none."""
    measures = measured.record.measures
    own = {key: measure for key, measure in measures.items() if key in (*FIRST, "width_across")} or {"area": measures["area"]}
    told = []
    for key, measure in own.items():
        if measure.value is not None:
            told.append(f"{OF_MEASURES.get(key, key.replace('_', ' '))} {_figure(key, measure.value, measure.unit)}")
    reasons = dict.fromkeys(measure.failure for measure in own.values() if measure.failure is not None)
    if not told:
        return "not measured: " + "; ".join(str(reason) for reason in reasons)
    missing = [f"no {OF_MEASURES.get(key, key.replace('_', ' '))}" for key, measure in own.items() if measure.failure]
    return ", ".join([*told, *missing])


def _figure(key: str, value: float, unit: str) -> str:
    if unit == "weeks":
        return weeks_and_days(value)
    if key == "cephalic_index":
        return f"{value:.0f} %"
    return f"{value:.0f} {unit}" if unit in ("mm2", "pixels") else f"{value:.1f} {unit}"
