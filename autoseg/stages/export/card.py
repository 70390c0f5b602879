"""The facts of a model card: the data over the whole set, and the figures of the cross-validation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from autoseg import __version__
from autoseg.metrics.scoring import summarise
from autoseg.records import (
    FULL,
    CaseFacts,
    Configuration,
    Dataset,
    Extent,
    Fingerprint,
    ModelCard,
    Plan,
    Scores,
    Splits,
    StructureFacts,
    ValidationFigures,
)
from autoseg.stages.export.privacy import Names

MOST_CHARACTERS = 600  # of what a data set says of itself


def card_of_run(
    plan: Plan,
    configuration: Configuration,
    folds: Sequence[str],
    dataset: Dataset,
    *,
    fingerprint: Fingerprint | None,
    splits: Splits | None,
    scores: Mapping[str, Scores],
    source: Mapping[str, str],
) -> ModelCard:
    """The card of a model that was trained here, or imported from nnU-Net (then hardly anything is known of its data).

    Args:
        plan: of the run.
        configuration: that is handed over.
        folds: that are handed over.
        dataset: of the run, with its cases.
        fingerprint: None where nothing was measured.
        splits: None where the folds are not known.
        scores: of the validation by fold; folds without any are left out.
        source: what the data set says of itself, by key; what names a case or a path is left out.
    """
    private = Names(dataset)
    facts = fingerprint.cases if fingerprint is not None else ()
    stages = (configuration.previous_stage,) if configuration.previous_stage else ()
    return ModelCard(
        made_with=f"autoseg {__version__}",
        data=dataset.name,
        channels=plan.channels,
        rank=plan.rank,
        configuration=configuration.name,
        stages=(*stages, configuration.name),
        structures=_structures(plan, facts),
        regions=plan.regions,
        folds=tuple(folds),
        folds_planned=len(splits.folds) if splits is not None else None,
        validated=tuple(fold for fold in folds if fold in scores),
        validation=_figures([scores[fold] for fold in folds if fold in scores]),
        cases=len(facts) or None,
        subjects=_subjects(dataset, facts),
        held_out=len(splits.held_out) if splits is not None else 0,
        without_spacing=sum(_spacing_of(case, dataset) is None for case in facts),
        spacing_mm=_extent(spacing for case in facts if (spacing := _spacing_of(case, dataset)) is not None),
        shape=_extent(case.shape for case in facts),
        orientations=dict(Counter(case.orientation for case in facts if case.orientation).most_common()),
        intensities=fingerprint.intensities if fingerprint is not None else (),
        source={key: text[:MOST_CHARACTERS] for key, text in source.items() if not private.are_in(text)},
    )


def card_of_receiver(card: ModelCard, folds: Sequence[str]) -> ModelCard:
    """The card that came with a model which is handed on, with some or all of its folds.

    Its figures are of the folds that it came with, and `validated` goes on saying so.
    """
    return card.model_copy(update={"made_with": f"autoseg {__version__}", "folds": tuple(folds)})


def missing_folds(card: ModelCard) -> tuple[str, ...]:
    """Folds of the cross-validation that are not handed over; none is missed beside a network trained on all cases."""
    if card.folds_planned is None or card.folds == (FULL,):
        return ()
    return tuple(str(fold) for fold in range(card.folds_planned) if str(fold) not in card.folds)


def _structures(plan: Plan, facts: Sequence[CaseFacts]) -> tuple[StructureFacts, ...]:
    def present(name: str) -> int | None:
        return sum(case.structures[name].pixels > 0 for case in facts if name in case.structures) if facts else None

    painted = [StructureFacts(name=one.name, output_value=one.output_value, present=present(one.name)) for one in plan.targets]
    unions = [StructureFacts(name=one.name, output_value=None, present=present(one.name)) for one in plan.derived]
    return (*painted, *unions)


def _subjects(dataset: Dataset, facts: Sequence[CaseFacts]) -> int | None:
    measured = {case.id for case in facts}
    cases = [case for case in dataset.cases if case.id in measured]
    if all(case.subject == case.id for case in cases):
        return None
    return len({case.subject for case in cases})


def _spacing_of(case: CaseFacts, dataset: Dataset) -> tuple[float, ...] | None:
    return case.spacing_mm if case.spacing_mm and len(case.spacing_mm) == dataset.rank else None


def _extent(values: Iterable[Sequence[float]]) -> Extent | None:
    axes = list(zip(*values, strict=True))
    if not axes:
        return None
    return Extent(
        smallest=tuple(float(min(axis)) for axis in axes),
        median=tuple(float(median(axis)) for axis in axes),
        largest=tuple(float(max(axis)) for axis in axes),
    )


def _figures(scores: Sequence[Scores]) -> tuple[ValidationFigures, ...]:
    """Over the validation cases of all folds together: every case counts once, as each was kept out of one fold."""
    cases = [case for fold in scores for case in fold.cases]
    if not cases:
        return ()
    summaries = summarise(cases, scores[0].summary)
    return tuple(
        ValidationFigures(
            structure=name,
            cases=one.cases,
            present=one.present,
            missed=one.missed,
            false_alarms=one.false_alarms,
            dice=one.dice,
            dice_interval=one.dice_interval,
            hd95_mm=one.hd95_mm,
            assd_mm=one.assd_mm,
            circumference_mae_mm=one.circumference_mae_mm,
        )
        for name, one in summaries.items()
    )
