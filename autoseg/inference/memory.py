"""Main memory of a prediction: what a case will take, how many tiles go through the network at once, and whose turn it is.

A case is judged by its files' headers before a value is read. The constants are measured: volumes of 13 and 26 million voxels in uint8,
int16, float32 and float64, on the grid of the network, on a coarser and on a finer one, took 9 to 16.4 bytes a voxel and channel to
read and prepare, and up to 30.6 where the network's grid is finer.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field, replace
from math import prod

import psutil
import torch

from autoseg.engines import Engine
from autoseg.engines.device import available_memory, peak_memory, return_freed_memory
from autoseg.errors import CaseTooLarge
from autoseg.inference.case import Job, assumed_spacing, listed_spacing
from autoseg.inference.decision import CHUNK_PIXELS
from autoseg.inference.evidence import evidence_bytes
from autoseg.inference.inputs import PredictionInput
from autoseg.inference.mirroring import mirror_subsets
from autoseg.inference.tiling import centred_padding
from autoseg.processing.prepare import prepared_shape
from autoseg.records import Shape
from autoseg.volume.files import read_header

READING_BYTES = 16.5  # per voxel and channel of the file: float64 as it is read, and a copy
RESAMPLING_BYTES = 8  # per voxel and channel of the network's grid, beside as much for the image's own
FLOAT_BYTES = 4
LOGITS_AT_ONCE = 3  # of a tile beside those that the network returns: their sum over folds and mirrored copies, one turned back
CHUNKS = 6  # of a decision: one output's values, the best so far, comparisons
FINE_STEPS = 1.1  # what the parts add up to beside the large ones


@dataclass(frozen=True)
class Capacity:
    """What cases may take beside the program and its networks.

    Args:
        bytes: for all cases under way together.
        held: by the program and the networks already.
        tile_bytes: what one more tile in a batch takes.
        limit: what the user allowed for all; None if nothing was said.
    """

    bytes: int
    held: int
    tile_bytes: int = 0
    limit: int | None = None

    @classmethod
    def measured(cls, job: Job, engines: tuple[Engine, ...], limit: int | None) -> Capacity:
        """Let every engine see a tile, which makes it take what it keeps and tells what a tile takes, and find what is left.

        Args:
            job: what is predicted.
            engines: that will be in memory.
            limit: bytes that the program may take in all; None: what the machine has left.
        """
        sliding = job.sliding
        tile = torch.zeros(1, job.configuration.network.in_channels, *sliding.patch_size)
        logits = FLOAT_BYTES * sliding.n_outputs * prod(sliding.patch_size)
        forward = max((_forward_bytes(engine, tile) for engine in engines if engine.device.type == "cpu"), default=0)
        per_tile = forward + LOGITS_AT_ONCE * logits
        if job.evidence:
            folds, copies = max(engine.n_folds for engine in engines), len(mirror_subsets(sliding.inference.mirror_axes))
            per_tile += evidence_bytes(sliding.n_outputs, sliding.patch_size, folds, copies, sliding.regions)
        return_freed_memory()
        held = psutil.Process().memory_info().rss + per_tile  # of a batch of one
        left = available_memory() - per_tile if limit is None else limit - held
        return cls(max(0, left), held, per_tile, limit)

    def tiles_for(self, case_bytes: int, planned: int) -> int:
        """Tiles per forward pass beside a case: as planned, but for more than one at most half of what the case leaves."""
        spare = (self.bytes - case_bytes) // 2
        return planned if self.tile_bytes == 0 else max(1, min(planned, 1 + spare // self.tile_bytes))

    def refuse(self, item: PredictionInput, case_bytes: int) -> None:
        """Say what would do.

        Raises:
            CaseTooLarge: the case does not fit.
        """
        if case_bytes <= self.bytes:
            return
        wanted = _gigabytes(self.held + case_bytes)
        if self.limit is not None:
            cure = f"give --memory {wanted}"
            where = (
                f"beside the {_gigabytes(self.held)} of the program and its networks; --memory allows {_gigabytes(self.limit)}"
            )
        else:
            cure = "close other programs, take a machine with more, or split the image"
            where = f"beside the program and its networks; this machine has {_gigabytes(self.bytes)} left"
        raise CaseTooLarge(f"{item.id}: it needs about {_gigabytes(case_bytes)} of memory {where}: {cure}")


@dataclass
class Room:
    """Lets cases in one after another, as long as all under way fit together; the first always may."""

    capacity: int
    _taken: dict[str, int] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _closed: bool = False

    def enter(self, case: str, n_bytes: int) -> None:
        """Wait for a place.

        Raises:
            RuntimeError: the work ends early; nobody asks for this case any more.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or not self._taken or sum(self._taken.values()) + n_bytes <= self.capacity
            )
            if self._closed:
                raise RuntimeError("the work has ended")
            self._taken[case] = n_bytes

    def leave(self, case: str) -> None:
        """Give the place back; more than once does no harm."""
        with self._changed:
            self._taken.pop(case, None)
            self._changed.notify_all()

    def close(self) -> None:
        """Send away all who wait, as the work ends early."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def case_bytes(item: PredictionInput, job: Job) -> int:
    """What a case takes at most from reading to writing, one tile at a time in the network.

    Raises:
        DataError: a header cannot be read.
    """
    header = read_header(item.files[0], job.trust_file_spacing)
    channels = max(header.channels, len(item.files))
    spacing = listed_spacing(item, job) or header.spacing_mm or assumed_spacing(job)
    preparation = job.configuration.preparation
    if len(preparation.transpose) != header.geometry.rank:
        return 0  # it will be refused for that
    inner = prepared_shape(header.shape, header.geometry.with_spacing(spacing), preparation)
    return _bytes_for(job, channels, prod(header.shape), inner)


def _bytes_for(job: Job, channels: int, voxels: int, inner: Shape) -> int:
    sliding, inner_voxels = job.sliding, prod(inner)
    masks = job.configuration.network.in_channels - len(job.plan.channels)  # a cascade's
    reading = channels * max(READING_BYTES * voxels, RESAMPLING_BYTES * (voxels + inner_voxels))
    padded = any(map(any, centred_padding(inner, sliding.grid(inner).patch)))
    image = FLOAT_BYTES * (channels + masks) * inner_voxels * (3 if padded else 2 if masks else 1)
    picture = FLOAT_BYTES * channels * voxels if "overlay" in job.save else 0
    results = voxels * (2 if sliding.n_outputs >= 256 else 1)
    uncertainty = 2 * voxels if "uncertainty" in job.save else 0
    results = 2 * (results + uncertainty)  # of the engine and of the reference, while they are compared
    deciding = CHUNKS * FLOAT_BYTES * min(CHUNK_PIXELS, voxels) * (sliding.n_outputs if "probabilities" in job.save else 1)
    network = image + sliding.band_bytes(inner) + deciding
    writing = 2 * voxels + 3 * uncertainty
    return int(FINE_STEPS * (picture + max(reading, results + max(network, writing))))


def with_tiles(job: Job, tiles: int) -> Job:
    """The job with so many tiles per forward pass."""
    configuration = job.configuration
    if tiles == configuration.inference.tile_batch_size:
        return job
    inference = configuration.inference.model_copy(update={"tile_batch_size": tiles})
    return replace(job, configuration=configuration.model_copy(update={"inference": inference}))


def _forward_bytes(engine: Engine, tiles: torch.Tensor) -> int:
    """What a forward pass takes at most; 0 where it cannot be told."""
    with peak_memory(engine.device) as peak, torch.inference_mode():
        for logits in engine(tiles):
            del logits
            break  # the folds' networks are alike
    return peak.bytes or 0


def _gigabytes(n_bytes: float) -> str:
    """Rounded up, so that what is said suffices."""
    return f"{math.ceil(n_bytes / 1e7) / 100:.2f}GB"
