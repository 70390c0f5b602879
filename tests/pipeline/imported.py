"""Small sets to be imported, and what comes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from autoseg.records import Dataset
from autoseg.stages.index import index_dataset

SHAPE = (20, 30)


def picture(path: Path, values: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 255, SHAPE).astype(np.uint8) if values is None else values).save(path)
    return path


def boxes() -> np.ndarray:
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:15, 3:20], labels[5:9, 6:12] = 1, 2
    return labels


def indexed(folder: Path) -> Dataset:
    dataset, faults = index_dataset(folder)
    assert dataset is not None and not faults
    return dataset
