"""What every record shares: frozen, strict, all faults at once, atomic writing, and a digest.

A record is written to disk as JSON and holds facts: no arrays, and no behaviour beyond load, save and digest.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from autoseg.errors import RecordError
from autoseg.records.faults import field_faults
from autoseg.writing import part_of, telling_full_disk

Shape = tuple[int, ...]
Spacing = tuple[float, ...]


class Part(BaseModel):
    """A piece of a record."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid", allow_inf_nan=False)

    def digest(self) -> str:
        """Twelve hex digits of the SHA-256 of the canonical JSON."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]


class Record(Part):
    """A file of its own; subclasses set `FORMAT` and bump it when a field changes its meaning."""

    FORMAT: ClassVar[int] = 1
    OTHER_FORMAT: ClassVar[str] = "use the version that wrote it"  # what to do about a file of another format
    format: int = 1

    def save(self, path: Path) -> None:
        """Write as JSON, atomically."""
        write_text(path, self.text())

    def text(self) -> str:
        """As it stands in its file."""
        return self.model_dump_json(indent=1) + "\n"

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read and check.

        Raises:
            RecordError: missing, not JSON, of another format, or with faults (all of them are listed).
        """
        text = _read(path)
        try:
            content = json.loads(text, object_pairs_hook=_with_unique_keys)
        except RecursionError as error:
            raise RecordError(f"{path} is not a valid {cls.__name__} record: it is nested too deeply") from error
        except ValueError as error:
            raise RecordError(f"{path} is not a valid {cls.__name__} record: it is no proper JSON ({error})") from error
        found = content.get("format", cls.FORMAT) if isinstance(content, dict) else cls.FORMAT
        if isinstance(found, int) and found != cls.FORMAT:
            raise RecordError(f"{path} has format {found}, this version reads {cls.FORMAT}; {cls.OTHER_FORMAT}")
        if faults := cls.faults_in(content):
            listed = "\n".join(f"  {fault}" for fault in faults)
            raise RecordError(f"{path} is not a valid {cls.__name__} record:\n{listed}")
        return cls.model_validate_json(text, strict=True)

    @classmethod
    def faults_in(cls, content: Any) -> list[str]:
        """All faults of a file's content, each as `path: what is wrong`; empty when it is valid."""
        try:
            cls.model_validate_json(json.dumps(content), strict=True)
        except ValidationError as error:
            return field_faults(cls, error)
        return []


def lies_inside(name: str) -> bool:
    """Whether a name in a record can be a file in the record's folder: a record from elsewhere must not reach out of it."""
    return bool(name) and "\0" not in name and not name.startswith(("/", "\\")) and ".." not in re.split(r"[/\\]", name)


def _with_unique_keys(pairs: list[tuple[str, object]]) -> object:
    """Of two values for one key, JSON would silently take the last."""
    keys = [key for key, _ in pairs]
    if twice := [key for key in dict.fromkeys(keys) if keys.count(key) > 1]:
        raise ValueError(f"keys that stand twice in one object: {', '.join(twice)}")
    return dict(pairs)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # editors on Windows put a mark in front
    except FileNotFoundError as error:
        raise RecordError(f"{path} does not exist") from error
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path} cannot be read ({error})") from error


def write_text(path: Path, text: str) -> None:
    """Write a text file so that it is either whole or not there."""
    write_texts({path: text})


def write_texts(texts: Mapping[Path, str]) -> None:
    """Write files that belong together: none is replaced before all could be written.

    The last one vouches for the others: where it is, they are whole, so an old one goes before the first is replaced.

    Raises:
        DiskFull: there is no room; what was there before is intact.
    """
    temporary = {path: part_of(path) for path in texts}
    try:
        for path, text in texts.items():
            with telling_full_disk(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                temporary[path].write_text(text, encoding="utf-8")
        *others, last = texts
        if others:
            last.unlink(missing_ok=True)
        for path in texts:
            os.replace(temporary[path], path)
    except BaseException:
        for part in temporary.values():  # half of it, where the disk is full or someone stopped the program
            part.unlink(missing_ok=True)
        raise
