"""Two trained runs, or two scored folders of masks, compared on the cases that both have: what may be compared, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from autoseg.errors import DataError, PlanError, RecordError, RunFolderError
from autoseg.metrics.comparison import BETTER, USUAL, FigureComparison, compare_scores, some
from autoseg.records import PREDICTIONS_FILE, CaseScores, Predictions, Scores, Splits
from autoseg.run_folder import RunFolder

SCORES = "scores.json"
ALL = "all"
SURFACE_DICE = "surface_dice"
LATER_FIGURES = (SURFACE_DICE, "hd_mm", "absolute_size_error", "absolute_relative_size_error")
OLDER = "some of the scores were written by an older version, which had fewer figures"
SCORE_AGAIN = "score the masks again with `autoseg evaluate` and one --tolerance (those of a fold lie in its folder `validation`)"
TOO_FEW_SUBJECTS = 6  # of fewer, Wilcoxon's test cannot come below 0.05: two-sided, 2 / 2^5 is 0.06


@dataclass(frozen=True)
class Comparison:
    """B against A: every figure of every structure, and what has to be known to read them."""

    a: str
    b: str
    cases: int
    subjects: int
    figures: tuple[FigureComparison, ...]
    size_unit: str | None
    tolerance_mm: float | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Side:
    """What one of the two brings: its scores in parts, and the cases that each part was to score."""

    name: str
    scores: dict[str, Scores]  # by fold; a folder of masks has one part, ALL
    members: dict[str, frozenset[str]]
    splits: Splits | None  # of a run


def compare(
    a: str | Path,
    b: str | Path,
    *,
    configurations: Sequence[str] = (),
    figures: Sequence[str] = (),
    seed: int = 0,
) -> Comparison:
    """Compare the scores of two runs, or of two folders that `evaluate` has scored, case by case.

    A run brings the validation scores of its folds, each case predicted by the network that had not seen it.

    Args:
        a: run, or folder with a `scores.json`.
        b: the other one; differences are B - A.
        configurations: of the runs: none takes each plan's default, one is for both, of two the first is A's.
        figures: of `metrics.comparison.BETTER`; none takes the usual ones.
        seed: of the intervals.

    Raises:
        RunFolderError: there are no scores.
        DataError: the two did not score the same cases in the same folds, or not against the same labels.
    """
    if len(configurations) > 2:
        raise PlanError(f"--configuration is given {len(configurations)} times; give it once for both, or twice: A's, then B's")
    if unknown := [figure for figure in figures if figure not in BETTER]:
        raise PlanError(f"there is no figure {unknown[0]} to compare; there are {', '.join(BETTER)}")
    chosen: tuple[str | None, ...] = (configurations[0], configurations[-1]) if configurations else (None, None)
    first, second = (_side(Path(place), name) for place, name in zip((a, b), chosen, strict=True))
    parts, notes = _common_parts(first, second)
    pooled = [[case for part in parts for case in side.scores[part].cases] for side in (first, second)]
    wanted, tolerance_mm, more = _comparable(
        tuple(dict.fromkeys(figures)) or USUAL, [side.scores[part] for side in (first, second) for part in parts]
    )
    found = compare_scores(*pooled, figures=wanted, seed=seed)
    both = {case.id for case in pooled[0]} & {case.id for case in pooled[1]}
    subjects = {case.subject for case in pooled[0] if case.id in both}
    if sorted(pooled[0], key=lambda case: case.id) == sorted(pooled[1], key=lambda case: case.id):
        more = [*more, "A and B have the very same scores in every case: they are masks of one model, or copies"]
    return Comparison(
        a=first.name,
        b=second.name,
        cases=len(both),
        subjects=len(subjects),
        figures=found,
        size_unit=first.scores[parts[0]].size_unit,
        tolerance_mm=tolerance_mm,
        notes=(*notes, *more, *_said_of_cases(pooled, both, len(subjects))),
    )


def _side(place: Path, configuration: str | None) -> _Side:
    try:
        folder = RunFolder.open(place)
    except RunFolderError:
        if (place / SCORES).is_file():
            return _side_of_masks(place)
        raise RunFolderError(
            f"{place} is no run (it has no plan.json), nor are there scores in it ({SCORES}); give a run, or a folder of masks after "
            f"`autoseg evaluate LABELS {place}`"
        ) from None
    return _side_of_run(folder, configuration)


def _side_of_masks(place: Path) -> _Side:
    scores = Scores.load(place / SCORES)
    scored = {case.id for case in scores.cases}
    try:
        predicted = {case.id for case in Predictions.load(place / PREDICTIONS_FILE).cases}
    except RecordError:  # only the scores were kept
        predicted = set()
    return _Side(str(place), {ALL: scores}, {ALL: frozenset(scored | (predicted & set(scores.missing)))}, None)


def _side_of_run(folder: RunFolder, configuration: str | None) -> _Side:
    """Folds that were validated, with the cases that the splits give them."""
    plan, splits = folder.plan(), folder.splits()
    name = configuration or plan.default
    if name not in plan.configurations:
        raise RunFolderError(f"{folder.root} has no configuration {name}; it has {', '.join(plan.configurations)}")
    members = {str(index): frozenset(fold.validation) for index, fold in enumerate(splits.folds)}
    files = {fold: folder.fold_scores(name, fold) for fold in members}
    scores = {fold: Scores.load(file) for fold, file in files.items() if file.is_file()}
    if stale := [fold for fold in scores if not _of_present_weights(folder, name, fold)]:
        raise RunFolderError(
            f"{folder.root}: the scores of fold {', '.join(stale)} of {name} are of weights that were trained on since; "
            f"`autoseg train {folder.root} --fold {stale[0]}` validates them"
        )
    if not scores:
        raise RunFolderError(
            f"no fold of {name} in {folder.root} has scores; train one with `autoseg train {folder.root} --fold 0`"
        )
    for fold, one in scores.items():
        if foreign := sorted({case.id for case in one.cases} - members[fold]):
            raise DataError(
                f"{files[fold]} has scores of {some(foreign)}, which {folder.splits_file} does not give to fold {fold} to validate; "
                "the folds were changed after it was trained: train it again"
            )
    return _Side(f"{folder.root} ({name})", scores, members, splits)


def _of_present_weights(folder: RunFolder, configuration: str, fold: str) -> bool:
    """Whether a fold was validated with the weights that predict now; where there is no model, scores stand for themselves."""
    if not folder.model_file.is_file():
        return True
    trained = next((one.folds for one in folder.model().configurations if one.name == configuration), ())
    now = next((one.sha256 for one in trained if one.fold == fold), None)
    validated = folder.validation(configuration, fold) / PREDICTIONS_FILE
    return now is None or not validated.is_file() or Predictions.load(validated).weights == (now,)


def _common_parts(a: _Side, b: _Side) -> tuple[list[str], list[str]]:
    """The parts that both have scored, and what is to be said of the others.

    Raises:
        DataError: the splits differ, so that a difference would be one of cases and not of models; or no part is in both.
    """
    if a.splits is None and b.splits is None:
        _refuse_different(a.members[ALL], b.members[ALL], "predicted", "predict the same images with both")
        return [ALL], []
    if a.splits is None or b.splits is None:
        run = a if a.splits is not None else b
        raise DataError(
            f"of {a.name} and {b.name} one is a run and one a folder of masks; compare two of a kind. After `autoseg select`, the masks "
            f"and scores of a run's cross-validation lie in its folder out_of_fold ({run.name})"
        )
    cure = "plan both runs with the same --splits and --hold-out"
    _refuse_different(frozenset(a.splits.held_out), frozenset(b.splits.held_out), "held out of every fold", cure)
    for fold in dict.fromkeys((*a.members, *b.members)):
        there, here = (side.members.get(fold, frozenset()) for side in (a, b))
        _refuse_different(there, here, f"validated in fold {fold}", cure)
    folds = [fold for fold in a.scores if fold in b.scores]
    if not folds:
        raise DataError(
            f"no fold has scores in both: {a.name} has fold {', '.join(a.scores)}, {b.name} fold {', '.join(b.scores)}; train one in both"
        )
    return folds, list(_said_of_folds(a, b, folds))


def _refuse_different(a: frozenset[str], b: frozenset[str], what: str, cure: str) -> None:
    if a != b:
        sides = [f"only {name} has {some(sorted(more))}" for name, more in (("A", a - b), ("B", b - a)) if more]
        raise DataError(f"the cases {what} differ: {', '.join(sides)}; {cure}")


def _said_of_folds(a: _Side, b: _Side, folds: Sequence[str]) -> Iterator[str]:
    """Sentences on folds that only one side has, and on folds that learned from more cases on one side."""
    if len(folds) < len(a.members):
        alone = [(name, sorted(set(side.scores) - set(folds))) for name, side in (("A", a), ("B", b))]
        more = "".join(f"; only {name} has fold {', '.join(rest)}" for name, rest in alone if rest)
        yield f"compared on fold {', '.join(folds)} of {len(a.members)}{more}"
    if a.splits is not None and b.splits is not None:
        for fold in folds:
            lengths = [len(splits.folds[int(fold)].train) for splits in (a.splits, b.splits)]
            if lengths[0] != lengths[1]:
                yield f"fold {fold} was trained on {lengths[0]} cases in A and on {lengths[1]} in B"


def _comparable(figures: Sequence[str], scores: Sequence[Scores]) -> tuple[tuple[str, ...], float | None, list[str]]:
    """The figures that mean the same in all scores, the tolerance of the surface Dice, and what is to be said of the others."""
    if any(one.tolerance_mm is None for one in scores):
        wanted = tuple(figure for figure in figures if figure not in LATER_FIGURES)
        if not wanted:
            raise DataError(f"{OLDER}: there is no {', '.join(figures)} in them; {SCORE_AGAIN}")
        left_out = [figure for figure in figures if figure in LATER_FIGURES]
        return wanted, None, [f"{OLDER}, so {', '.join(left_out)} are left out; {SCORE_AGAIN}"] if left_out else []
    tolerances = sorted({one.tolerance_mm for one in scores if one.tolerance_mm is not None})
    if len(tolerances) == 1:
        return tuple(figures), tolerances[0], []
    said = (
        f"the tolerances differ ({', '.join(f'{one:g} mm' for one in tolerances)}), so {SURFACE_DICE} is left out; {SCORE_AGAIN}"
    )
    wanted = tuple(figure for figure in figures if figure != SURFACE_DICE)
    if not wanted:
        raise DataError(said)
    return wanted, None, [said] if wanted != tuple(figures) else []


def _said_of_cases(pooled: Sequence[Sequence[CaseScores]], both: Set[str], subjects: int) -> Iterator[str]:
    """Sentences on cases that only one side has, and on too few subjects."""
    for name, cases in zip("AB", pooled, strict=True):
        if alone := [case.id for case in cases if case.id not in both]:
            other = "B" if name == "A" else "A"
            yield f"left out, as they failed in {other}: {some(alone)}"
    if subjects < TOO_FEW_SUBJECTS:
        yield f"{subjects} subjects are too few: the test cannot come below 0.05 with fewer than {TOO_FEW_SUBJECTS}, and intervals are too narrow"
