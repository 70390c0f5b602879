"""Weights files: safetensors, checked against the hash in their record; no pickle is ever loaded."""

from __future__ import annotations

import hashlib
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from autoseg.errors import RecordError, RunFolderError


def read_tensors(path: Path, sha256: str | None = None) -> dict[str, Tensor]:
    """Named tensors of a file, in main memory.

    Args:
        path: a safetensors file.
        sha256: what the record that names the file states; None does not check.

    Raises:
        RunFolderError: the file is missing.
        RecordError: it is damaged, or not what the record describes.
    """
    cure = "copy it again, or delete the fold's folder to train it anew"
    if not path.is_file():
        raise RunFolderError(f"{path}: a record names this file, but it is missing; {cure}")
    if sha256 is not None and (found := file_sha256(path)) != sha256:
        raise RecordError(
            f"{path}: its record states SHA-256 {sha256[:12]}..., the file has {found[:12]}...: it was changed or damaged; {cure}"
        )
    try:
        return load_file(path, device="cpu")
    except SafetensorError as error:
        raise RecordError(f"{path} is damaged ({error}); {cure}") from error


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
