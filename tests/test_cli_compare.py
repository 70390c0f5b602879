"""The verb `compare`: what it passes on, and the table that it prints."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from autoseg.cli_compare import COLUMNS, better_side, compare_report
from autoseg.errors import DataError
from autoseg.metrics.comparison import BETTER, FigureComparison
from autoseg.pipeline.comparing import Comparison

from .conftest import exit_code

DICE = FigureComparison(
    structure="head [x]",
    figure="dice",
    better="higher",
    cases=20,
    subjects=12,
    mean_a=0.9,
    mean_b=0.925,
    difference=0.025,
    interval=(0.01, 0.04),
    p=0.00004,
    p_holm=0.0012,
    effect=0.8,
    effect_interval=(0.5, 0.95),
)


def _other(**changes: Any) -> FigureComparison:
    from dataclasses import replace

    return replace(DICE, **changes)


def _comparison(*figures: FigureComparison, notes: tuple[str, ...] = ()) -> Comparison:
    return Comparison("a (2d)", "b (2d)", 20, 12, figures, "ml", 1.5, notes)


def _text(found: Comparison) -> str:
    console = Console(file=io.StringIO(), width=160)
    for part in compare_report(found):
        console.print(part, markup=False, highlight=False)
    return console.file.getvalue()  # type: ignore[attr-defined]


def _cells(text: str, word: str) -> list[str]:
    line = next(line for line in text.splitlines() if word in line)
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_rows_and_what_is_said_of_them() -> None:
    size = _other(
        figure="absolute_relative_size_error", better="lower", mean_a=0.10, mean_b=0.08, difference=-0.02, interval=None
    )
    text = _text(
        _comparison(
            DICE,
            _other(figure="surface_dice", p=0.2, p_holm=0.4),
            _other(figure="absolute_size_error", better="lower", p=None, p_holm=None, effect_interval=None),
            size,
            notes=("compared on fold 0 of 5",),
        )
    )
    assert _cells(text, " Dice ")[:7] == ["head [x]", "Dice", "20", "0.900", "0.925", "+0.025 [+0.010..+0.040]", "< 0.001"]
    assert _cells(text, " Dice ")[7:] == ["0.001", "+0.80 [+0.50..+0.95]", "B"]
    assert _cells(text, "surface Dice 1.5 mm")[-3:] == ["0.400", "+0.80 [+0.50..+0.95]", "-"]
    assert _cells(text, "size error ml")[-4:] == ["-", "-", "+0.80", "-"]
    assert _cells(text, "size error %")[3:6] == ["10.0", "8.0", "-2.0"]
    assert "A: a (2d)" in text and "20 cases of 12 subjects" in text and "note: compared on fold 0 of 5" in text
    assert "Wilcoxon" in text and "rank-biserial" in text


def test_nothing_to_compare_is_said() -> None:
    assert "no structure is present" in _text(_comparison())


@pytest.mark.parametrize(
    ("better", "effect", "p_holm", "side"),
    [
        ("higher", 0.5, 0.01, "B"),
        ("higher", -0.5, 0.01, "A"),
        ("lower", 0.5, 0.01, "A"),
        ("lower", -0.5, 0.049, "B"),
        ("lower", -0.5, 0.05, "-"),
        ("higher", 0.5, None, "-"),
        ("higher", 0.0, 0.01, "-"),
    ],
)
def test_which_is_better(better: str, effect: float, p_holm: float | None, side: str) -> None:
    assert better_side(_other(better=better, effect=effect, p_holm=p_holm)) == side


def test_every_figure_has_a_name() -> None:
    assert tuple(COLUMNS) == tuple(BETTER)


def test_everything_is_passed_on(replaced: Any, capsys: pytest.CaptureFixture[str]) -> None:
    compare = replaced("compare", _comparison(DICE))
    words = "compare a b --configuration 2d --configuration 3d_fullres --figure dice --figure iou"
    assert exit_code(*words.split()) == 0
    assert compare.call_args.args == (Path("a"), Path("b"))
    assert compare.call_args.kwargs == {"configurations": ("2d", "3d_fullres"), "figures": ("dice", "iou")}
    assert "head [x]" in capsys.readouterr().out


def test_json_stands_alone(replaced: Any, capsys: pytest.CaptureFixture[str]) -> None:
    compare = replaced("compare", _comparison(DICE, notes=("a note",)))
    assert exit_code("compare", "a", "b", "--json") == 0
    assert compare.call_args.kwargs == {"configurations": (), "figures": ()}
    found = json.loads(capsys.readouterr().out)
    assert found["figures"][0]["p_holm"] == 0.0012 and found["notes"] == ["a note"] and found["subjects"] == 12


def test_a_refusal_is_a_sentence(replaced: Any, capsys: pytest.CaptureFixture[str]) -> None:
    replaced("compare", DataError("the cases validated in fold 0 differ: only A has x"))
    assert exit_code("compare", "a", "b") == 2
    assert "error: the cases validated in fold 0 differ" in capsys.readouterr().err
