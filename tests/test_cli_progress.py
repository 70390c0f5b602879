"""Progress lines with a clock that is an argument, and bars on a pretended terminal."""

from __future__ import annotations

import io

from rich.console import Console

from autoseg.cli_progress import PlainProgress, shown_progress


def test_plain_lines_are_at_least_ten_seconds_apart() -> None:
    lines: list[str] = []
    now = [0.0]
    progress = PlainProgress(lines.append, clock=lambda: now[0])
    progress.stage("fold 0", total=30)
    for done in range(1, 31):
        now[0] = float(done)  # one second each
        progress.advance(done, f"Dice 0.{done:02d}")
    assert lines == [
        "fold 0",
        "fold 0: 10/30, Dice 0.10, 20 s left",
        "fold 0: 20/30, Dice 0.20, 10 s left",
        "fold 0: 30/30, Dice 0.30",
    ]


def test_plain_lines_of_unknown_length_and_messages() -> None:
    lines: list[str] = []
    now = [0.0]
    progress = PlainProgress(lines.append, clock=lambda: now[0])
    progress.stage("reading")
    progress.advance(5)
    now[0] = 11.0
    progress.advance(7)
    progress.message("halved the batch")
    assert lines == ["reading", "reading: 7", "halved the batch"]


def test_output_to_a_file_has_no_escape_codes_and_no_markup() -> None:
    stream = io.StringIO()
    with shown_progress(Console(file=stream, force_terminal=False)) as progress:
        progress.stage("fold [0]", total=1)
        progress.advance(1, "loss [red]0.5")
    assert stream.getvalue() == "fold [0]\nfold [0]: 1/1, loss [red]0.5\n"


def test_a_terminal_sees_bars_and_full_ones_for_stages_that_are_over() -> None:
    stream = io.StringIO()
    with shown_progress(Console(file=stream, force_terminal=True, width=120)) as progress:
        progress.advance(3)  # before any stage: nothing to draw
        progress.stage("measuring", total=8)
        progress.advance(5, "case_05")
        progress.stage("training", total=2)
        progress.message("resumed at epoch [1]")
        progress.advance(2)
    text = stream.getvalue()
    assert "measuring" in text and "8/8" in text
    assert "training" in text and "2/2" in text
    assert "resumed at epoch [1]" in text
