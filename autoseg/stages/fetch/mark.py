"""What a folder that was fetched holds: the set's name, the archives that are unpacked, and the files that came out of each.

One line each: `set NAME`, an archive's checksum, and below it `file SIZE PATH`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from autoseg.writing import whole_file

NAMED, HELD = "set ", "file "  # begin lines


@dataclass
class Mark:
    """By the checksum of each archive: its files and their sizes; none where an older version of autoseg wrote the mark."""

    name: str | None = None
    archives: dict[str, dict[str, int]] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Mark:
        """An empty one where there is no file."""
        mark, files = cls(), dict[str, int]()
        for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
            if line.startswith(NAMED):
                mark.name = line.removeprefix(NAMED)
            elif line.startswith(HELD):
                size, _, name = line.removeprefix(HELD).partition(" ")
                files[name] = int(size)
            elif line.strip():
                files = mark.archives.setdefault(line, {})
        return mark

    def save(self, path: Path) -> None:
        """Atomically."""
        lines = [f"{NAMED}{self.name}"]
        for checksum, files in sorted(self.archives.items()):
            lines += [checksum, *(f"{HELD}{size} {name}" for name, size in sorted(files.items()))]
        with whole_file(path) as part:
            part.write_text("\n".join(lines) + "\n", encoding="utf-8")


def missing_of(files: Mapping[str, int], folder: Path) -> list[str]:
    """Those that are not there any more."""
    return [name for name in files if not (folder / name).is_file()]


def changed_of(files: Mapping[str, int], folder: Path) -> list[str]:
    """Those that are there, and of another size."""
    return [name for name, size in files.items() if (folder / name).is_file() and (folder / name).stat().st_size != size]
