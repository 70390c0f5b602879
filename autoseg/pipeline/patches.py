"""A sheet of pictures: training patches of a run as they are, and as training sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from autoseg.errors import DataError, RunFolderError
from autoseg.inference.sheet import Cell, Row, save_sheet
from autoseg.learning.augmentation import Augmentation, SampleDraw
from autoseg.learning.sampler import PatchSampler
from autoseg.pipeline.fold_checks import cases_of
from autoseg.processing.store import PreparedCase, open_case
from autoseg.progress import Progress
from autoseg.records import FULL, Configuration, Splits, Structure

UNVARIED = "as it is"
NOTHING = "nothing fired"


def draw_sheet(
    path: Path,
    targets: Sequence[Structure],
    configuration: Configuration,
    members: tuple[str, ...],
    prepared: Path,
    *,
    cases: int,
    variants: int,
    seed: int,
    progress: Progress,
) -> None:
    """Each row a case: a patch centred on a structure of it, then variants of the same patch, drawn as in training."""
    chosen = np.random.default_rng(seed).permutation(len(members))[:cases]
    names, shown = named_values(targets)
    opened = [open_case(prepared, members[index]) for index in sorted(chosen)]
    progress.stage("drawing", len(opened))
    rows = []
    for index, case in enumerate(opened):
        rows.append(_row(case, configuration, shown, variants, (seed, index)))
        progress.advance(index + 1)
    spacing = configuration.preparation.spacing_mm
    height, width = spacing[-2:] if spacing is not None else (None, None)
    save_sheet(
        path,
        rows,
        names,
        rgb=configuration.preparation.normalization[0].scheme == "rgb_to_0_1",
        pixel_ratio=height / width if height and width else 1.0,
    )


def training_cases(splits: Splits, fold: str, root: Path) -> tuple[str, ...]:
    """Cases that a fold is trained on.

    Raises:
        RunFolderError: there is no such fold.
        DataError: it has none.
    """
    if fold != FULL and not (fold.isdecimal() and int(fold) < len(splits.folds)):
        raise RunFolderError(f"there is no fold {fold}; {root} has folds 0 to {len(splits.folds) - 1}, and `{FULL}`")
    members = cases_of(splits, fold).train
    if not members:
        raise DataError(f"fold {fold} of {root} has no case to train on; take another --fold")
    return members


def named_values(targets: Sequence[Structure]) -> tuple[dict[int, str], Mapping[int, int]]:
    """Names of what is drawn, and for each label value under which of them it is; of nested structures the smallest."""
    names = {index: target.name for index, target in enumerate(targets, start=1)}
    order = sorted(names, key=lambda index: -len(targets[index - 1].values))
    return names, {value: index for index in order for value in targets[index - 1].values}


def _row(case: PreparedCase, configuration: Configuration, shown: Mapping[int, int], variants: int, seed: tuple[int, ...]) -> Row:
    augmentation = Augmentation.of(configuration)
    sampler = PatchSampler([case], configuration.training, slice_axis=configuration.slice_axis, stream=())
    rng = np.random.default_rng(seed)
    draws = (SampleDraw(configuration.training.patch_size), *(augmentation.draw(rng) for _ in range(variants)))
    batch = augmentation.apply(sampler.at_one_place(case, rng, draws), torch.device("cpu"))
    cells = []
    for index, (image, labels, draw) in enumerate(zip(batch.images.numpy(), batch.labels[:, 0].numpy(), draws, strict=True)):
        if labels.ndim == 3:  # a volume is shown by its middle slice
            image, labels = image[:, image.shape[1] // 2], labels[labels.shape[0] // 2]
        marks = np.zeros_like(labels)
        for value, name in shown.items():
            marks[labels == value] = name
        cells.append(Cell(image, marks, draw.words() or (NOTHING if index else UNVARIED,)))
    return Row(case.id, tuple(cells))
