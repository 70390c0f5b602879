"""What a data set says of itself beside its cases: description, reference, licence."""

from __future__ import annotations

import json
from pathlib import Path

KEYS = (
    "description",
    "reference",
    "licence",
    "license",
    "release",
    "url",
    "authors",
)  # of nnU-Net, the Decathlon, and our own folders
MOST_BYTES = 64 * 2**20


def documentary(root: Path) -> dict[str, str]:
    """Texts by key, from the `dataset.json` of a data set; empty where there is none, or it cannot be read (any more)."""
    path = root / "dataset.json"
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            return {}
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {key: text for key in KEYS if isinstance(text := content.get(key), str) and text.strip()}
