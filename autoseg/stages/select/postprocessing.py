"""Which steps after the networks help: each is tried on out-of-fold masks, first for the whole foreground, then structure by structure.

Order and rule are nnU-Net's for the largest component; filled holes, specks, and ellipses come after. Every step is judged on top of those that
were adopted before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Literal

import numpy as np

from autoseg.inference.export import mask_from_winners, winners_from_mask
from autoseg.inference.postprocessing import component_sizes, postprocess
from autoseg.metrics.ellipse_agreement import ellipse_dice
from autoseg.metrics.overlap import confusion, dice, structure_counts
from autoseg.metrics.structures import ScoredStructure, match_structures
from autoseg.parallel import evenly, map_cases
from autoseg.processing.cases import load_labels
from autoseg.records import Case, Dataset, Judgement, PostprocessingStep, PredictedCase, Predictions, Spacing
from autoseg.stages.select.rule import Agreement, judge
from autoseg.volume.files import read

PLAIN = "without it"
LEAST_SHARE = 0.5  # of the smallest components that the labels hold: what is below was hardly ever drawn
SMALL_QUANTILE = 0.05  # of the cases' smallest components; the very smallest may be a slip of the pen
ELLIPTIC = 0.99  # median Dice of labels with the ellipses that fit them, from which they are ellipses; HC18's reach 0.9999
ELLIPSES_LOOKED_AT = 40
MOST_STEPS = 12  # of one round; a data set of a hundred structures is not tried structure by structure


@dataclass(frozen=True)
class _Sizes:
    """Components of the labels of one case, by structure: the smallest, in mm2 or mm3 (None: no spacing) and in pixels."""

    pixels: dict[str, int]
    physical: dict[str, float] | None


class Trial:
    """Out-of-fold masks with their labels, on which steps are tried.

    Args:
        dataset: with the cases that were predicted.
        predictions: of these cases.
        folder: of the masks.
        workers: processes.
        on_done: called with the number of cases done in a round.
    """

    def __init__(
        self,
        dataset: Dataset,
        predictions: Predictions,
        folder: Path,
        *,
        workers: int = 0,
        on_done: Callable[[int], None] | None = None,
    ):
        self.predictions, self.workers, self.on_done = predictions, workers, on_done
        self.rank = dataset.rank
        by_id = {case.id: case for case in predictions.cases if case.status == "done" and case.mask}
        self.pairs = [(case, by_id[case.id]) for case in dataset.cases if case.id in by_id]
        self.subjects = {case.id: case.subject for case, _ in self.pairs}
        structures = tuple(structure for structure in match_structures(dataset, predictions) if structure.target)
        self._case = partial(
            _tried,
            dataset=dataset.model_copy(update={"cases": ()}),
            predictions=_bare(predictions),
            folder=folder,
            structures=structures,
        )
        self._sizes = partial(_label_sizes, dataset=dataset.model_copy(update={"cases": ()}), structures=structures)
        self._likeness = partial(_ellipse_likeness, dataset=dataset.model_copy(update={"cases": ()}), structures=structures)

    def steps(self) -> tuple[tuple[PostprocessingStep, ...], tuple[Judgement, ...]]:
        """Those that help, and every comparison that was made."""
        names = [target.name for target in self.predictions.targets]
        whole = [PostprocessingStep(kind="largest_component")] if len(names) > 1 else []
        adopted: list[PostprocessingStep] = []
        judgements: list[Judgement] = []
        rounds: list[Sequence[PostprocessingStep]] = [whole]
        if len(names) <= MOST_STEPS:
            rounds += [[PostprocessingStep(kind="largest_component", structure=name) for name in names]]
            rounds += [[PostprocessingStep(kind="fill_holes", structure=name) for name in names], self._specks(names)]
            rounds.append([PostprocessingStep(kind="ellipse", structure=name) for name in self._elliptic(names)])
        if self.predictions.regions:  # what is taken from one region is taken from those within it, too
            rounds = [[candidate] for candidates in rounds for candidate in candidates]
        for candidates in rounds:
            self._round(candidates, adopted, judgements)
        return tuple(adopted), tuple(judgements)

    def _round(
        self, candidates: Sequence[PostprocessingStep], adopted: list[PostprocessingStep], judgements: list[Judgement]
    ) -> None:
        """Structures do not interfere with each other within a round, so that all are judged in one pass over the masks."""
        if not candidates:
            return
        found = list(self._map(partial(self._case, before=tuple(adopted), candidates=tuple(candidates))))
        ways = [
            {case.id: tried[place] for (case, _), tried in zip(self.pairs, found, strict=True)}
            for place in range(1 + len(candidates))
        ]
        for step, way in zip(candidates, ways[1:], strict=True):
            judgement = judge("postprocessing", (PLAIN, ways[0]), (step.told, way), self.subjects)
            judgements.append(judgement)
            if judgement.adopted:
                adopted.append(step)

    def _specks(self, names: Sequence[str]) -> list[PostprocessingStep]:
        """A component much smaller than what was drawn is no structure; per structure, where there is such a size."""
        sizes: list[_Sizes] = list(self._map(self._sizes))
        steps = []
        for name in names:
            known = [found.physical[name] for found in sizes if found.physical is not None and name in found.physical]
            drawn = [found.pixels[name] for found in sizes if name in found.pixels]
            in_pixels = len(known) < len(drawn)
            if not drawn:
                continue
            least = LEAST_SHARE * float(np.quantile(drawn if in_pixels else known, SMALL_QUANTILE))
            if least > 0:
                unit: Literal["pixels", "mm2", "mm3"] = "pixels" if in_pixels else "mm2" if self.rank == 2 else "mm3"
                least = float(f"{least:.3g}")
                steps.append(PostprocessingStep(kind="minimum_size", structure=name, least=least, unit=unit))
        return steps

    def _elliptic(self, names: Sequence[str]) -> list[str]:
        """Structures whose labels are ellipses, as of fetal heads: in 2D, by some of the cases."""
        if self.rank != 2:
            return []
        some = evenly(self.pairs, ELLIPSES_LOOKED_AT)
        found = list(map_cases(self._likeness, some, name=lambda pair: pair[0].id, workers=self.workers))
        by_name = {name: [one[name] for one in found if name in one] for name in names}
        return [name for name, figures in by_name.items() if figures and float(np.median(figures)) >= ELLIPTIC]

    def _map(self, function: Callable[[tuple[Case, PredictedCase]], object]) -> list:  # type: ignore[type-arg]
        return list(map_cases(function, self.pairs, name=lambda pair: pair[0].id, workers=self.workers, on_done=self.on_done))


def _tried(
    pair: tuple[Case, PredictedCase],
    *,
    dataset: Dataset,
    predictions: Predictions,
    folder: Path,
    structures: Sequence[ScoredStructure],
    before: tuple[PostprocessingStep, ...],
    candidates: tuple[PostprocessingStep, ...],
) -> Sequence[Agreement]:
    """Agreements of a case with the adopted steps, and with every candidate on top of them."""
    case, predicted = pair
    reference = load_labels(dataset, case)
    mask = read(folder / str(predicted.mask)).array[0]
    apply = partial(postprocess, targets=predictions.targets, regions=predictions.regions, spacing_mm=_spacing(case, predicted))
    plain = apply(winners_from_mask(mask, predictions.targets, predictions.regions), before)
    first = _agreement(reference, plain, predictions, structures, dataset.ignore_value)
    found = [first]
    for step in candidates:
        changed = apply(plain, (step,))
        found.append(first if changed is plain else _agreement(reference, changed, predictions, structures, dataset.ignore_value))
    return found


def _agreement(
    reference: np.ndarray,
    winners: np.ndarray,
    predictions: Predictions,
    structures: Sequence[ScoredStructure],
    ignore_value: int | None,
) -> dict[str, float]:
    table = confusion(reference, mask_from_winners(winners, predictions.targets, predictions.regions))
    if ignore_value is not None and ignore_value < len(table):
        table[ignore_value] = 0
    found = {}
    for structure in structures:
        counts = structure_counts(table, structure.reference_values, structure.painted_values)
        value = dice(counts)
        found[structure.name] = value if value is not None else float(counts.predicted == 0)
    return found


def _label_sizes(pair: tuple[Case, PredictedCase], *, dataset: Dataset, structures: Sequence[ScoredStructure]) -> _Sizes:
    case, predicted = pair
    reference, spacing = load_labels(dataset, case), _spacing(case, predicted)
    sizes = {one.name: component_sizes(np.isin(reference, list(one.reference_values))) for one in structures}
    pixels = {name: int(found.min()) for name, found in sizes.items() if len(found)}
    return _Sizes(pixels, None if spacing is None else {name: prod(spacing) * size for name, size in pixels.items()})


def _ellipse_likeness(
    pair: tuple[Case, PredictedCase], *, dataset: Dataset, structures: Sequence[ScoredStructure]
) -> dict[str, float]:
    """Dice of each structure's label with the ellipse that fits it, 0 where none does; structures that are absent are left out."""
    case, predicted = pair
    reference, spacing = load_labels(dataset, case), _spacing(case, predicted) or (1.0, 1.0)
    masks = {one.name: np.isin(reference, list(one.reference_values)) for one in structures}
    return {name: ellipse_dice(mask, spacing) or 0.0 for name, mask in masks.items() if mask.any()}


def _spacing(case: Case, predicted: PredictedCase) -> Spacing | None:
    return case.spacing_mm or predicted.spacing_mm


def _bare(predictions: Predictions) -> Predictions:
    """Without cases: it is sent along with every case."""
    return predictions.model_copy(update={"cases": ()})
