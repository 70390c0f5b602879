"""Several networks' probabilities of one image, averaged, as nnU-Net ensembles configurations.

The files of `--save probabilities` are read class by class, so that what is in memory is a few volumes, whatever the number of classes.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from math import prod
from pathlib import Path
from typing import IO

import numpy as np

from autoseg.errors import DataError
from autoseg.inference.export import PROBABILITIES
from autoseg.writing import whole_file

REGION_THRESHOLD = 0.5


def merged_winners(files: Sequence[Path], *, regions: bool) -> np.ndarray:
    """The winner of every pixel by the mean of the members' probabilities.

    Args:
        files: one of each member, (K, *original) of one shape.
        regions: outputs overlap: later ones are painted over earlier ones where the mean is above 0.5; else the largest mean wins, the
            smallest index where several tie.

    Raises:
        DataError: a file cannot be read, or the shapes differ.
    """
    best: np.ndarray | None = None
    winners: np.ndarray | None = None
    for output, mean in enumerate(mean_probabilities(files)):
        if winners is None:
            winners = np.zeros(mean.shape, np.uint16)
        if regions:
            winners[mean > REGION_THRESHOLD] = output + 1
        elif best is None:
            best = mean
        else:
            np.copyto(winners, output, where=mean > best)
            np.maximum(best, mean, out=best)
    if winners is None:
        raise DataError(f"{files[0]} holds no probabilities")
    return winners


def mean_probabilities(files: Sequence[Path]) -> Iterator[np.ndarray]:
    """Of one output after another, float32 `(*original)`."""
    with ExitStack() as opened:
        members = [_Volumes(opened, file) for file in files]
        if len({member.shape for member in members}) > 1:
            told = ", ".join(f"{file} {member.shape}" for file, member in zip(files, members, strict=True))
            raise DataError(f"probabilities of one image differ in shape: {told}")
        for _ in range(members[0].shape[0]):
            total = members[0].next()
            for member in members[1:]:
                total += member.next()
            yield total / np.float32(len(members))


class _Volumes:
    """One output after another of a compressed NPZ."""

    def __init__(self, opened: ExitStack, file: Path):
        self.file = file
        try:
            archive = opened.enter_context(zipfile.ZipFile(file))
            self._stream: IO[bytes] = opened.enter_context(archive.open(f"{PROBABILITIES}.npy"))
            version = np.lib.format.read_magic(self._stream)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            self.shape, fortran, self.dtype = read(self._stream)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise DataError(f"{file} cannot be read ({error}); delete it to predict the case again") from error
        if fortran:
            raise DataError(f"{file} is not in the order that autoseg writes; delete it to predict the case again")

    def next(self) -> np.ndarray:
        n_bytes = prod(self.shape[1:]) * self.dtype.itemsize
        try:
            content = self._stream.read(n_bytes)
        except (OSError, zipfile.BadZipFile) as error:
            raise DataError(f"{self.file} is damaged ({error}); delete it to predict the case again") from error
        if len(content) < n_bytes:
            raise DataError(f"{self.file} ends too early; delete it to predict the case again")
        return np.frombuffer(content, self.dtype).reshape(self.shape[1:]).astype(np.float32)


def save_mean(files: Sequence[Path], path: Path) -> None:
    """Write the mean probabilities as `predict --save probabilities` does, float16 and output by output, atomically."""
    with ExitStack() as opened:
        shape = _Volumes(opened, files[0]).shape
    with (
        whole_file(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(f"{PROBABILITIES}.npy", "w", force_zip64=True) as sink,
    ):
        header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.float16)), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(sink, header)
        for mean in mean_probabilities(files):
            sink.write(np.ascontiguousarray(mean, np.float16).tobytes())
