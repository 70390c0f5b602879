"""Values as people write them on a command line: sizes, durations, "a number or a file". A wrong one is a usage error."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import typer

C = TypeVar("C", bound=str)


def parse_memory(text: str) -> int:
    """Bytes in "8GB" (10^9), "8GiB" (2^30), "500MB"."""
    units = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
    number = text.strip().lower().rstrip("bgikmt")
    unit = text.strip().lower()[len(number) :]
    try:
        size = int(float(number) * units[unit])
    except (KeyError, ValueError, OverflowError):
        size = 0
    if size <= 0:
        raise typer.BadParameter(f"--memory is a size such as 8GB or 500MB, not {text!r}")
    return size


def parse_seconds(text: str, flag: str = "--time-budget") -> float:
    """Seconds in "90s", "20m", "1h30m"."""
    match = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?:in)?)?(?:(\d+(?:\.\d+)?)s)?", text.strip().lower())
    seconds = sum(float(n) * unit for n, unit in zip(match.groups("0"), (3600, 60, 1), strict=True)) if match else 0.0
    if seconds <= 0:
        raise typer.BadParameter(f"{flag} is a duration such as 90s, 20m or 1h30m, not {text!r}")
    return seconds


def parse_number_or_file(text: str, flag: str) -> float | Path:
    """A positive number, or the path of an existing file."""
    try:
        number = float(text)
    except ValueError:
        path = Path(text)
        if not path.is_file():
            raise typer.BadParameter(f"{flag}: {text!r} is neither a number nor a file") from None
        return path
    if not 0 < number < float("inf"):
        raise typer.BadParameter(f"{flag} must be positive, not {text}")
    return number


def parse_choices(texts: Sequence[str], choices: Sequence[C], flag: str) -> tuple[C, ...]:
    """Some of the choices, from an option that may be repeated and may hold several with commas between them."""
    by_name = {str(choice): choice for choice in choices}
    words = [word.strip() for text in texts for word in text.split(",")]
    if unknown := [word for word in words if word not in by_name]:
        raise typer.BadParameter(f"{flag}: {unknown[0]!r} is none of {', '.join(by_name)}")
    return tuple(dict.fromkeys(by_name[word] for word in words))


def parse_subjects(text: str | None) -> str | Path | None:
    """A table if such a file exists, else a regular expression."""
    if text is None or Path(text).is_file():
        return None if text is None else Path(text)
    try:
        re.compile(text)
    except re.error as error:
        raise typer.BadParameter(f"--subjects: {text!r} is neither a file nor a regular expression ({error})") from None
    return text


def parse_structures(texts: Sequence[str], least: int = 1) -> dict[str, tuple[int, ...]] | None:
    """NAME=VALUE or NAME=VALUE+VALUE, with values of at least so much, as a usage error where it is neither."""
    found: dict[str, tuple[int, ...]] = {}
    for text in texts:
        name, sign, values = text.rpartition("=")
        parts = [part.strip() for part in values.split("+")]
        if not name.strip() or not sign or not all(part.isdecimal() and int(part) >= least for part in parts):
            raise typer.BadParameter(f"--structure is NAME=VALUE, or NAME=VALUE+VALUE, with values from {least} on, not {text!r}")
        if name.strip() in found:
            raise typer.BadParameter(f"--structure names {name.strip()!r} twice; join values with +")
        found[name.strip()] = tuple(int(part) for part in parts)
    return found or None


def duration(seconds: float) -> str:
    """Seconds in words: "42 s", "7 min", "1 h 20 min"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
