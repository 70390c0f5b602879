"""Sizes, durations, numbers and files as written on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from autoseg.cli_values import duration, parse_memory, parse_number_or_file, parse_seconds, parse_subjects


@pytest.mark.parametrize(
    ("text", "size"), [("8GB", 8 * 10**9), ("8 gib", 8 * 2**30), ("500MB", 5 * 10**8), ("1.5GB", 15 * 10**8), ("1TB", 10**12)]
)
def test_memory(text: str, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["8", "GB", "-8GB", "0GB", "nanGB", "infGB", "8 apples", ""])
def test_memory_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="--memory"):
        parse_memory(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("20m", 1200), ("20min", 1200), ("1h30m", 5400), ("1.5h", 5400), ("1h1m1s", 3661)]
)
def test_seconds(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["20", "0s", "", "m", "20m1h", "-20m", "20 minutes"])
def test_seconds_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="--time-budget"):
        parse_seconds(text)


def test_number_or_file(tmp_path: Path) -> None:
    table = tmp_path / "pixel_size.csv"
    table.write_text("name,mm\n")
    assert parse_number_or_file("0.2", "--hold-out") == 0.2
    assert parse_number_or_file(str(table), "--spacing") == table
    for wrong in ("0", "-1", "nan", "inf", str(tmp_path / "absent.csv"), str(tmp_path)):
        with pytest.raises(typer.BadParameter, match="--spacing"):
            parse_number_or_file(wrong, "--spacing")


def test_subjects(tmp_path: Path) -> None:
    table = tmp_path / "subjects.csv"
    table.write_text("name,subject\n")
    assert parse_subjects(None) is None
    assert parse_subjects(str(table)) == table
    assert parse_subjects(r"(\d+)_") == r"(\d+)_"
    with pytest.raises(typer.BadParameter, match="regular expression"):
        parse_subjects("(")


@pytest.mark.parametrize(("seconds", "words"), [(0, "0 s"), (42.4, "42 s"), (420, "7 min"), (7260, "2 h 1 min")])
def test_duration(seconds: float, words: str) -> None:
    assert duration(seconds) == words
