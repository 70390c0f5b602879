"""Tables of a data set that is written in the layout `folders`: sizes of pixels, and subjects."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from autoseg.records import Spacing, write_text

PIXEL_SIZES, SUBJECTS = "pixel_size.csv", "subjects.csv"


def save_pixel_sizes(path: Path, names: Iterable[str], spacings: Mapping[str, Spacing]) -> None:
    """A table of pixel sizes (y, x) in mm, empty where they are unknown; see `mm_table` for how it is read."""
    header = ("image", "pixel size x (mm)", "pixel size y (mm)")
    rows = [
        (name, f"{spacings[name][1]:.9g}", f"{spacings[name][0]:.9g}") if name in spacings else (name, "", "") for name in names
    ]
    _save(path, header, rows)


def save_subjects(path: Path, subjects: Mapping[str, str]) -> None:
    """A table of the subject of each case; `dataset.json` names it as `subjects`."""
    _save(path, ("image", "subject"), list(subjects.items()))


def _save(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    write_text(path, text.getvalue())
