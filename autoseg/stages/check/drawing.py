"""Small pictures of the cases concerned: the image, with the borders of whatever its label holds, and rectangles where a finding has them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from autoseg.errors import DataError
from autoseg.inference.overlay import PALETTE, draw_plane, greys_of, save_picture, window_of
from autoseg.parallel import map_cases
from autoseg.records import Case, CheckFinding, Dataset
from autoseg.stages.check.runs import runs_of
from autoseg.volume.files import is_picture, read

MOST_FINDINGS = 60  # with pictures
CASES_OF_EACH = 3
LONG_SIDE = 320  # pixels
UNSAFE = re.compile(r"[^\w.\-]+")  # not in a file's name, on any system
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class _Task:
    """A case to draw for a finding, and where to."""

    case: Case
    box: Box | None
    file: Path


def draw(
    dataset: Dataset,
    findings: Sequence[CheckFinding],
    out: Path,
    *,
    workers: int = 0,
    on_done: Callable[[int], None] | None = None,
) -> tuple[CheckFinding, ...]:
    """Draw the first cases of the first findings into `out`; all findings come back, those drawn with the names of their pictures.

    Args:
        dataset: with the cases.
        findings: in the order of the report.
        out: folder for the pictures; names are relative to its parent.
        workers: processes.
        on_done: called with the number of pictures done so far.
    """
    cases = {case.id: case for case in dataset.cases}
    drawable = [place for place, one in enumerate(findings) if any(name in cases for name in one.cases)][:MOST_FINDINGS]
    wanted = [
        (place, name) for place in drawable for name in [name for name in findings[place].cases if name in cases][:CASES_OF_EACH]
    ]
    tasks = [
        _Task(cases[name], findings[place].boxes.get(name), out / f"{place + 1:03d}_{UNSAFE.sub('_', name)}.png")
        for place, name in wanted
    ]
    function = partial(_drawn, dataset=dataset.model_copy(update={"cases": (), "notes": ()}))
    drawn = list(map_cases(function, tasks, name=lambda task: task.case.id, workers=workers, on_done=on_done))
    pictures: dict[int, dict[str, str]] = {}
    for (place, name), task, done in zip(wanted, tasks, drawn, strict=True):
        if done:
            pictures.setdefault(place, {})[name] = task.file.relative_to(out.parent).as_posix()
    return tuple(one.model_copy(update={"pictures": pictures.get(place, {})}) for place, one in enumerate(findings))


def _drawn(task: _Task, *, dataset: Dataset) -> bool:
    """Whether there was something to draw: what cannot be read is not."""
    try:
        image = read(dataset.path(task.case.images[0])).array
    except DataError:
        return False
    codes = _codes(dataset, task.case)
    if is_picture(task.case.images[0]) and len(image) in (2, 4):
        image = image[:-1]
    if image.size == 0 or image.dtype.kind == "c":
        return False
    if codes is None or codes.shape != image.shape[1:]:
        codes = np.zeros(image.shape[1:], np.int32)
    if codes.ndim == 3:
        counts = np.count_nonzero(codes, axis=(1, 2))
        place = int(np.argmax(counts)) if counts.any() else len(codes) // 2
        image, codes = image[:, place], codes[place]
    rgb = len(image) == 3
    scale = LONG_SIDE / max(codes.shape)
    size = (max(1, round(codes.shape[0] * scale)), max(1, round(codes.shape[1] * scale)))
    step = max(1, int(1 / scale))  # a large picture is thinned first, which is quick; thin lines stay where they are wide enough
    thin = (slice(None), slice(None, None, step), slice(None, None, step))
    shown = codes[thin[1:]]
    colours = {int(value): PALETTE[(int(value) - 1) % len(PALETTE)] for value in np.unique(shown) if value}
    plane = draw_plane(greys_of(image[thin], window_of(image[:3] if rgb else image[:1]), rgb), shown, colours, size)
    picture = Image.fromarray(plane)
    if task.box is not None:
        top, left, bottom, right = (round(edge * scale) for edge in task.box)
        ImageDraw.Draw(picture).rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=(255, 64, 64))
    save_picture(task.file, picture)
    return True


def _codes(dataset: Dataset, case: Case) -> np.ndarray | None:
    """The label with small numbers in place of its values or colours, 0 for background; None where it has too many, or cannot be read."""
    if case.label is None:
        return None
    path = dataset.path(case.label)
    try:
        array = read(path, expand_palette=dataset.encodings[case.encoding].kind == "colours").array
    except DataError:
        return None
    if is_picture(path) and len(array) in (2, 4):
        array = array[:-1]
    values = array[0].astype(np.int64)
    for channel in array[1:]:
        values = values * 256 + channel
    runs = runs_of(values)
    if len(runs.keys) > len(PALETTE) + 1:
        return (values != 0).astype(np.int32)
    number = {code: 0 if key == "0" else code + 1 for code, key in enumerate(runs.keys)}
    return np.array([number[code] for code in range(len(number))], np.int32)[runs.map()]
